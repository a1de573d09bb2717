import { z } from 'zod';

import type { CertificateRequest, Condition, Profile } from '../../csr/types.js';
import { defined, timeText } from './schemas.js';

export const requestStates = ['pending', 'held', 'approved', 'denied', 'failed', 'issued'] as const;
export type RequestState = (typeof requestStates)[number];

export const requestSchema = z
  .object({
    name: z.string(),
    uid: z.string(),
    signerName: z.string(),
    ring: z
      .string()
      .optional()
      .meta({ description: 'The ring that its certificate is from: verify with the bundle of this ring' }),
    state: z.enum(requestStates),
    reason: z.string().optional().meta({ description: 'Why it is in this state, CamelCase' }),
    message: z.string().optional().meta({ description: 'The same for people' }),
    retryAt: timeText.optional().meta({ description: 'When a held request is looked at again' }),
    requester: z.string().meta({ description: 'User name, from authentication' }),
    groups: z.array(z.string()),
    usages: z.array(z.string()),
    expirationSeconds: z.number().int().optional(),
    createdAt: timeText,
    request: z.string().meta({ description: 'The CSR, PEM' }),
    certificate: z.string().optional().meta({
      description:
        'PEM chain: the leaf first, then what is between it and the anchor. The anchors are the bundle of the ring',
    }),
  })
  .meta({ id: 'Request', description: 'A certificate signing request on its way' });

export type RequestView = z.output<typeof requestSchema>;

const holdReason = 'rotunda.dev/hold-reason';
const retryAt = 'rotunda.dev/retry-at';

/** Shows stored requests as /pki/v1 does, given the profiles that they may ask for. */
export function requestViewer(profiles: readonly Profile[]): (request: CertificateRequest) => RequestView {
  const rings = new Map(profiles.map(({ signerName, ring }) => [signerName, ring]));
  return (request) => requestView(request, rings.get(request.spec.signerName));
}

function requestView(request: CertificateRequest, ring: string | undefined): RequestView {
  const { metadata, spec } = request;
  const state = stateOf(request);
  const { certificate } = request.status;
  return defined({
    name: metadata.name,
    uid: metadata.uid,
    signerName: spec.signerName,
    ring,
    state,
    ...reasonOf(request, state),
    requester: spec.username ?? '',
    groups: spec.groups ?? [],
    usages: spec.usages ?? [],
    expirationSeconds: spec.expirationSeconds,
    createdAt: metadata.creationTimestamp,
    request: Buffer.from(spec.request, 'base64').toString('utf8'),
    certificate:
      certificate === undefined || certificate === '' ? undefined : Buffer.from(certificate, 'base64').toString('utf8'),
  });
}

/** A condition weighs more than an annotation, Denied and Failed more than Approved. */
export function stateOf(request: CertificateRequest): RequestState {
  if (conditionOf(request, 'Denied') !== undefined) return 'denied';
  if (conditionOf(request, 'Failed') !== undefined) return 'failed';
  const { certificate } = request.status;
  if (conditionOf(request, 'Approved') !== undefined)
    return certificate === undefined || certificate === '' ? 'approved' : 'issued';
  return request.metadata.annotations?.[holdReason] === undefined ? 'pending' : 'held';
}

function reasonOf(
  request: CertificateRequest,
  state: RequestState,
): { reason?: string; message?: string; retryAt?: string } {
  if (state === 'held') return holdOf(request.metadata.annotations ?? {});
  const types = { pending: '', approved: 'Approved', issued: 'Approved', denied: 'Denied', failed: 'Failed' };
  const { reason, message } = conditionOf(request, types[state]) ?? {};
  return { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}

function holdOf(annotations: Readonly<Record<string, string>>): {
  reason?: string;
  message?: string;
  retryAt?: string;
} {
  const { [holdReason]: held, [retryAt]: retry } = annotations;
  return {
    reason: 'Held',
    ...(held === undefined ? {} : { message: held }),
    ...(retry === undefined ? {} : { retryAt: retry }),
  };
}

function conditionOf(request: CertificateRequest, type: string): Condition | undefined {
  return request.status.conditions?.find((condition) => condition.type === type && condition.status === 'True');
}
