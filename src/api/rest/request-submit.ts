import type { FastifyReply } from 'fastify';
import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Decision, RequestDraft } from '../../csr/types.js';
import { RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import { negotiate, pemChainType } from './accept.js';
import type { RestApp } from './app.js';
import { largestGeneration } from './bundle-waiting.js';
import { bundleSchema } from './bundles.js';
import { requestSchema, requestViewer, type RequestView } from './request-view.js';
import { defined, json, jsonOrPem, nameText, problems, problemSchema, text } from './schemas.js';

/** What a request says, without its name. */
export const requestDraft = {
  signerName: text(571).meta({ description: 'The profile, such as `kubernetes.io/kubelet-serving`' }),
  request: z.string().min(1).max(61_440).meta({ description: 'One PKCS#10 request, PEM, and nothing beside it' }),
  usages: z
    .array(text(64))
    .max(32)
    .optional()
    .meta({ description: "Kubernetes' names for key usages; what the profile requires when left out" }),
  expirationSeconds: z.number().int().min(600).max(2_147_483_647).optional(),
};

/** Somebody to think of as the requester. */
export const asSchema = z
  .union([
    z.strictObject({ node: nameText }).meta({ description: 'A node, by its client certificate' }),
    z.strictObject({ token: text(6, 6) }).meta({ description: 'A bootstrap token, by its id' }),
    z.strictObject({ etcdMember: z.strictObject({ cluster: nameText, name: nameText }) }),
    z.strictObject({ user: text(512), groups: z.array(text(512)).max(64).default([]) }),
  ])
  .meta({ description: 'Who would submit it; the caller when left out' });

const draftSchema = z
  .strictObject({
    ...requestDraft,
    name: nameText.optional().meta({ description: 'Name of the request; made up when left out' }),
    bundleGeneration: z.number().int().min(0).max(largestGeneration).optional().meta({
      description: "Generation of the bundle of the profile's ring that the certificate's user verifies with",
    }),
    bundleDigest: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 lower-case hex digits')
      .optional()
      .meta({ description: 'Digest of that bundle, which then must be the one that was published' }),
  })
  .refine(({ bundleGeneration, bundleDigest }) => bundleDigest === undefined || bundleGeneration !== undefined, {
    path: ['bundleGeneration'],
    message: 'is needed beside bundleDigest',
  })
  .meta({ id: 'RequestDraft', description: 'A certificate signing request to submit' });

type Draft = z.output<typeof draftSchema>;

const staleAnswer = {
  description: 'The name is taken; or, `stale-bundle`, the caller holds another bundle than the ring asks of who joins',
  content: {
    'application/problem+json': {
      schema: problemSchema
        .extend({ bundle: bundleSchema.optional().meta({ description: 'The current one, with `stale-bundle`' }) })
        .meta({ id: 'StaleBundleProblem', description: 'Problem details with what the caller has to hold' }),
    },
  },
};

/** Who renews an expired certificate has no right to anything; what it may ask for is looked at with the request. */
const access = {
  ...{ verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
  self: ({ graced }: Identity) => graced !== undefined,
};

/** Answers when what can be decided at once is decided, so that a machine needs one call for its certificate. */
export function submitRoute(app: RestApp, { requests, config }: Context): void {
  const requestView = requestViewer(config.profiles);
  app.post(
    '/requests',
    {
      config: { access },
      schema: {
        operationId: 'createRequest',
        summary: 'Submit a request; the certificate chain at once where it can be decided at once',
        tags: ['requests'],
        body: draftSchema,
        response: {
          201: jsonOrPem('Issued', requestSchema),
          202: json('Held or pending: `message` says what it waits for', requestSchema),
          409: staleAnswer,
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const format = negotiate(request.headers.accept);
      const usages = request.body.usages ?? usagesOf(config.profiles, request.body.signerName);
      const { bundleGeneration, bundleDigest } = request.body;
      const bundle = defined({ generation: bundleGeneration, digest: bundleDigest });
      const draft = { ...draftOf(request.body, usages), bundle };
      const submitted = await requests.submit(request.identity, draft);
      const settled = await submitted.settled;
      return answer(reply, format, withDecision(requestView(settled.request), settled.decision));
    },
  );
}

/**
 * A profile says which usages its certificates have, so a caller need not: those it requires, and signing, which TLS 1.3
 * needs. Throws 'invalid' for a signer that is not there.
 */
export function usagesOf(profiles: Context['config']['profiles'], signerName: string): readonly string[] {
  const profile = profiles.find((candidate) => candidate.signerName === signerName);
  if (profile !== undefined) {
    const { required, optional } = profile.usages;
    return [...new Set([...optional.filter((usage) => usage === 'digital signature'), ...required])];
  }
  const message = `no profile has the signer name ${JSON.stringify(signerName)}`;
  const hint = `known: ${profiles.map((candidate) => candidate.signerName).join(', ')}`;
  throw new RotundaError('invalid', message, {
    hint,
    causes: [{ field: 'signerName', reason: 'FieldValueNotSupported', message }],
  });
}

/** The draft that a body means. */
export function draftOf(body: Draft, usages: readonly string[]): RequestDraft {
  const { signerName, expirationSeconds, name } = body;
  return {
    metadata: name === undefined ? { generateName: 'request-' } : { name },
    spec: {
      signerName,
      request: Buffer.from(body.request, 'utf8').toString('base64'),
      usages: [...usages],
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    },
    pem: 'strict',
  };
}

/** What waits for a person says so nowhere in the object, which Kubernetes clients share; its decision does. */
function withDecision(view: RequestView, decision: Decision | undefined): RequestView {
  if (view.state !== 'pending' || decision === undefined) return view;
  return { ...view, reason: decision.reason, message: decision.message };
}

function answer(reply: FastifyReply, format: 'json' | 'pem', view: RequestView): FastifyReply {
  if (view.state === 'denied' || view.state === 'failed') throw refused(view);
  reply.header('location', `/pki/v1/requests/${encodeURIComponent(view.name)}`).header('vary', 'accept');
  if (view.certificate === undefined) return reply.code(202).send(view);
  reply.code(201);
  return format === 'pem' ? reply.type(pemChainType).send(view.certificate) : reply.send(view);
}

/** The request object exists and says the same; the caller who only looks at the status must not take it for success. */
function refused(view: RequestView): RotundaError {
  const detail = view.message ?? view.reason ?? `the request is ${view.state}`;
  return new RotundaError(view.state === 'denied' ? 'denied' : 'invalid', detail, {
    hint: `rotunda request explain ${view.name} shows rule by rule why`,
    object: { resource: 'requests', name: view.name },
  });
}
