import { pastRequestsSince, type PastRequestKey } from '../store/queries/past-requests.js';
import { requestsSince } from '../store/queries/requests.js';
import type { Store } from '../store/types.js';
import { pastOf } from './past.js';
import { readRequester, type Requester } from './requester.js';
import type { RequestSpec } from './types.js';

/** What was asked by one request, or by several that asked the same on one day, and what became of it. */
export type Question = {
  /** The same for questions that only their keys tell apart. */
  readonly digest: string;
  readonly count: number;
  readonly name: string;
  readonly uid: string;
  readonly spec: Omit<RequestSpec, 'request'>;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
  readonly requester: Requester;
  readonly state: 'pending' | 'approved' | 'denied' | 'failed' | 'issued';
  /** Of the condition that decided, empty without one. */
  readonly reason: string;
  readonly message: string;
  /** Milliseconds. */
  readonly createdAt: number;
};

const pageSize = 500;

/** What was asked since then, milliseconds: of requests that are still there, then of those that were deleted. */
export async function* questionsSince(store: Store, since: number): AsyncGenerator<Question> {
  for (let after = ''; ;) {
    const rows = await requestsSince(store.db, { since, after, limit: pageSize });
    for (const row of rows) yield questionOf(pastOf(row));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) break;
    after = last.name;
  }
  for (let after: PastRequestKey = { day: 0, digest: '' }; ;) {
    const rows = await pastRequestsSince(store.db, { since, after, limit: pageSize });
    for (const row of rows) yield questionOf(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = { day: last.day, digest: last.digest };
  }
}

/** The question that a kept request is. */
export function questionOf(row: ReturnType<typeof pastOf>): Question {
  const { digest, count, name, uid, csr, state, reason, message } = row;
  return {
    ...{ digest, count, name, uid, csr, state, reason, message },
    // Written by this program only, so their shapes are known.
    spec: JSON.parse(row.spec) as Question['spec'],
    requester: readRequester(row.requester),
    createdAt: row.created_at,
  };
}
