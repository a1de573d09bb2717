import type { Kysely, Selectable, Transaction, Updateable } from 'kysely';

import type { Schema } from '../schema.js';

export type KeySetRow = Selectable<Schema['key_sets']>;
export type SigningKeyRow = Selectable<Schema['signing_keys']>;

export function listKeySets(db: Kysely<Schema>): Promise<KeySetRow[]> {
  return db.selectFrom('key_sets').selectAll().orderBy('ring').execute();
}

export function findKeySet(db: Kysely<Schema>, ring: string): Promise<KeySetRow | undefined> {
  return db.selectFrom('key_sets').selectAll().where('ring', '=', ring).executeTakeFirst();
}

/** The keys of a ring, oldest first, those that are not used any more included. */
export function listSigningKeys(db: Kysely<Schema>, ring: string): Promise<SigningKeyRow[]> {
  return db
    .selectFrom('signing_keys')
    .selectAll()
    .where('ring', '=', ring)
    .orderBy('created_at')
    .orderBy('kid')
    .execute();
}

/** Of whichever ring it is. */
export function findSigningKey(db: Kysely<Schema>, kid: string): Promise<SigningKeyRow | undefined> {
  return db.selectFrom('signing_keys').selectAll().where('kid', '=', kid).executeTakeFirst();
}

export async function insertKeySet(db: Transaction<Schema>, row: KeySetRow): Promise<void> {
  await db.insertInto('key_sets').values(row).execute();
}

export async function insertSigningKey(db: Transaction<Schema>, row: SigningKeyRow): Promise<void> {
  await db.insertInto('signing_keys').values(row).execute();
}

/** Changes a set if it is still in `epoch`; answers whether it was. */
export async function changeKeySet(
  db: Transaction<Schema>,
  set: { readonly ring: string; readonly epoch: number },
  change: Updateable<Schema['key_sets']>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('key_sets')
    .set(change)
    .where('ring', '=', set.ring)
    .where('epoch', '=', set.epoch)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function changeSigningKey(
  db: Transaction<Schema>,
  kid: string,
  change: Updateable<Schema['signing_keys']>,
): Promise<void> {
  await db.updateTable('signing_keys').set(change).where('kid', '=', kid).execute();
}
