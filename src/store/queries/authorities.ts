import type { Insertable, Kysely, Selectable } from 'kysely';

import type { Schema } from '../schema.js';

export type AuthorityRow = Selectable<Schema['authorities']>;
export type NewAuthorityRow = Insertable<Schema['authorities']>;
export type AuthorityCertificateRow = Selectable<Schema['authority_certificates']>;

/** Every authority of every ring, oldest first. There are a few per ring, destroyed ones included. */
export function listAuthorities(db: Kysely<Schema>): Promise<AuthorityRow[]> {
  return db.selectFrom('authorities').selectAll().orderBy('created_at').orderBy('ski').execute();
}

/** Every certificate of every authority, oldest first. */
export function listAuthorityCertificates(db: Kysely<Schema>): Promise<AuthorityCertificateRow[]> {
  return db.selectFrom('authority_certificates').selectAll().orderBy('created_at').orderBy('fingerprint').execute();
}

/** The certificates with these fingerprints, in no order. */
export function findAuthorityCertificates(
  db: Kysely<Schema>,
  fingerprints: readonly string[],
): Promise<AuthorityCertificateRow[]> {
  return db.selectFrom('authority_certificates').selectAll().where('fingerprint', 'in', fingerprints).execute();
}

export async function insertAuthority(db: Kysely<Schema>, row: NewAuthorityRow): Promise<void> {
  await db.insertInto('authorities').values(row).execute();
}

export async function insertAuthorityCertificate(db: Kysely<Schema>, row: AuthorityCertificateRow): Promise<void> {
  await db.insertInto('authority_certificates').values(row).execute();
}
