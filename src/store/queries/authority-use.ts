import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type LiveLeafRow = Pick<
  Selectable<Schema['certificates']>,
  'serial' | 'profile' | 'common_name' | 'not_after' | 'superseded_by'
>;

/** Counted no further: whether it is more is all that anybody asks. */
export const mostCounted = 10_000;

const live = prepared<{ ski: string; now: number }, { count: number }>(
  (_db, p) => sql`
    select count(*) as count from (
      select 1 from certificates
      where ski = ${p.ski} and not_after > ${p.now} and superseded_at is null and revoked_at is null
      limit 10001
    ) as found`,
);

/** Leaves of an authority that may still be presented: up to one more than `mostCounted`. */
export async function countLiveLeaves(db: Kysely<Schema>, ski: string, now: number): Promise<number> {
  return (await live.first(db, { ski, now }))?.count ?? 0;
}

/** Those of them that last longest. */
export function sampleLiveLeaves(db: Kysely<Schema>, ski: string, now: number, limit: number): Promise<LiveLeafRow[]> {
  return db
    .selectFrom('certificates')
    .select(['serial', 'profile', 'common_name', 'not_after', 'superseded_by'])
    .where('ski', '=', ski)
    .where('not_after', '>', now)
    .where(sql<boolean>`superseded_at is null and revoked_at is null`)
    .orderBy('not_after', 'desc')
    .limit(limit)
    .execute();
}

/** Serials of an authority that may have been signed and are not in the inventory. */
export async function countInFlight(db: Kysely<Schema>, ski: string): Promise<number> {
  const { count } = await db
    .selectFrom('ledger')
    .select((eb) => eb.fn.countAll().as('count'))
    .where(sql<boolean>`state = 'intended'`)
    .where('ski', '=', ski)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** What a certificate that is in use takes the place of: earlier ones of the same profile, for the one machine or member that it names. */
export async function supersedeEarlier(
  db: Transaction<Schema>,
  used: Pick<Selectable<Schema['certificates']>, 'serial' | 'profile' | 'node' | 'cluster' | 'member'> & {
    readonly issued_at: number;
  },
  at: number,
): Promise<string[]> {
  const { serial, profile, node, cluster, member, issued_at: issuedAt } = used;
  const earlier = db
    .selectFrom('certificates')
    .select('serial')
    .where('profile', '=', profile)
    // Two of one moment must not take each other's place: serials are never the same.
    .where((eb) =>
      eb.or([eb('issued_at', '<', issuedAt), eb.and([eb('issued_at', '=', issuedAt), eb('serial', '<', serial)])]),
    )
    .where('not_after', '>', at)
    .where(sql<boolean>`superseded_at is null and revoked_at is null`);
  const held =
    node !== null
      ? earlier.where('node', '=', node)
      : cluster !== null && member !== null
        ? earlier.where('cluster', '=', cluster).where('member', '=', member)
        : undefined;
  if (held === undefined) return [];
  const serials = (await held.execute()).map((row) => row.serial);
  await markSuperseded(db, serials, { by: serial, at });
  return serials;
}

/** They are proven to be in use no more. */
export async function markSuperseded(
  db: Transaction<Schema>,
  serials: readonly string[],
  { by, at }: { readonly by: string; readonly at: number },
): Promise<void> {
  if (serials.length === 0) return;
  await db
    .updateTable('certificates')
    .set({ superseded_at: at, superseded_by: by })
    .where('serial', 'in', serials)
    .where('superseded_at', 'is', null)
    .execute();
}

/** `by` was issued in place of `serial`; proven it is once `by` is seen in use. */
export async function noteSuccessor(db: Transaction<Schema>, serial: string, by: string): Promise<void> {
  await db.updateTable('certificates').set({ superseded_by: by }).where('serial', '=', serial).execute();
}

/** What was issued in place of a certificate that is not proven to be replaced. */
export async function findSuccessor(db: Kysely<Schema>, serial: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('certificates')
    .select('superseded_by')
    .where('serial', '=', serial)
    .where('superseded_at', 'is', null)
    .executeTakeFirst();
  return row?.superseded_by ?? undefined;
}

/** What `by` was issued in place of, now that it is in use. */
export async function settleSuccessor(db: Transaction<Schema>, by: string, at: number): Promise<void> {
  await db
    .updateTable('certificates')
    .set({ superseded_at: at })
    .where('superseded_by', '=', by)
    .where('superseded_at', 'is', null)
    .execute();
}

/** It is in use after all. */
export async function unsupersede(db: Transaction<Schema>, serial: string): Promise<void> {
  await db.updateTable('certificates').set({ superseded_at: null }).where('serial', '=', serial).execute();
}
