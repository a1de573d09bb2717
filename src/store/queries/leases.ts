import type { Kysely, Selectable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type LeaseRow = Selectable<Schema['leases']>;

const byName = prepared((db, p: { name: string }) => db.selectFrom('leases').selectAll().where('name', '=', p.name));

export function findLease(db: Kysely<Schema>, name: string): Promise<LeaseRow | undefined> {
  return byName.first(db, { name });
}

/** Writes the lease as it is from now on. */
export async function putLease(db: Kysely<Schema>, row: LeaseRow): Promise<void> {
  const { name: _name, ...change } = row;
  await db
    .insertInto('leases')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doUpdateSet(change))
    .execute();
}
