import type { Kysely, Selectable, Transaction } from 'kysely';

import type { Schema } from '../schema.js';

/** A consumer that is not there any more from `at` on, milliseconds. */
export async function endConsumer(db: Transaction<Schema>, name: string, at: number): Promise<void> {
  await db.updateTable('consumers').set({ expires_at: at }).where('name', '=', name).execute();
}

/** Replicas of this service whose end was before a time, milliseconds; those that went first, first. */
export function listEndedReplicas(
  db: Kysely<Schema>,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<Selectable<Schema['consumers']>[]> {
  return db
    .selectFrom('consumers')
    .selectAll()
    .where('source', '=', 'service')
    .where('expires_at', '<', before)
    .orderBy('expires_at')
    .limit(limit)
    .execute();
}
