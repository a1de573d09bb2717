import { type ExpressionBuilder, type Insertable, type Kysely, type Selectable, sql, type Transaction } from 'kysely';

import { insertRow, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type ConsumerRow = Selectable<Schema['consumers']>;

const byName = prepared((db, p: { name: string }) => db.selectFrom('consumers').selectAll().where('name', '=', p.name));

export function findConsumer(db: Kysely<Schema>, name: string): Promise<ConsumerRow | undefined> {
  return byName.first(db, { name });
}

const columns = [
  'name',
  'class',
  'node',
  'source',
  'state',
  'process',
  'process_started_at',
  'last_seen_at',
  'lease_ms',
  'expires_at',
  'software',
  'endpoints',
  'algorithms',
  'clock_skew_ms',
  'quarantined_at',
  'quarantined_by',
  'quarantine_reason',
  'created_at',
  'created_by',
  'revision',
] as const;

const insert = insertRow('consumers', columns, 'ignore');

/** False where there is one of this name; it stays as it is. */
export async function insertConsumer(db: Transaction<Schema>, row: Insertable<Schema['consumers']>): Promise<boolean> {
  return (await insert(db, row)) === 1;
}

const update = prepared<ConsumerRow, never>((db, row) =>
  db
    .updateTable('consumers')
    .set({
      node: row.node,
      source: row.source,
      state: row.state,
      process: row.process,
      process_started_at: row.process_started_at,
      last_seen_at: row.last_seen_at,
      lease_ms: row.lease_ms,
      expires_at: row.expires_at,
      software: row.software,
      endpoints: row.endpoints,
      algorithms: row.algorithms,
      clock_skew_ms: row.clock_skew_ms,
      quarantined_at: row.quarantined_at,
      quarantined_by: row.quarantined_by,
      quarantine_reason: row.quarantine_reason,
      created_at: row.created_at,
      created_by: row.created_by,
      revision: row.revision,
    })
    .where('name', '=', row.name),
);

/** Writes the row of its name as a whole. */
export async function updateConsumer(db: Transaction<Schema>, row: ConsumerRow): Promise<void> {
  await update.run(db, row);
}

const raise = prepared<{ name: string; at: number }, never>((db, p) =>
  db.updateTable('consumers').set({ expires_at: p.at }).where('name', '=', p.name).where('expires_at', '<', p.at),
);

/** Puts the end of a consumer off; one that has none keeps none. */
export async function raiseExpiry(db: Transaction<Schema>, name: string, at: number): Promise<void> {
  await raise.run(db, { name, at });
}

export async function endConsumer(db: Transaction<Schema>, name: string, at: number): Promise<void> {
  await db.updateTable('consumers').set({ expires_at: at }).where('name', '=', name).execute();
}

export async function deleteConsumer(db: Transaction<Schema>, name: string): Promise<void> {
  await db.deleteFrom('consumer_rings').where('consumer', '=', name).execute();
  await db.deleteFrom('consumers').where('name', '=', name).execute();
}

export type ConsumerQuery = {
  readonly limit: number;
  readonly after?: string | undefined;
  readonly ring?: string | undefined;
  readonly class?: string | undefined;
  readonly state?: 'live' | 'silent' | 'quarantined' | 'gone' | undefined;
  readonly now: number;
};

/** A page by name. */
export function listConsumers(db: Kysely<Schema>, page: ConsumerQuery): Promise<ConsumerRow[]> {
  const { ring, state, now } = page;
  let query = db.selectFrom('consumers').selectAll().orderBy('name').limit(page.limit);
  if (page.after !== undefined) query = query.where('name', '>', page.after);
  if (page.class !== undefined) query = query.where('class', '=', page.class);
  if (ring !== undefined)
    query = query.where('name', 'in', db.selectFrom('consumer_rings').select('consumer').where('ring', '=', ring));
  if (state !== undefined) query = query.where((e) => inState(e, state, now));
  return query.execute();
}

/** Quarantined comes before gone, gone before silent. */
function inState(
  e: ExpressionBuilder<Schema, 'consumers'>,
  state: NonNullable<ConsumerQuery['state']>,
  now: number,
): ReturnType<typeof e.and> {
  const quarantined = e('state', '=', 'quarantined');
  if (state === 'quarantined') return e.and([quarantined]);
  const gone = e.and([e('expires_at', 'is not', null), e('expires_at', '<=', now)]);
  if (state === 'gone') return e.and([e.not(quarantined), gone]);
  const silent = e.and([
    e('lease_ms', 'is not', null),
    sql<boolean>`coalesce(last_seen_at, created_at) + lease_ms < ${now}`,
  ]);
  return e.and([e.not(quarantined), e.not(gone), state === 'silent' ? silent : e.not(silent)]);
}

/** What is kept in memory. */
export async function quarantinedNames(db: Kysely<Schema>): Promise<string[]> {
  const rows = await db.selectFrom('consumers').select('name').where('state', '=', 'quarantined').execute();
  return rows.map((row) => row.name);
}

export async function namesOfSource(db: Kysely<Schema>, source: ConsumerRow['source']): Promise<string[]> {
  const rows = await db.selectFrom('consumers').select('name').where('source', '=', source).execute();
  return rows.map((row) => row.name);
}

export async function countOfClass(db: Kysely<Schema>, ring: string, name: string, now: number): Promise<number> {
  const row = await db
    .selectFrom('consumers')
    .innerJoin('consumer_rings', 'consumer_rings.consumer', 'consumers.name')
    .select((e) => e.fn.countAll<number>().as('count'))
    .where('consumer_rings.ring', '=', ring)
    .where('consumer_rings.verifies', '=', 1)
    .where('consumers.class', '=', name)
    .where('consumers.state', '=', 'live')
    .where((e) => e.or([e('consumers.expires_at', 'is', null), e('consumers.expires_at', '>', now)]))
    .executeTakeFirst();
  return row?.count ?? 0;
}

export type Holder = {
  readonly node?: string;
  readonly cluster?: string;
  readonly member?: string;
  readonly commonName?: string;
  readonly rings?: readonly string[];
};

export type LiveLeafRow = Pick<
  Selectable<Schema['certificates']>,
  'serial' | 'ring' | 'profile' | 'common_name' | 'not_after'
>;

/** Certificates of a holder that neither expired nor were revoked, those that last longest first. */
export async function liveLeaves(
  db: Kysely<Schema>,
  holder: Holder,
  page: { readonly now: number; readonly limit: number },
): Promise<LiveLeafRow[]> {
  let query = db
    .selectFrom('certificates')
    .select(['serial', 'ring', 'profile', 'common_name', 'not_after'])
    .where('not_after', '>', page.now)
    .where('revoked_at', 'is', null);
  if (holder.node !== undefined) query = query.where('node', '=', holder.node);
  if (holder.cluster !== undefined) query = query.where('cluster', '=', holder.cluster);
  if (holder.member !== undefined) query = query.where('member', '=', holder.member);
  if (holder.commonName !== undefined) query = query.where('common_name', '=', holder.commonName);
  if (holder.rings !== undefined) {
    if (holder.rings.length === 0) return [];
    query = query.where('ring', 'in', holder.rings);
  }
  return query.orderBy('not_after', 'desc').orderBy('serial').limit(page.limit).execute();
}
