import type { Kysely } from 'kysely';

import type { Schema } from '../schema.js';

export type IdempotencyRow = {
  readonly key: string;
  readonly identity: string;
  readonly digest: string;
  /** 0 while the first call runs. */
  readonly status: number;
  readonly body: string;
  readonly created_at: number;
};

/** The answer kept under a key of one caller. */
export async function findIdempotencyKey(
  db: Kysely<Schema>,
  key: string,
  identity: string,
): Promise<IdempotencyRow | undefined> {
  return db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('key', '=', key)
    .where('identity', '=', identity)
    .executeTakeFirst();
}

/** Takes a key for a call that begins. */
export async function insertIdempotencyKey(db: Kysely<Schema>, row: IdempotencyRow): Promise<void> {
  await db.insertInto('idempotency_keys').values(row).execute();
}

/** Keeps the answer of the call that took the key. */
export async function completeIdempotencyKey(
  db: Kysely<Schema>,
  row: Pick<IdempotencyRow, 'key' | 'identity' | 'status' | 'body'>,
): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({ status: row.status, body: row.body })
    .where('key', '=', row.key)
    .where('identity', '=', row.identity)
    .execute();
}

/** Frees a key, for a call that came to nothing. */
export async function deleteIdempotencyKey(db: Kysely<Schema>, key: string, identity: string): Promise<void> {
  await db.deleteFrom('idempotency_keys').where('key', '=', key).where('identity', '=', identity).execute();
}

/** How long an answer is kept for a repeated call. */
export const idempotencyKeysKeptMs = 24 * 3_600_000;

/** Drops at most `limit` of what was kept before a time, milliseconds, the oldest first. Returns how many went. */
export async function dropIdempotencyKeys(
  db: Kysely<Schema>,
  { before, limit }: { before: number; limit: number },
): Promise<number> {
  const old = await db
    .selectFrom('idempotency_keys')
    .select(['identity', 'key'])
    .where('created_at', '<', before)
    .orderBy('created_at')
    .limit(limit)
    .execute();
  for (const { key, identity } of old) await deleteIdempotencyKey(db, key, identity);
  return old.length;
}
