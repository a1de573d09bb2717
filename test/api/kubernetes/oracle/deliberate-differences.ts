/** One field in which Rotunda answers otherwise: the step, the path in its outcome, and what Rotunda answers there. */
export type DeliberateField = { readonly step: number; readonly path: string; readonly answer: unknown };
export type DeliberateDifference = { readonly reason: string; readonly fields: readonly DeliberateField[] };

const clientError: readonly DeliberateField[] = [
  { step: 0, path: 'status', answer: 400 },
  { step: 0, path: 'body.code', answer: 400 },
  { step: 0, path: 'body.reason', answer: 'BadRequest' },
];
const unreadableDer =
  /spec\.request|^Invalid value: "<bytes>": asn1: structure error: tags don't match \(0x30 vs 0x02\) certificationRequestInfo$/;

/** Where Rotunda means to answer otherwise than upstream, by case. Everything else of the case must be the same. */
export const deliberateDifferences: Readonly<Record<string, DeliberateDifference>> = {
  'signing.client-expiration-34560000': {
    reason: 'Truncation is never silent: whoever asks for longer than the signer gives is warned.',
    fields: [
      {
        step: 0,
        path: 'warning',
        answer: /^299 - "spec\.expirationSeconds: .* gives at most 31536000 seconds, not 34560000"$/,
      },
    ],
  },
  'signing.node-nodeRsa1024': {
    reason: 'An RSA key below 2048 bits gets no certificate; key policy is a hard rule, which no approval overrides.',
    fields: [
      { step: 2, path: 'object.status.certificate', answer: undefined },
      {
        step: 2,
        path: 'object.status.conditions.1',
        answer: {
          type: 'Failed',
          status: 'True',
          reason: 'SignerValidationFailure',
          message: 'key: an RSA key needs 2048 bits, this one has 1024',
          lastTransitionTime: '<time>',
          lastUpdateTime: '<time>',
        },
      },
    ],
  },
  'approver.bootstrap-serving': {
    reason: 'A request that waits says why, in annotations; upstream leaves it without a word.',
    fields: [
      {
        step: 1,
        path: 'object.metadata.annotations',
        answer: { 'rotunda.dev/hold-reason': /"node-a" is not enrolled/, 'rotunda.dev/retry-at': '<time>' },
      },
    ],
  },
  'approver.node-serving': {
    reason: 'Names of a node that is not enrolled are missing facts: the request is held and says what is missing.',
    fields: [
      {
        step: 1,
        path: 'object.metadata.annotations',
        answer: { 'rotunda.dev/hold-reason': /"node-a" is not enrolled/, 'rotunda.dev/retry-at': '<time>' },
      },
    ],
  },
  'create.request-garbage': {
    reason: "Names the element that is wrong; upstream prints the internals of Go's decoder.",
    fields: [
      { step: 0, path: 'body.details.causes.0.message', answer: unreadableDer },
      { step: 0, path: 'body.message', answer: unreadableDer },
    ],
  },
  'create.metadata-rv-set': { reason: "The client's mistake is a 4xx, not a 500.", fields: clientError },
  'watch.rv-bad': { reason: "The client's mistake is a 4xx, not a 500.", fields: clientError },
  'discovery.openapi-v3': {
    reason: 'Only the groups that Rotunda serves are described.',
    fields: [{ step: 0, path: 'keys', answer: ['api/v1', 'apis/certificates.k8s.io/v1', 'apis/rotunda.dev/v1'] }],
  },
};
