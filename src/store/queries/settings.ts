import type { Kysely } from 'kysely';

import type { Schema } from '../schema.js';

export async function findSetting(db: Kysely<Schema>, key: string): Promise<string | undefined> {
  const row = await db.selectFrom('settings').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}

/** Stores `value` unless there is one already, and returns the one that holds. To be called inside a write. */
export async function settleSetting(db: Kysely<Schema>, key: string, value: string): Promise<string> {
  const found = await findSetting(db, key);
  if (found !== undefined) return found;
  await db.insertInto('settings').values({ key, value }).execute();
  return value;
}

/** Stores `value` in place of whatever there was. To be called inside a write. */
export async function putSetting(db: Kysely<Schema>, key: string, value: string): Promise<void> {
  await deleteSetting(db, key);
  await db.insertInto('settings').values({ key, value }).execute();
}

/** Answers whether there was such a setting. To be called inside a write. */
export async function deleteSetting(db: Kysely<Schema>, key: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom('settings').where('key', '=', key).executeTakeFirst();
  return numDeletedRows > 0n;
}
