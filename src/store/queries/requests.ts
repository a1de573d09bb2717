import { type Insertable, type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely';

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
    'clean_after',
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
      // Worked out by the cleaner, which reads it from the object.
      clean_after: null,
      object: p.object,
    })
    .where('name', '=', p.name)
    .where('revision', '=', p.before),
);

/** Writes the change if the request is still as it was at revision `before`; tells whether it was. */
export async function changeRequest(db: Kysely<Schema>, row: RequestChange, before: number): Promise<boolean> {
  return (await change.run(db, { ...row, before })) === 1;
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

export type UnsettledScope = {
  readonly signers: readonly string[];
  /** Only requests about one of these nodes. */
  readonly nodes?: readonly string[];
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
  if (scope.nodes !== undefined) query = query.where('node', 'in', scope.nodes);
  return (await query.execute()).map((row) => row.name);
}

/** How many wait for facts or for a person. */
export async function countHeldRequests(db: Kysely<Schema>): Promise<number> {
  const held = db
    .selectFrom('requests')
    .select((e) => e.fn.countAll<number>().as('count'))
    .where('held', '=', 1);
  return (await held.executeTakeFirstOrThrow()).count;
}

function narrow<O>(builder: SelectQueryBuilder<Schema, 'requests', O>, query: RequestQuery): typeof builder {
  let narrowed = builder;
  if (query.signerName !== undefined) narrowed = narrowed.where('signer_name', '=', query.signerName);
  if (query.state !== undefined) narrowed = narrowed.where('state', '=', query.state);
  return narrowed;
}

type Taken = Pick<RequestRow, 'name' | 'revision' | 'updated_at'> & { readonly at: number };

const take = prepared<Taken, never>((db, p) =>
  db
    .updateTable('requests')
    .set({ held: 0, retry_at: null, updated_at: p.at })
    .where('name', '=', p.name)
    .where('revision', '=', p.revision)
    .where('updated_at', '=', p.updated_at),
);

/**
 * Makes a request one that is in the middle of being issued, from `now` (milliseconds) on. Tells whether nobody else has
 * done so, or changed it, since `row` was read: of several that look at it at once, on any replica, one goes on.
 */
export async function takeRequest(
  db: Kysely<Schema>,
  { name, revision, updated_at }: Omit<Taken, 'at'>,
  now: number,
): Promise<boolean> {
  return (await take.run(db, { name, revision, updated_at, at: Math.max(now, updated_at + 1) })) === 1;
}

const requester = prepared<{ name: string; requester: string }, never>((db, p) =>
  db.updateTable('requests').set({ requester: p.requester }).where('name', '=', p.name),
);

/** Sets what is kept of who asked. No change that anybody sees: its revision stays. */
export async function setRequester(db: Kysely<Schema>, row: { name: string; requester: string }): Promise<void> {
  await requester.run(db, row);
}

/** A page by name, beginning after `after`, of requests created at `since` (milliseconds) or later. */
export function requestsSince(
  db: Kysely<Schema>,
  page: { readonly since: number; readonly after: string; readonly limit: number },
): Promise<RequestRow[]> {
  return db
    .selectFrom('requests')
    .selectAll()
    .where('name', '>', page.after)
    .where('created_at', '>=', page.since)
    .orderBy('name')
    .limit(page.limit)
    .execute();
}

/** What the cleaner looks at. */
export type CleanRow = Pick<
  RequestRow,
  'name' | 'uid' | 'state' | 'created_at' | 'updated_at' | 'requester' | 'object'
>;
const cleanColumns = ['name', 'uid', 'state', 'created_at', 'updated_at', 'requester', 'object'] as const;

const due = prepared((db, p: { now: number; limit: number }) =>
  db
    .selectFrom('requests')
    .select(cleanColumns)
    .where('clean_after', '<=', p.now)
    .orderBy('clean_after')
    .limit(p.limit),
);

/** Requests that were kept long enough by then, the longest overdue first. */
export function dueRequests(db: Kysely<Schema>, query: { now: number; limit: number }): Promise<CleanRow[]> {
  return due.all(db, query);
}

const undated = prepared((db, p: { limit: number }) =>
  db.selectFrom('requests').select(cleanColumns).where('clean_after', 'is', null).limit(p.limit),
);

/** Requests of which nobody has worked out yet how long they are kept. */
export function undatedRequests(db: Kysely<Schema>, limit: number): Promise<CleanRow[]> {
  return undated.all(db, { limit });
}

const inOrder = prepared((db, p: { after: string; limit: number }) =>
  db.selectFrom('requests').select(cleanColumns).where('name', '>', p.after).orderBy('name').limit(p.limit),
);

/** Any requests, by name. */
export function requestsAfter(db: Kysely<Schema>, query: { after: string; limit: number }): Promise<CleanRow[]> {
  return inOrder.all(db, query);
}

const date = prepared<{ name: string; cleanAfter: number }, never>((db, p) =>
  db.updateTable('requests').set({ clean_after: p.cleanAfter }).where('name', '=', p.name),
);

/** Sets from when on a request may be deleted. No change that anybody sees: its revision stays. */
export async function dateRequest(db: Kysely<Schema>, name: string, cleanAfter: number): Promise<void> {
  await date.run(db, { name, cleanAfter });
}

const olderHeld = prepared((db, p: { name: string; node: string; signerName: string; username: string }) =>
  db
    .selectFrom('requests')
    .select(['name', 'uid', 'requester', 'created_at', 'object'])
    .where('node', '=', p.node)
    .where('signer_name', '=', p.signerName)
    .where('username', '=', p.username)
    .where('held', '=', sql.lit(1))
    .where('state', '=', sql.lit('pending'))
    .where('retry_at', 'is not', null)
    .where('name', '!=', p.name)
    .limit(sql.lit(20)),
);

/** Other requests that one caller made for the same node and signer, and that wait for facts. */
export function olderHeldRequests(
  db: Kysely<Schema>,
  than: { readonly name: string; readonly node: string; readonly signerName: string; readonly username: string },
): Promise<Pick<RequestRow, 'name' | 'uid' | 'requester' | 'created_at' | 'object'>[]> {
  return olderHeld.all(db, than);
}
