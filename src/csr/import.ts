import { RotundaError } from '../errors.js';
import { isRotundaSigner } from '../identity/rules.js';
import type { Identity } from '../identity/types.js';
import { findRequest, insertRequest, type RequestRow } from '../store/queries/requests.js';
import { admitSubject } from './admission.js';
import { clusterPower } from './approver.js';
import { requestExists, requestForbidden } from './errors.js';
import { newRequest, stateOf, textOf, withCondition } from './object.js';
import { nodeOf } from './order.js';
import { parseRequest } from './parse.js';
import { type Parts, record, resource } from './parts.js';
import { requesterText } from './requester.js';
import { cleanAfterNow } from './retention.js';
import { mayReach } from './rules/proxied.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, RequestDraft } from './types.js';
import { validateCreate } from './validate.js';

/** A request that was made elsewhere, as it was recorded there. */
export type ImportedRequest = Pick<RequestDraft, 'metadata' | 'spec'> & {
  readonly uid: string;
  /** Milliseconds. */
  readonly createdAt: number;
  /** Who made it, as the API server authenticated it then. */
  readonly requester: Identity;
  /** The approval that it had, for signers that are not served here: their own signer goes by it. */
  readonly approval: { readonly reason: string; readonly message: string } | undefined;
  /** Whether to approve it in the name of who imports it, because a person had approved it there. */
  readonly approve: boolean;
};

/**
 * Stores a request that an API server had taken, with its uid, time and requester as they were there, so that who waits
 * for it finds it. It is pending: the rules decide about it as about any other. Only an administrator of this service may,
 * because the requester is believed as told. The same uid twice is the same as once: the answer is whether it was new.
 * Throws 'forbidden', 'invalid', 'already-exists' for a name that another request has.
 */
export async function importRequest(parts: Parts, imported: ImportedRequest, actor: Identity): Promise<boolean> {
  const { requester, uid, createdAt, spec } = imported;
  const name = imported.metadata.name ?? '';
  if (!actor.roles.includes('admin'))
    throw requestForbidden(name, 'only administrators of this service import requests');
  const parsed = parseRequest(spec.request, 'upstream');
  validateCreate(imported.metadata, spec, parsed);
  // Validation has thrown for a request that does not parse.
  if ('fault' in parsed) throw new RotundaError('invalid', parsed.fault);
  const { csr } = parsed;
  const { signerName = '' } = spec;
  admitSubject(name, signerName, csr.organizations);
  const own = { name, uid, created: rfc3339(createdAt) };
  const profile = parts.profiles.get(signerName);
  const request = withApproval(
    newRequest({ ...imported, pem: 'upstream' }, requester, own),
    imported,
    profile === undefined,
  );
  const now = parts.clock.now().getTime();
  const row: Omit<RequestRow, 'revision' | 'object'> = {
    name,
    uid,
    signer_name: signerName,
    username: requester.username,
    state: stateOf(request),
    held: 0,
    retry_at: null,
    node: nodeOf(profile, csr) ?? null,
    key_id: csr.key.keyId,
    serial: null,
    token_id: requester.token?.id ?? null,
    requester: requesterText(requester),
    created_at: createdAt,
    updated_at: now,
    clean_after: cleanAfterNow(parts.retention, stateOf(request), now, undefined),
  };
  return store(parts, row, request, { actor, now, names: csr.names.map((n) => `${n.kind}:${n.value}`) });
}

/**
 * Whether an approval that somebody gave on the API server may be repeated here by an administrator of this service, who
 * may do more: not for what the API server cannot vouch for, nor for the names of the cluster itself, since nobody knows
 * who approved. A person decides on those here.
 */
export function mayRepeatApproval({ profiles, topology }: Parts, { requester, spec }: ImportedRequest): boolean {
  const { signerName = '' } = spec;
  const profile = profiles.get(signerName);
  if (profile === undefined) return !isRotundaSigner({ name: signerName });
  const parsed = parseRequest(spec.request, 'upstream');
  if ('fault' in parsed) return false;
  return mayReach(requester, profile) && clusterPower(topology, profile, parsed.csr) === undefined;
}

function withApproval(
  request: CertificateRequest,
  { approval, createdAt }: ImportedRequest,
  isForeign: boolean,
): CertificateRequest {
  if (approval === undefined || !isForeign) return request;
  return withCondition(request, { type: 'Approved', ...approval }, rfc3339(createdAt));
}

async function store(
  parts: Parts,
  row: Omit<RequestRow, 'revision' | 'object'>,
  request: CertificateRequest,
  { actor, now, names }: { readonly actor: Identity; readonly now: number; readonly names: readonly string[] },
): Promise<boolean> {
  const { name, uid } = row;
  return parts.store.write(async (tx) => {
    const found = await findRequest(tx.db, name);
    if (found?.uid === uid) return false;
    if (found !== undefined) throw requestExists(name, false);
    const revision = tx.nextRevision();
    const object = textOf(request, revision);
    if (!(await insertRequest(tx.db, { ...row, revision, object }))) throw requestExists(name, false);
    await tx.publish({ revision, resource, name, type: 'ADDED', object, previous: undefined });
    const { username, groups } = request.spec;
    const detail = { signerName: row.signer_name, uid, requester: username, groups, names };
    await record(parts, tx, {
      action: 'request.imported',
      actor: actor.username,
      name,
      outcome: 'ok',
      detail,
      at: now,
    });
    return true;
  });
}
