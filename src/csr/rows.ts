import type { Kysely, Selectable } from 'kysely';

import { insertRow, prepared } from '../store/precompiled.js';
import type { Schema } from '../store/schema.js';

export type RequestRow = Selectable<Schema['requests']>;
type Db = Kysely<Schema>;

const columns = [
  ...(['name', 'uid', 'revision', 'signer_name', 'username', 'state', 'held', 'retry_at', 'node', 'key_id'] as const),
  ...(['serial', 'token_id', 'requester', 'created_at', 'updated_at', 'object'] as const),
] as const;

/** Answers 0 when there is a request of this name already. */
export const insertRequest = insertRow('requests', columns, 'ignore');

const byName = prepared((db, p: { name: string }) => db.selectFrom('requests').selectAll().where('name', '=', p.name));

export function findRequest(db: Db, name: string): Promise<RequestRow | undefined> {
  return byName.first(db, { name });
}

const textByName = prepared((db, p: { name: string }) =>
  db.selectFrom('requests').select('object').where('name', '=', p.name),
);

export async function findRequestText(db: Db, name: string): Promise<string | undefined> {
  return (await textByName.first(db, { name }))?.object;
}

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
export async function updateRequest(db: Db, row: RequestChange, before: number): Promise<boolean> {
  return (await change.run(db, { ...row, before })) === 1;
}

const remove = prepared((db, p: { name: string }) => db.deleteFrom('requests').where('name', '=', p.name));

export async function deleteRequest(db: Db, name: string): Promise<void> {
  await remove.run(db, { name });
}

/** One page in name order, after the name `after`. */
export function listRequests(
  db: Db,
  page: {
    readonly after: string | undefined;
    readonly limit: number;
    readonly signerName?: string;
    readonly state?: RequestRow['state'];
  },
): Promise<Pick<RequestRow, 'name' | 'object'>[]> {
  let query = db.selectFrom('requests').select(['name', 'object']).orderBy('name').limit(page.limit);
  if (page.after !== undefined) query = query.where('name', '>', page.after);
  if (page.signerName !== undefined) query = query.where('signer_name', '=', page.signerName);
  if (page.state !== undefined) query = query.where('state', '=', page.state);
  return query.execute();
}

/** How many there are behind `after`, with the same conditions as listRequests. */
export async function countRequests(
  db: Db,
  page: { readonly after: string; readonly signerName?: string; readonly state?: RequestRow['state'] },
): Promise<number> {
  let query = db
    .selectFrom('requests')
    .select((e) => e.fn.countAll<number | string>().as('count'))
    .where('name', '>', page.after);
  if (page.signerName !== undefined) query = query.where('signer_name', '=', page.signerName);
  if (page.state !== undefined) query = query.where('state', '=', page.state);
  return Number((await query.executeTakeFirst())?.count ?? 0);
}

/**
 * Names of requests that may be decided or issued now: approved and not issued, in the middle of being issued, held
 * for facts. Requests that wait for a person have no retry time and are left out, once they have been looked at.
 */
export async function unsettledRequests(
  db: Db,
  scope: {
    readonly signers: readonly string[];
    readonly node?: string;
    readonly dueAt?: number;
    readonly after: string;
    readonly limit: number;
  },
): Promise<string[]> {
  let query = db
    .selectFrom('requests')
    .select('name')
    .where('name', '>', scope.after)
    .where('signer_name', 'in', scope.signers)
    .where((e) => {
      const waiting = scope.dueAt === undefined ? e('retry_at', 'is not', null) : e('retry_at', '<=', scope.dueAt);
      return e.or([
        e('state', '=', 'approved'),
        e.and([e('state', '=', 'pending'), e.or([waiting, e('held', '=', 0)])]),
      ]);
    })
    .orderBy('name')
    .limit(scope.limit);
  if (scope.node !== undefined) query = query.where('node', '=', scope.node);
  return (await query.execute()).map((row) => row.name);
}
