import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';

import type { CertificateFilter } from '../../ca/types.js';
import { RotundaError } from '../../errors.js';
import { insertRow, insertRows, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type CertificateRow = Selectable<Schema['certificates']>;
export type NewCertificateRow = Insertable<Schema['certificates']>;
export type NameRow = Selectable<Schema['certificate_names']>;
/** A row of the inventory with its subjectAltNames. */
export type CertificateWithNames = { readonly row: CertificateRow; readonly names: readonly NameRow[] };

const insert = insertRow('certificates', [
  'serial',
  'ring',
  'ski',
  'profile',
  'subject',
  'common_name',
  'node',
  'cluster',
  'member',
  'key_id',
  'fingerprint',
  'not_before',
  'not_after',
  'der',
  'requester',
  'request_name',
  'token_id',
  'issued_at',
  'first_used_at',
  'revoked_at',
  'revocation_reason',
  'renew_from',
  'renew_until',
]);

const insertNames = insertRows('certificate_names', ['serial', 'kind', 'value']);

/** Inserts the certificate with its names. Names must not repeat. */
export async function insertCertificate(
  db: Kysely<Schema>,
  row: NewCertificateRow,
  names: readonly Omit<NameRow, 'serial'>[],
): Promise<void> {
  const { serial } = row;
  await Promise.all([
    insert(db, row),
    insertNames(
      db,
      names.map(({ kind, value }) => ({ serial, kind, value })),
    ),
  ]);
}

const bySerial = prepared((db, p: { serial: string }) =>
  db.selectFrom('certificates').selectAll().where('serial', '=', p.serial),
);
const namesBySerial = prepared((db, p: { serial: string }) =>
  db.selectFrom('certificate_names').selectAll().where('serial', '=', p.serial).orderBy('kind').orderBy('value'),
);

export async function findCertificateWithNames(
  db: Kysely<Schema>,
  serial: string,
): Promise<CertificateWithNames | undefined> {
  const [row, names] = await Promise.all([bySerial.first(db, { serial }), namesBySerial.all(db, { serial })]);
  return row === undefined ? undefined : { row, names };
}

/**
 * A page of the inventory. Soonest expiry first when `expiresBefore` asks for what expires, otherwise latest expiry
 * first, so that what is in use comes before what is long over. Throws RotundaError 'bad-request' for a cursor that is
 * not one.
 */
export async function searchCertificates(
  db: Kysely<Schema>,
  filter: CertificateFilter,
): Promise<{ items: readonly CertificateWithNames[]; continue: string | undefined }> {
  const rows = await pageOf(db, filter);
  const page = rows.slice(0, filter.limit);
  const last = page.at(-1);
  const names = await namesOf(
    db,
    page.map((row) => row.serial),
  );
  return {
    items: page.map((row) => ({ row, names: names.get(row.serial) ?? [] })),
    continue: rows.length > filter.limit && last !== undefined ? encodeCursor(last) : undefined,
  };
}

function pageOf(db: Kysely<Schema>, filter: CertificateFilter): Promise<CertificateRow[]> {
  const ascending = filter.expiresBefore !== undefined;
  const direction = ascending ? 'asc' : 'desc';
  let query = narrow(db, filter);
  if (filter.continue !== undefined) {
    const { notAfter, serial } = decodeCursor(filter.continue);
    const past = ascending ? sql`>` : sql`<`;
    query = query.where(sql<boolean>`(not_after, serial) ${past} (${notAfter}, ${serial})`);
  }
  return query
    .orderBy('not_after', direction)
    .orderBy('serial', direction)
    .limit(filter.limit + 1)
    .execute();
}

function narrow(db: Kysely<Schema>, filter: CertificateFilter) {
  const { ring, node, cluster, member, profile, serial, name, address, expiresBefore, expiresAfter } = filter;
  const { authority, inUseAt } = filter;
  let query = db.selectFrom('certificates').selectAll();
  if (authority !== undefined) query = query.where('ski', '=', authority);
  if (inUseAt !== undefined)
    query = query.where('not_after', '>', inUseAt).where(sql<boolean>`superseded_at is null and revoked_at is null`);
  if (ring !== undefined) query = query.where('ring', '=', ring);
  if (node !== undefined) query = query.where('node', '=', node);
  if (cluster !== undefined) query = query.where('cluster', '=', cluster);
  if (member !== undefined) query = query.where('member', '=', member);
  if (profile !== undefined) query = query.where('profile', '=', profile);
  if (serial !== undefined) query = query.where('serial', '=', serial);
  if (expiresBefore !== undefined) query = query.where('not_after', '<=', expiresBefore);
  if (expiresAfter !== undefined) query = query.where('not_after', '>', expiresAfter);
  if (address !== undefined) query = query.where('serial', 'in', serialsNamed(db, 'ip', [address]));
  if (name !== undefined) {
    const byCommonName = db.selectFrom('certificates').select('serial').where('common_name', '=', name);
    query = query.where('serial', 'in', byCommonName.union(serialsNamed(db, 'dns', [name, name.toLowerCase()])));
  }
  return query;
}

function serialsNamed(db: Kysely<Schema>, kind: NameRow['kind'], spellings: readonly string[]) {
  return db.selectFrom('certificate_names').select('serial').where('kind', '=', kind).where('value', 'in', spellings);
}

async function namesOf(db: Kysely<Schema>, serials: readonly string[]): Promise<Map<string, NameRow[]>> {
  const bySerialOf = new Map<string, NameRow[]>();
  if (serials.length === 0) return bySerialOf;
  const rows = await db
    .selectFrom('certificate_names')
    .selectAll()
    .where('serial', 'in', [...serials])
    .orderBy('kind')
    .orderBy('value')
    .execute();
  for (const row of rows) {
    const known = bySerialOf.get(row.serial);
    if (known === undefined) bySerialOf.set(row.serial, [row]);
    else known.push(row);
  }
  return bySerialOf;
}

function encodeCursor(row: CertificateRow): string {
  return Buffer.from(`${String(row.not_after)}:${row.serial}`).toString('base64url');
}

function decodeCursor(cursor: string): { notAfter: number; serial: string } {
  const match = /^(\d{1,15}):([0-9a-f]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  const [, notAfter, serial] = match ?? [];
  if (notAfter === undefined || serial === undefined) {
    throw new RotundaError('bad-request', 'The continue token is not one that this service gave out');
  }
  return { notAfter: Number(notAfter), serial };
}

/** notAfter of the live certificate that expires next after `now`. */
export async function nextExpiry(db: Kysely<Schema>, now: number): Promise<number | undefined> {
  const row = await db
    .selectFrom('certificates')
    .select('not_after')
    .where('not_after', '>', now)
    .where('revoked_at', 'is', null)
    .orderBy('not_after')
    .limit(1)
    .executeTakeFirst();
  return row?.not_after;
}

/** Live certificates by ring that expire after `now` and at or before `now + withinMs`. Rings without any are left out. */
export async function countExpiring(
  db: Kysely<Schema>,
  now: number,
  withinMs: number,
): Promise<{ ring: string; count: number }[]> {
  return db
    .selectFrom('certificates')
    .select(['ring', (e) => e.fn.countAll<number>().as('count')])
    .where('not_after', '>', now)
    .where('not_after', '<=', now + withinMs)
    .where('revoked_at', 'is', null)
    .groupBy('ring')
    .execute();
}
