import type { Kysely, Transaction, Updateable } from 'kysely';

import type { Schema } from '../schema.js';

/** The name of rings in the change log. */
export const ringChanges = 'rings';

/** Changes a ring if it is still in `epoch`; answers whether it was. */
export async function changeRing(
  db: Transaction<Schema>,
  ring: { readonly name: string; readonly epoch: number },
  change: Updateable<Schema['rings']>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('rings')
    .set(change)
    .where('name', '=', ring.name)
    .where('epoch', '=', ring.epoch)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function changeAuthority(
  db: Transaction<Schema>,
  ski: string,
  change: Updateable<Schema['authorities']>,
): Promise<void> {
  await db.updateTable('authorities').set(change).where('ski', '=', ski).execute();
}

/** Of the certificates that an authority issued to itself, the newest is not used any more; its first one stays. */
export async function withdrawNewest(db: Transaction<Schema>, ski: string): Promise<void> {
  const newest = await db
    .selectFrom('authority_certificates')
    .select('fingerprint')
    .where('ski', '=', ski)
    .where('kind', '=', 'reissued')
    .orderBy('created_at', 'desc')
    .orderBy('fingerprint', 'desc')
    .executeTakeFirst();
  if (newest === undefined) return;
  await db
    .updateTable('authority_certificates')
    .set({ kind: 'withdrawn' })
    .where('fingerprint', '=', newest.fingerprint)
    .execute();
}

/** Everything that an authority is, as the database has it. */
export function findAuthority(db: Kysely<Schema>, ski: string) {
  return db.selectFrom('authorities').selectAll().where('ski', '=', ski).executeTakeFirst();
}

export type RingCertificateRow = {
  readonly fingerprint: string;
  readonly ski: string;
  readonly kind: Schema['authority_certificates']['kind'];
  readonly not_before: number;
  readonly not_after: number;
};

/** The certificates of all authorities of a ring, without their bytes, oldest first. */
export function certificatesOfRing(db: Kysely<Schema>, ring: string): Promise<RingCertificateRow[]> {
  return db
    .selectFrom('authority_certificates')
    .innerJoin('authorities', 'authorities.ski', 'authority_certificates.ski')
    .select([
      'authority_certificates.fingerprint',
      'authority_certificates.ski',
      'authority_certificates.kind',
      'authority_certificates.not_before',
      'authority_certificates.not_after',
    ])
    .where('authorities.ring', '=', ring)
    .orderBy('authority_certificates.created_at')
    .orderBy('authority_certificates.fingerprint')
    .execute();
}
