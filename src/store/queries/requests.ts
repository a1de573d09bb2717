import type { Insertable, Kysely, Selectable, SelectQueryBuilder } from 'kysely';

import { insertRow, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';
import { currentRevision } from './changes.js';

export type RequestRow = Selectable<Schema['requests']>;
export type NewRequestRow = Insertable<Schema['requests']>;

/** Keys to look by; all that are given must hold. */
export type RequestQuery = { readonly signerName?: string; readonly state?: RequestRow['state'] };

const insert = insertRow(
  'requests',
  [
    'name',
    'uid',
    'revision',
    'signer_name',
    'username',
    'state',
    'held',
    'retry_at',
    'node',
    'key_id',
    'serial',
    'token_id',
    'requester',
    'created_at',
    'updated_at',
    'object',
  ],
  'ignore',
);

/** Inserts unless the name is taken; answers whether it did. */
export async function insertRequest(db: Kysely<Schema>, row: NewRequestRow): Promise<boolean> {
  return (await insert(db, row)) === 1;
}

export type RequestChange = Omit<RequestRow, 'uid' | 'signer_name' | 'username' | 'requester' | 'created_at'>;

const update = prepared((db, p: RequestChange) =>
  db
    .updateTable('requests')
    .set({
      revision: p.revision,
      state: p.state,
      held: p.held,
      retry_at: p.retry_at,
      node: p.node,
      key_id: p.key_id,
      serial: p.serial,
      token_id: p.token_id,
      updated_at: p.updated_at,
      object: p.object,
    })
    .where('name', '=', p.name),
);

/** Replaces everything that can change; answers whether there was such a request. */
export async function updateRequest(db: Kysely<Schema>, row: RequestChange): Promise<boolean> {
  return (await update.run(db, row)) === 1;
}

const byName = prepared((db, p: { name: string }) => db.selectFrom('requests').selectAll().where('name', '=', p.name));

export function findRequest(db: Kysely<Schema>, name: string): Promise<RequestRow | undefined> {
  return byName.first(db, { name });
}

const objectByName = prepared((db, p: { name: string }) =>
  db.selectFrom('requests').select('object').where('name', '=', p.name),
);

/** The stored JSON text alone. */
export async function findRequestObject(db: Kysely<Schema>, name: string): Promise<string | undefined> {
  return (await objectByName.first(db, { name }))?.object;
}

const remove = prepared((db, p: { name: string }) => db.deleteFrom('requests').where('name', '=', p.name));

/** Answers whether there was such a request. */
export async function deleteRequest(db: Kysely<Schema>, name: string): Promise<boolean> {
  return (await remove.run(db, { name })) === 1;
}

export type RequestItem = Pick<RequestRow, 'name' | 'object'>;

/**
 * A page by name, beginning after `after`, and the revision at which it is true: both are read in one snapshot, so that
 * a watch from that revision neither misses nor repeats a change.
 */
export function listRequests(
  db: Kysely<Schema>,
  query: RequestQuery & { readonly after?: string; readonly limit: number },
): Promise<{ items: readonly RequestItem[]; revision: number }> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (snapshot) => {
      const revision = await currentRevision(snapshot);
      let page = narrow(snapshot.selectFrom('requests').select(['name', 'object']), query);
      if (query.after !== undefined) page = page.where('name', '>', query.after);
      return { items: await page.orderBy('name').limit(query.limit).execute(), revision };
    });
}

/** How many there are beyond `after`, for a list's remainingItemCount. */
export async function countRequests(
  db: Kysely<Schema>,
  query: RequestQuery & { readonly after?: string },
): Promise<number> {
  let all = narrow(
    db.selectFrom('requests').select((e) => e.fn.countAll<number>().as('count')),
    query,
  );
  if (query.after !== undefined) all = all.where('name', '>', query.after);
  return (await all.executeTakeFirst())?.count ?? 0;
}

/** Requests by state, for metrics. */
export function countRequestsByState(db: Kysely<Schema>): Promise<{ state: RequestRow['state']; count: number }[]> {
  return db
    .selectFrom('requests')
    .select(['state', (e) => e.fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute();
}

/**
 * Requests that something must still happen to: held or pending ones, and approved ones without a certificate; of one
 * node where named. A page by name, beginning after `after`.
 */
export function listUnfinishedRequests(
  db: Kysely<Schema>,
  query: { readonly node?: string; readonly after?: string; readonly limit: number },
): Promise<RequestRow[]> {
  let page = db.selectFrom('requests').selectAll().where('state', 'in', ['pending', 'approved']);
  if (query.node !== undefined) page = page.where('node', '=', query.node);
  if (query.after !== undefined) page = page.where('name', '>', query.after);
  return page.orderBy('name').limit(query.limit).execute();
}

/** Held requests whose retry time has come, oldest retry first. */
export function listDueRequests(
  db: Kysely<Schema>,
  query: { readonly now: number; readonly limit: number },
): Promise<RequestRow[]> {
  return db
    .selectFrom('requests')
    .selectAll()
    .where('state', '=', 'pending')
    .where('held', '=', 1)
    .where('retry_at', '<=', query.now)
    .orderBy('retry_at')
    .limit(query.limit)
    .execute();
}

/** Requests made before `createdBefore` in one of these states, oldest first: for the cleaner. */
export function listOldRequests(
  db: Kysely<Schema>,
  query: { readonly createdBefore: number; readonly states: readonly RequestRow['state'][]; readonly limit: number },
): Promise<RequestRow[]> {
  return db
    .selectFrom('requests')
    .selectAll()
    .where('created_at', '<', query.createdBefore)
    .where('state', 'in', [...query.states])
    .orderBy('created_at')
    .limit(query.limit)
    .execute();
}

function narrow<O>(builder: SelectQueryBuilder<Schema, 'requests', O>, query: RequestQuery): typeof builder {
  let narrowed = builder;
  if (query.signerName !== undefined) narrowed = narrowed.where('signer_name', '=', query.signerName);
  if (query.state !== undefined) narrowed = narrowed.where('state', '=', query.state);
  return narrowed;
}
