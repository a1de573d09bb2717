import { hash } from 'node:crypto';

import type { ReadCsr } from '../ca/x509/types.js';
import type { Identity } from '../identity/types.js';
import { callerKey } from '../limits/callers.js';
import { findRequestObject, olderHeldRequests, type RequestRow } from '../store/queries/requests.js';
import type { WriteTx } from '../store/types.js';
import { requestExists } from './errors.js';
import { copyOf, parseObject, textOf } from './object.js';
import { type Parts, record, resource } from './parts.js';
import { forget } from './past.js';
import type { Plan } from './plan.js';
import { isMachine } from './rules/rule.js';
import type { CertificateRequest } from './types.js';

type Unissued = {
  readonly request: CertificateRequest;
  readonly csr: ReadCsr;
  readonly identity: Identity;
  readonly plan: Plan | undefined;
};

/**
 * Before a request is stored that is denied, held or left to another signer: throws 'too-many-requests' for one that says
 * again and again what was said before, whatever its key and name. A name that is taken is told first, as without a limit.
 */
export async function admitUnissued(parts: Parts, { request, csr, identity, plan }: Unissued): Promise<void> {
  if (parts.repeats === undefined || identity.roles.some((role) => unlimited.has(role))) return;
  const caller = callerKey(identity);
  const shape = isMachine(identity) ? shapeOf(caller, request, csr, plan) : undefined;
  try {
    const why = plan?.decision.message ?? 'it waits for its signer';
    parts.repeats.admit({ caller, shape, why, size: JSON.stringify(request).length });
  } catch (error) {
    const { name, generateName } = request.metadata;
    if (generateName === undefined && (await findRequestObject(parts.store.db, name)) !== undefined)
      throw requestExists(name, false);
    throw error;
  }
}

/**
 * Before a certificate is given to a machine that has one: a kubelet whose certificate lacks what it asked for asks again
 * at once, for ever. Throws 'too-many-requests'.
 */
export function admitIssued(parts: Parts, identity: Identity): void {
  if (identity.node === undefined && identity.member === undefined) return;
  parts.repeats?.admitIssued(callerKey(identity));
}

const unlimited: ReadonlySet<string> = new Set(['admin', 'operator', 'cluster-admin']);

/** All that the rules look at but the key. */
function shapeOf(caller: string, { spec }: CertificateRequest, csr: ReadCsr, plan: Plan | undefined): string {
  const names = csr.names.map(({ kind, value }) => `${kind}:${value}`).sort();
  const subject = csr.subject.map(({ oid, value }) => `${oid}:${value}`);
  const outcome = plan?.decision.outcome;
  return hash('sha256', JSON.stringify([caller, spec.signerName, subject, names, spec.usages, outcome]), 'base64');
}

/**
 * A node asks again when it has given up on its earlier request: what of those is still held goes, or it would be
 * approved with the newer one, and take from it what the token gives only once.
 */
export async function supersede(parts: Parts, tx: WriteTx, row: RequestRow): Promise<void> {
  const approval = parts.profiles.get(row.signer_name)?.approval;
  if (approval !== 'node-client' && approval !== 'node-serving') return;
  if (row.held === 0 || row.node === null || row.retry_at === null) return;
  const { name, node, signer_name: signerName, username, created_at: now } = row;
  const older = await olderHeldRequests(tx.db, { name, node, signerName, username });
  for (const one of older) {
    const request = parseObject(one.object);
    if (parts.busy.has(request.metadata.uid) || (request.metadata.finalizers ?? []).length > 0) continue;
    const revision = tx.nextRevision();
    const object = textOf(copyOf(request), revision);
    await forget(tx, one);
    await tx.publish({ revision, resource, name: one.name, type: 'DELETED', object, previous: undefined });
    await record(parts, tx, {
      action: 'request.superseded',
      actor: username,
      name: one.name,
      outcome: 'ok',
      detail: { signerName, node, by: name },
      at: now,
    });
  }
}
