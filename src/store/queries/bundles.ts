import type { Insertable, Kysely, Selectable } from 'kysely';

import type { Schema } from '../schema.js';

export type BundleRow = Selectable<Schema['bundles']>;
export type NewBundleRow = Insertable<Schema['bundles']>;

/** The current bundle of every ring. */
export function listCurrentBundles(db: Kysely<Schema>): Promise<BundleRow[]> {
  return db
    .selectFrom('bundles')
    .innerJoin('rings', (join) =>
      join.onRef('rings.name', '=', 'bundles.ring').onRef('rings.generation', '=', 'bundles.generation'),
    )
    .selectAll('bundles')
    .orderBy('bundles.ring')
    .execute();
}

export function findBundle(db: Kysely<Schema>, ring: string, generation: number): Promise<BundleRow | undefined> {
  return db
    .selectFrom('bundles')
    .selectAll()
    .where('ring', '=', ring)
    .where('generation', '=', generation)
    .executeTakeFirst();
}

export async function insertBundle(db: Kysely<Schema>, row: NewBundleRow): Promise<void> {
  await db.insertInto('bundles').values(row).execute();
}
