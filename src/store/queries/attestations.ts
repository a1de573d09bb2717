import type { Kysely, Selectable, Transaction } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type AttestationRow = Selectable<Schema['attestations']>;

export async function insertAttestation(db: Transaction<Schema>, row: AttestationRow): Promise<void> {
  await db.insertInto('attestations').values(row).execute();
}

export function findAttestation(db: Kysely<Schema>, id: string): Promise<AttestationRow | undefined> {
  return db.selectFrom('attestations').selectAll().where('id', '=', id).executeTakeFirst();
}

/** All there are, also those that are over: people make them one by one. */
export function listAttestations(db: Kysely<Schema>, ring?: string): Promise<AttestationRow[]> {
  const query = db.selectFrom('attestations').selectAll();
  return (ring === undefined ? query : query.where('ring', '=', ring)).execute();
}

const live = prepared((db, p: { ring: string; now: number }) =>
  db
    .selectFrom('attestations')
    .selectAll()
    .where('ring', '=', p.ring)
    .where('expires_at', '>', p.now)
    .where('revoked_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id'),
);

/** Those of a ring that count, oldest first. */
export function liveAttestations(
  db: Kysely<Schema>,
  of: { readonly ring: string; readonly now: number },
): Promise<AttestationRow[]> {
  return live.all(db, of);
}

export async function revokeAttestationRow(db: Transaction<Schema>, id: string, at: number): Promise<void> {
  await db
    .updateTable('attestations')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute();
}
