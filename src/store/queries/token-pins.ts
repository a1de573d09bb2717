import type { Kysely } from 'kysely';

import type { Schema } from '../schema.js';

/** Tokens that a machine may still join with and that were made before a time: what was printed with them is of then. */
export function listPinned(
  db: Kysely<Schema>,
  options: { readonly before: number; readonly now: number },
): Promise<{ id: string; expires_at: number | null }[]> {
  return db
    .selectFrom('tokens')
    .select(['id', 'expires_at'])
    .where('state', '=', 'active')
    .where('created_at', '<', options.before)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', options.now)]))
    .orderBy('id')
    .limit(1000)
    .execute();
}
