import type { Insertable, Kysely, Selectable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type RingRow = Selectable<Schema['rings']>;

/** Every ring there is, by name. */
export function listRings(db: Kysely<Schema>): Promise<RingRow[]> {
  return db.selectFrom('rings').selectAll().orderBy('name').execute();
}

export async function insertRing(db: Kysely<Schema>, row: Insertable<Schema['rings']>): Promise<void> {
  await db.insertInto('rings').values(row).execute();
}

const generation = prepared<{ name: string }, { generation: number }>((db, { name }) =>
  db.selectFrom('rings').select('generation').where('name', '=', name),
);

/** The generation of a ring's current bundle as the database has it, whoever changed it. */
export async function currentGeneration(db: Kysely<Schema>, name: string): Promise<number | undefined> {
  return (await generation.first(db, { name }))?.generation;
}

export function findRing(db: Kysely<Schema>, name: string): Promise<RingRow | undefined> {
  return db.selectFrom('rings').selectAll().where('name', '=', name).executeTakeFirst();
}

/** Whether a joiner that states no bundle has to wait in one of these rings, as the database has it. */
export async function anyJoinsHeld(db: Kysely<Schema>, names: readonly string[]): Promise<boolean> {
  const row = await db
    .selectFrom('rings')
    .select('name')
    .where('name', 'in', names)
    .where('joins_held', '=', 1)
    .executeTakeFirst();
  return row !== undefined;
}
