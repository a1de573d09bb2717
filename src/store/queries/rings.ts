import type { Kysely, Selectable } from 'kysely';

import type { Schema } from '../schema.js';

export type RingRow = Selectable<Schema['rings']>;

/** Every ring there is, by name. */
export function listRings(db: Kysely<Schema>): Promise<RingRow[]> {
  return db.selectFrom('rings').selectAll().orderBy('name').execute();
}

export async function insertRing(db: Kysely<Schema>, row: RingRow): Promise<void> {
  await db.insertInto('rings').values(row).execute();
}
