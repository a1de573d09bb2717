import type { Kysely, Transaction } from 'kysely';

import { RotundaError } from '../../errors.js';
import type { Schema } from '../schema.js';
import { changeFloor } from './changes.js';
import { listRequests, type RequestItem } from './requests.js';

/** A range of names. */
export type RangeQuery = {
  readonly resource: string;
  /** The state at this revision; the newest when left out. */
  readonly revision: number | undefined;
  /** Begins behind this name. */
  readonly after: string | undefined;
  readonly limit: number;
  readonly signerName?: string;
  /** Throws rather than show an object as it is now, where the log no longer has how it was. */
  readonly exact?: boolean;
};

/** All objects of a range in the order of the database; `end` is its last name, undefined where it reaches to the last. */
export type Range = {
  readonly items: readonly RequestItem[];
  readonly revision: number;
  readonly end: string | undefined;
};

type PastQuery = RangeQuery & { readonly revision: number };

/**
 * Requests by name as they were at a revision: today's rows that have not changed since, and for the others their newest
 * entry in the change log up to then. Throws 'expired' when the log does not reach back. Objects of other signers may be
 * among them, where they changed since.
 */
export async function readRange(db: Kysely<Schema>, query: RangeQuery): Promise<Range> {
  const { after, limit, signerName, revision } = query;
  if (revision !== undefined) {
    return db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute((tx) => readPast(tx, { ...query, revision }));
  }
  const page = await listRequests(db, {
    limit,
    ...(after === undefined ? {} : { after }),
    ...(signerName === undefined ? {} : { signerName }),
  });
  return { ...page, end: page.items.length < limit ? undefined : page.items.at(-1)?.name };
}

async function readPast(tx: Transaction<Schema>, query: PastQuery): Promise<Range> {
  const { revision, limit } = query;
  if ((await changeFloor(tx)) > revision) throw gone();
  const changed = new Set(await changedNames(tx, query));
  const names = await namesOf(tx, query, changed.size > 0);
  const end = names.length < limit ? undefined : names.at(-1);
  if (names.length === 0) return { items: [], revision, end };
  const rows = await tx.selectFrom('requests').select(['name', 'object']).where('name', 'in', names).execute();
  const today = new Map(rows.map(({ name, object }) => [name, object]));
  const items: RequestItem[] = [];
  for (const name of names) {
    const object = changed.has(name) ? await objectAt(tx, query, name, today.get(name)) : today.get(name);
    if (object !== undefined) items.push({ name, object });
  }
  return { items, revision, end };
}

function gone(): RotundaError {
  return new RotundaError('expired', 'The resourceVersion for the provided list is too old.');
}

/** Names of what changed above the revision, within one page of them. */
async function changedNames(
  tx: Transaction<Schema>,
  { resource, revision, after, limit }: PastQuery,
): Promise<string[]> {
  let query = tx
    .selectFrom('changes')
    .select('name')
    .distinct()
    .where('resource', '=', resource)
    .where('revision', '>', revision);
  if (after !== undefined) query = query.where('name', '>', after);
  return (await query.orderBy('name').limit(limit).execute()).map(({ name }) => name);
}

/** Names in the range, of today's objects and, where any did, of those that changed since: sorted as one. */
async function namesOf(tx: Transaction<Schema>, query: PastQuery, anyChanged: boolean): Promise<string[]> {
  const { resource, revision, after = '', limit, signerName } = query;
  let today = tx.selectFrom('requests').select('name').where('name', '>', after);
  if (signerName !== undefined) today = today.where('signer_name', '=', signerName);
  const touched = tx
    .selectFrom('changes')
    .select('name')
    .where('resource', '=', resource)
    .where('revision', '>', revision)
    .where('name', '>', after);
  const all = anyChanged ? today.union(touched) : today;
  return (await all.orderBy('name').limit(limit).execute()).map(({ name }) => name);
}

async function objectAt(
  tx: Transaction<Schema>,
  { resource, revision, exact }: PastQuery,
  name: string,
  now: string | undefined,
): Promise<string | undefined> {
  const of = tx.selectFrom('changes').where('resource', '=', resource).where('name', '=', name);
  const before = await of
    .select(['type', 'object'])
    .where('revision', '<=', revision)
    .orderBy('revision', 'desc')
    .executeTakeFirst();
  if (before !== undefined) return before.type === 'DELETED' ? undefined : before.object;
  const next = await of.select('type').where('revision', '>', revision).orderBy('revision').executeTakeFirst();
  if (next?.type === 'ADDED') return undefined;
  // It was there, and the entry that says how is gone from the log.
  if (exact === true) throw gone();
  return now;
}
