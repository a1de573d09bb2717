import type { Kysely, Selectable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type RingRow = Selectable<Schema['rings']>;

/** Every ring there is, by name. */
export function listRings(db: Kysely<Schema>): Promise<RingRow[]> {
  return db.selectFrom('rings').selectAll().orderBy('name').execute();
}

export async function insertRing(db: Kysely<Schema>, row: RingRow): Promise<void> {
  await db.insertInto('rings').values(row).execute();
}

const generation = prepared<{ name: string }, { generation: number }>((db, { name }) =>
  db.selectFrom('rings').select('generation').where('name', '=', name),
);

/** The generation of a ring's current bundle as the database has it, whoever changed it. */
export async function currentGeneration(db: Kysely<Schema>, name: string): Promise<number | undefined> {
  return (await generation.first(db, { name }))?.generation;
}
