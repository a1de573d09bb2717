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
