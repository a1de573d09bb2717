import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';

import { insertRow, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type BanRow = Selectable<Schema['bans']>;

/** Every ban. The table holds what people and replacements refused, and stays small beside the inventory. */
export function readBans(db: Kysely<Schema>): Promise<BanRow[]> {
  return db.selectFrom('bans').selectAll().execute();
}

const insert = insertRow('bans', ['kind', 'ring', 'value', 'reason', 'created_at', 'created_by'], 'ignore');

/** Writes a ban; one that is there already stays as it was. */
export async function insertBan(db: Transaction<Schema>, row: BanRow): Promise<void> {
  await insert(db, row);
}

export async function deleteBan(
  db: Transaction<Schema>,
  kind: BanRow['kind'],
  ring: string,
  value: string,
): Promise<void> {
  await db.deleteFrom('bans').where('kind', '=', kind).where('ring', '=', ring).where('value', '=', value).execute();
}

type Banned = { readonly ring: string; readonly serial: string; readonly commonName: string };

const banOf = prepared((db, parameters: Banned) =>
  db
    .selectFrom('bans')
    .select('value')
    .where('ring', '=', parameters.ring)
    .where((where) =>
      where.or([
        where.and([where('kind', '=', 'serial'), where('value', '=', parameters.serial)]),
        where.and([where('kind', '=', 'identity'), where('value', '=', parameters.commonName)]),
      ]),
    )
    .limit(1),
);

/** Whether a serial or the identity behind it is banned, as this transaction sees it. */
export async function isBannedNow(db: Kysely<Schema>, certificate: Banned): Promise<boolean> {
  return (await banOf.first(db, certificate)) !== undefined;
}

const banOfSerial = prepared((db, parameters: { readonly ring: string; readonly serial: string }) =>
  db
    .selectFrom('bans')
    .select(['reason', 'created_at'])
    .where('kind', '=', sql.lit('serial'))
    .where('ring', '=', parameters.ring)
    .where('value', '=', parameters.serial),
);

/** Why and since when a serial is banned, as this transaction sees it; undefined when it is not. */
export function findSerialBan(
  db: Kysely<Schema>,
  certificate: { readonly ring: string; readonly serial: string },
): Promise<Pick<BanRow, 'reason' | 'created_at'> | undefined> {
  return banOfSerial.first(db, certificate);
}

/** Marks a serial revoked in the inventory, once: the first time and reason stay. */
export async function markRevoked(
  db: Transaction<Schema>,
  revocation: { readonly serial: string; readonly at: number; readonly reason: string },
): Promise<void> {
  await db
    .updateTable('certificates')
    .set({ revoked_at: revocation.at, revocation_reason: revocation.reason })
    .where('serial', '=', revocation.serial)
    .where('revoked_at', 'is', null)
    .execute();
}

export type LiveCertificate = { readonly serial: string; readonly ring: string; readonly issued_at: number };

/** Live certificates of a node or of an etcd member: not expired, not revoked. */
export function liveCertificates(
  db: Kysely<Schema>,
  owner: { readonly node: string } | { readonly cluster: string; readonly member: string },
  now: number,
): Promise<LiveCertificate[]> {
  const query = db
    .selectFrom('certificates')
    .select(['serial', 'ring', 'issued_at'])
    .where('not_after', '>=', now)
    .where('revoked_at', 'is', null);
  if ('node' in owner) return query.where('node', '=', owner.node).execute();
  return query.where('cluster', '=', owner.cluster).where('member', '=', owner.member).execute();
}

/**
 * Serials for a node that are on their way: in the ledger as intended, and not yet in the inventory. The ledger knows a
 * node by the subject only, whose text escapes what separates its parts.
 */
export async function certificatesOnTheirWay(
  db: Kysely<Schema>,
  node: string,
): Promise<{ serial: string; ring: string }[]> {
  const rows = await db
    .selectFrom('ledger')
    .select(['serial', 'ring', 'subject'])
    .where(sql<boolean>`state = 'intended'`)
    .execute();
  return rows.filter(({ subject }) => subject.split(',').includes(`CN=system:node:${node}`));
}

/** The ring that a serial was signed in, by the ledger: it knows serials whose certificate is not recorded yet. */
export async function ringOfSerial(db: Kysely<Schema>, serial: string): Promise<string | undefined> {
  const row = await db.selectFrom('ledger').select('ring').where('serial', '=', serial).executeTakeFirst();
  return row?.ring;
}

type BanKey = Pick<BanRow, 'ring' | 'value'>;

/** Bans on serials, in order, behind a place among them. */
export function pageOfSerialBans(db: Kysely<Schema>, page: { after: BanKey; limit: number }): Promise<BanKey[]> {
  const { ring, value } = page.after;
  return db
    .selectFrom('bans')
    .select(['ring', 'value'])
    .where('kind', '=', 'serial')
    .where((e) => e.or([e('ring', '>', ring), e.and([e('ring', '=', ring), e('value', '>', value)])]))
    .orderBy('ring')
    .orderBy('value')
    .limit(page.limit)
    .execute();
}

/** Of these, the bans whose certificate had expired before a time, milliseconds, by the ledger. */
export function expiredSerialBans(
  db: Kysely<Schema>,
  { serials, before }: { serials: readonly string[]; before: number },
): Promise<BanKey[]> {
  return db
    .selectFrom('bans')
    .innerJoin('ledger', (join) =>
      join.onRef('ledger.serial', '=', 'bans.value').onRef('ledger.ring', '=', 'bans.ring'),
    )
    .select(['bans.ring', 'bans.value'])
    .where('bans.kind', '=', 'serial')
    .where('bans.value', 'in', serials)
    .where('ledger.not_after', '<', before)
    .execute();
}
