import { type Kysely, type Selectable } from 'kysely';

import { insertRows, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';
import type { Change } from '../types.js';

/** Appends to the change log. */
export const insertChanges = insertRows('changes', [
  'revision',
  'resource',
  'name',
  'type',
  'object',
  'previous',
  'created_at',
]);

type ChangeRow = Selectable<Schema['changes']>;

const page = prepared((db, p: { after: number; upTo: number; limit: number }) =>
  db
    .selectFrom('changes')
    .select(['revision', 'resource', 'name', 'type', 'object', 'previous'])
    .where('revision', '>', p.after)
    .where('revision', '<=', p.upTo)
    .orderBy('revision')
    .limit(p.limit),
);

const pageOfResource = prepared((db, p: { after: number; upTo: number; limit: number; resource: string }) =>
  db
    .selectFrom('changes')
    .select(['revision', 'resource', 'name', 'type', 'object', 'previous'])
    .where('revision', '>', p.after)
    .where('revision', '<=', p.upTo)
    .where('resource', '=', p.resource)
    .orderBy('revision')
    .limit(p.limit),
);

const pageOfObject = prepared((db, p: { after: number; upTo: number; limit: number; resource: string; name: string }) =>
  db
    .selectFrom('changes')
    .select(['revision', 'resource', 'name', 'type', 'object', 'previous'])
    .where('resource', '=', p.resource)
    .where('name', '=', p.name)
    .where('revision', '>', p.after)
    .where('revision', '<=', p.upTo)
    .orderBy('revision')
    .limit(p.limit),
);

/** Changes with `after < revision <= upTo`, oldest first, at most `limit`; of one resource, and one object, where named. */
export async function listChanges(
  db: Kysely<Schema>,
  query: { after: number; upTo: number; limit: number; resource?: string; name?: string },
): Promise<Change[]> {
  const { resource, name, ...range } = query;
  const rows =
    resource === undefined
      ? await page.all(db, range)
      : name === undefined
        ? await pageOfResource.all(db, { ...range, resource })
        : await pageOfObject.all(db, { ...range, resource, name });
  return rows.map(toChange);
}

function toChange(row: Omit<ChangeRow, 'created_at'>): Change {
  return { ...row, previous: row.previous ?? undefined };
}

/** Whether the log holds a change of the resource above `revision`. */
export async function hasChangedSince(db: Kysely<Schema>, resource: string, revision: number): Promise<boolean> {
  const found = await db
    .selectFrom('changes')
    .select('revision')
    .where('resource', '=', resource)
    .where('revision', '>', revision)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined || (await changeFloor(db)) > revision;
}

const counter = prepared((db, _p: object) => db.selectFrom('revisions').select('value').where('id', '=', 1));

/** The newest committed revision. */
export async function currentRevision(db: Kysely<Schema>): Promise<number> {
  const row = await counter.first(db, {});
  if (row === undefined) throw new Error('the revision counter is missing');
  return row.value;
}

const floorKey = 'changes.floor';
const floor = prepared((db, _p: object) => db.selectFrom('settings').select('value').where('key', '=', floorKey));

/** The newest revision whose change may have been pruned: the log is whole above it. */
export async function changeFloor(db: Kysely<Schema>): Promise<number> {
  return Number((await floor.first(db, {}))?.value ?? 0);
}

/**
 * Deletes at most `step` of the oldest changes: those beyond the newest `keep` that were also made before `olderThan`.
 * To be called inside a write. Returns how many went.
 */
export async function pruneChanges(
  db: Kysely<Schema>,
  options: { keep: number; olderThan: number; step: number },
): Promise<number> {
  const newestSpare = await db
    .selectFrom('changes')
    .select('revision')
    .orderBy('revision', 'desc')
    .offset(options.keep)
    .limit(1)
    .executeTakeFirst();
  if (newestSpare === undefined) return 0;
  const oldest = await db
    .selectFrom('changes')
    .select(['revision', 'created_at'])
    .where('revision', '<=', newestSpare.revision)
    .orderBy('revision')
    .limit(options.step)
    .execute();
  const young = oldest.findIndex((row) => row.created_at >= options.olderThan);
  const going = young === -1 ? oldest : oldest.slice(0, young);
  const last = going.at(-1);
  if (last === undefined) return 0;
  await db.deleteFrom('changes').where('revision', '<=', last.revision).execute();
  await db
    .insertInto('settings')
    .values({ key: floorKey, value: String(last.revision) })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(last.revision) }))
    .execute();
  return going.length;
}
