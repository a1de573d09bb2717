import type { Transaction } from 'kysely';

import type { Schema } from '../schema.js';

/** A consumer that is not there any more from `at` on, milliseconds. */
export async function endConsumer(db: Transaction<Schema>, name: string, at: number): Promise<void> {
  await db.updateTable('consumers').set({ expires_at: at }).where('name', '=', name).execute();
}
