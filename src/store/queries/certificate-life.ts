import type { Kysely, Selectable, Transaction } from 'kysely';

import type { Schema } from '../schema.js';

export type CertificateLifeRow = Pick<
  Selectable<Schema['certificates']>,
  'ring' | 'common_name' | 'not_after' | 'revoked_at' | 'superseded_at'
>;

/** Whether a certificate can still be presented, and whose it is. */
export function findLife(db: Kysely<Schema>, serial: string): Promise<CertificateLifeRow | undefined> {
  return db
    .selectFrom('certificates')
    .select(['ring', 'common_name', 'not_after', 'revoked_at', 'superseded_at'])
    .where('serial', '=', serial)
    .executeTakeFirst();
}

/** Nothing presents it any more, whatever was issued in its place. */
export async function markOutOfUse(db: Transaction<Schema>, serial: string, at: number): Promise<void> {
  await db
    .updateTable('certificates')
    .set({ superseded_at: at })
    .where('serial', '=', serial)
    .where('superseded_at', 'is', null)
    .execute();
}
