import type { Identity } from '../identity/types.js';
import type { RequestRow } from '../store/queries/requests.js';
import type { CertificateRequest, Condition, ObjectMeta, RequestDraft, RequestSpec } from './types.js';

/** The object as a new request, without a resourceVersion: what the server owns is set, what was sent for it is dropped. */
export function newRequest(
  draft: RequestDraft,
  identity: Identity,
  own: { readonly name: string; readonly uid: string; readonly created: string },
): CertificateRequest {
  return { metadata: newMetadata(draft.metadata, own), spec: newSpec(draft.spec, identity), status: {} };
}

function newMetadata(sent: Partial<ObjectMeta>, own: { name: string; uid: string; created: string }): ObjectMeta {
  const metadata: ObjectMeta = { name: own.name, uid: own.uid, resourceVersion: '', creationTimestamp: own.created };
  if (sent.generateName) metadata.generateName = sent.generateName;
  if (sent.generation) metadata.generation = sent.generation;
  if (hasKeys(sent.labels)) metadata.labels = sent.labels;
  if (hasKeys(sent.annotations)) metadata.annotations = sent.annotations;
  if (sent.ownerReferences?.length) metadata.ownerReferences = sent.ownerReferences;
  if (sent.finalizers?.length) metadata.finalizers = sent.finalizers;
  if (sent.managedFields?.length) metadata.managedFields = sent.managedFields;
  return metadata;
}

function newSpec(sent: Partial<RequestSpec>, identity: Identity): RequestSpec {
  const spec: RequestSpec = { request: sent.request ?? '', signerName: sent.signerName ?? '' };
  if (sent.expirationSeconds !== undefined) spec.expirationSeconds = sent.expirationSeconds;
  if (sent.usages !== undefined) spec.usages = sent.usages;
  spec.username = identity.username;
  if (identity.uid !== '') spec.uid = identity.uid;
  if (identity.groups.length > 0) spec.groups = [...identity.groups];
  const extra = Object.entries(identity.extra);
  if (extra.length > 0) spec.extra = Object.fromEntries(extra.map(([key, values]) => [key, [...values]]));
  return spec;
}

export function hasKeys<T extends Readonly<Record<string, unknown>>>(map: T | undefined): map is T {
  if (map === undefined) return false;
  for (const key in map) if (Object.hasOwn(map, key)) return true;
  return false;
}

/** The object's stored text; `revision` becomes its resourceVersion. */
export function textOf(request: CertificateRequest, revision: number): string {
  request.metadata.resourceVersion = String(revision);
  return JSON.stringify(request);
}

/** Stored text, which only this program writes. */
export function parseObject(text: string): CertificateRequest {
  return JSON.parse(text) as CertificateRequest;
}

/** A copy whose metadata and status can be changed without touching the original. */
export function copyOf(request: CertificateRequest): CertificateRequest {
  return { metadata: { ...request.metadata }, spec: request.spec, status: { ...request.status } };
}

/** With one more condition, its times set. */
export function withCondition(
  request: CertificateRequest,
  condition: Pick<Condition, 'type' | 'reason' | 'message'>,
  now: string,
): CertificateRequest {
  const copy = copyOf(request);
  const complete = { status: 'True', lastUpdateTime: now, lastTransitionTime: now, ...condition };
  copy.status.conditions = [...(copy.status.conditions ?? []), complete];
  return copy;
}

/** Where a request is in its life, by its object alone. */
export function stateOf({ status }: CertificateRequest): RequestRow['state'] {
  const types = new Set((status.conditions ?? []).map((condition) => condition.type));
  if (types.has('Failed')) return 'failed';
  if (types.has('Denied')) return 'denied';
  if (status.certificate !== undefined && status.certificate !== '') return 'issued';
  return types.has('Approved') ? 'approved' : 'pending';
}
