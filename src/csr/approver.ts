import type { ReadCsr } from '../ca/x509/types.js';
import type { Identity } from '../identity/types.js';
import { findRequestObject } from '../store/queries/requests.js';
import { hasCondition } from './conditions.js';
import { requestForbidden } from './errors.js';
import { parseObject } from './object.js';
import { parseRequest } from './parse.js';
import type { Parts } from './parts.js';
import type { CertificateRequest } from './types.js';

/** Of the request with this `uid`; without names for one that does not parse. */
export type Names = { readonly uid: string; readonly csr: ReadCsr | undefined; readonly text: readonly string[] };

/** The exact names that a person is about to approve; undefined when there is no such request. */
export async function namesForRecord(parts: Parts, name: string): Promise<Names | undefined> {
  const text = await findRequestObject(parts.store.db, name);
  if (text === undefined) return undefined;
  const { metadata, spec } = parseObject(text);
  const { uid } = metadata;
  const parsed = parseRequest(spec.request, 'upstream');
  if ('fault' in parsed) return { uid, csr: undefined, text: [] };
  const { csr } = parsed;
  return {
    uid,
    csr,
    text: [...csr.subject.map((a) => `${a.oid}:${a.value}`), ...csr.names.map((n) => `${n.kind}:${n.value}`)],
  };
}

/** What only an administrator of this service gives: its own clients, etcd's root. Throws RotundaError 'forbidden'. */
export function mayDecide(
  parts: Parts,
  identity: Identity,
  wanted: CertificateRequest,
  stored: CertificateRequest,
  names: Names | undefined,
): void {
  if (!hasCondition(wanted, 'Approved') || hasCondition(stored, 'Approved')) return;
  if (identity.kind === 'internal' || identity.roles.includes('admin')) return;
  const profile = parts.profiles.get(stored.spec.signerName);
  if (profile?.signerName === 'rotunda.dev/client') {
    throw requestForbidden(
      stored.metadata.name,
      'only administrators of this service make its administrators, operators and viewers',
    );
  }
  if (profile?.approval === 'etcd-client' && names?.csr?.commonName === 'root') {
    throw requestForbidden(
      stored.metadata.name,
      'only administrators of this service make the administrator of etcd, root',
    );
  }
}
