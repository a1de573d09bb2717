import { createHash } from 'node:crypto';

import { parseCsr } from '../ca/x509/csr.js';
import { decodePem } from '../ca/x509/pem.js';
import { addPastRequest, type NewPastRequestRow } from '../store/queries/past-requests.js';
import { deleteRequest, type RequestRow } from '../store/queries/requests.js';
import type { WriteTx } from '../store/types.js';
import { parseObject, stateOf } from './object.js';
import { readRequester } from './requester.js';
import type { CertificateRequest } from './types.js';

const dayMs = 86_400_000;

/** What of a stored request is looked at when it goes. */
export type Forgettable = Pick<RequestRow, 'name' | 'uid' | 'requester' | 'created_at' | 'object'>;

/**
 * Deletes a request, and keeps of it what trying another policy on it needs. Every deletion goes through here. Requests
 * that ask the same on the same day are kept as one, so that a machine that asks again and again leaves one row a day.
 */
export async function forget(tx: WriteTx, row: Forgettable): Promise<void> {
  await addPastRequest(tx.db, pastOf(row));
  await deleteRequest(tx.db, row.name);
}

/** What is kept of a stored request. Its `digest` is over all that decides about it, and not over its key and name. */
export function pastOf(row: Forgettable): NewPastRequestRow {
  const request = parseObject(row.object);
  const { request: text, ...spec } = request.spec;
  const { serial: _serial, ...requester } = readRequester(row.requester);
  const csr = derOf(text);
  const state = stateOf(request);
  const { reason, message } = decidedBy(request, state);
  const asked = [spec, requester, state, reason, shapeOf(csr)];
  return {
    day: row.created_at - (row.created_at % dayMs),
    digest: createHash('sha256').update(JSON.stringify(asked)).digest('hex'),
    count: 1,
    name: row.name,
    uid: row.uid,
    spec: JSON.stringify(spec),
    csr,
    requester: JSON.stringify(requester),
    state,
    reason,
    message,
    created_at: row.created_at,
  };
}

const decisive = { denied: 'Denied', failed: 'Failed', approved: 'Approved', issued: 'Approved' } as const;

function decidedBy({ status }: CertificateRequest, state: RequestRow['state']): { reason: string; message: string } {
  const type = state === 'pending' ? undefined : decisive[state];
  const { reason = '', message = '' } = status.conditions?.find((condition) => condition.type === type) ?? {};
  return { reason, message };
}

function derOf(text: string): Buffer {
  try {
    return decodePem(Buffer.from(text, 'base64'), { label: 'CERTIFICATE REQUEST', mode: 'upstream' });
  } catch {
    // It was valid when it was stored; a program that reads differently by now has nothing to try a policy on.
    return Buffer.alloc(0);
  }
}

/** What rules can see of a CSR: everything but the key itself and the signature, which are new each time. */
function shapeOf(der: Buffer): unknown {
  try {
    const { subject, key, names, requestsCa, problems } = parseCsr(der);
    const { spki: _spki, ...kind } = key;
    return [subject.attributes, kind.type, kind.bits, names, requestsCa, problems];
  } catch {
    return der.toString('base64');
  }
}
