import type { Kysely } from 'kysely';

import { prepared } from '../store/precompiled.js';
import type { RequestRow } from '../store/queries/requests.js';
import type { Schema } from '../store/schema.js';

/** What a decision or an edit changes. */
export type RequestChange = Pick<
  RequestRow,
  'name' | 'revision' | 'state' | 'held' | 'retry_at' | 'serial' | 'updated_at' | 'object'
>;

const change = prepared((db, p: RequestChange & { before: number }) =>
  db
    .updateTable('requests')
    .set({
      revision: p.revision,
      state: p.state,
      held: p.held,
      retry_at: p.retry_at,
      serial: p.serial,
      updated_at: p.updated_at,
      object: p.object,
    })
    .where('name', '=', p.name)
    .where('revision', '=', p.before),
);

/** Writes the change if the request is still as it was at revision `before`; tells whether it was. */
export async function changeRequest(db: Kysely<Schema>, row: RequestChange, before: number): Promise<boolean> {
  return (await change.run(db, { ...row, before })) === 1;
}

export type UnsettledScope = {
  readonly signers: readonly string[];
  readonly node?: string;
  /** Of held requests only those whose retry time has come by then, milliseconds. */
  readonly dueAt?: number;
  /** Requests in the middle of being issued only if nothing was written to them since then: another replica may be at it. */
  readonly idleSince: number;
  readonly after: string;
  readonly limit: number;
};

/**
 * Names of requests that may be decided or issued now: approved and not issued, in the middle of being issued, held
 * for facts. Those that wait for a person have no retry time and are left out.
 */
export async function unsettledRequests(db: Kysely<Schema>, scope: UnsettledScope): Promise<string[]> {
  let query = db
    .selectFrom('requests')
    .select('name')
    .where('name', '>', scope.after)
    .where('signer_name', 'in', scope.signers)
    .where((e) => {
      const waiting = scope.dueAt === undefined ? e('retry_at', 'is not', null) : e('retry_at', '<=', scope.dueAt);
      const idle = e('updated_at', '<=', scope.idleSince);
      const inTheMiddle = e.and([e('held', '=', 0), e('state', 'in', ['pending', 'approved']), idle]);
      return e.or([inTheMiddle, e.and([e('state', '=', 'pending'), waiting])]);
    })
    .orderBy('name')
    .limit(scope.limit);
  if (scope.node !== undefined) query = query.where('node', '=', scope.node);
  return (await query.execute()).map((row) => row.name);
}
