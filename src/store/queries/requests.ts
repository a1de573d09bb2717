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

function narrow<O>(builder: SelectQueryBuilder<Schema, 'requests', O>, query: RequestQuery): typeof builder {
  let narrowed = builder;
  if (query.signerName !== undefined) narrowed = narrowed.where('signer_name', '=', query.signerName);
  if (query.state !== undefined) narrowed = narrowed.where('state', '=', query.state);
  return narrowed;
}
