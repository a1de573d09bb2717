import { type Kysely, PostgresAdapter, type Selectable, sql, type Transaction } from 'kysely';

import { insertRow, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type ConsumerRingRow = Selectable<Schema['consumer_rings']>;

const insert = insertRow(
  'consumer_rings',
  [
    'ring',
    'consumer',
    'verifies',
    'presents',
    'joiner',
    'delivered',
    'delivered_at',
    'loaded',
    'evidence',
    'clean',
    'process',
    'acknowledged_at',
    'streams_since',
    'detail',
  ],
  'ignore',
);

/** A row that is there already stays as it is. */
export async function insertConsumerRing(db: Transaction<Schema>, row: ConsumerRingRow): Promise<void> {
  await insert(db, row);
}

const ofConsumer = prepared((db, p: { consumer: string }) =>
  db.selectFrom('consumer_rings').selectAll().where('consumer', '=', p.consumer).orderBy('ring'),
);

export function findConsumerRings(db: Kysely<Schema>, consumer: string): Promise<ConsumerRingRow[]> {
  return ofConsumer.all(db, { consumer });
}

/** The rows of several consumers, in no order; at most 500 names. */
export async function listConsumerRings(db: Kysely<Schema>, names: readonly string[]): Promise<ConsumerRingRow[]> {
  if (names.length === 0) return [];
  return db.selectFrom('consumer_rings').selectAll().where('consumer', 'in', names).orderBy('ring').execute();
}

const update = prepared<ConsumerRingRow, never>((db, row) =>
  db
    .updateTable('consumer_rings')
    .set({
      verifies: row.verifies,
      presents: row.presents,
      joiner: row.joiner,
      delivered: row.delivered,
      delivered_at: row.delivered_at,
      loaded: row.loaded,
      evidence: row.evidence,
      clean: row.clean,
      process: row.process,
      acknowledged_at: row.acknowledged_at,
      streams_since: row.streams_since,
      detail: row.detail,
    })
    .where('ring', '=', row.ring)
    .where('consumer', '=', row.consumer),
);

/** Writes the row of its ring and consumer as a whole. */
export async function updateConsumerRing(db: Transaction<Schema>, row: ConsumerRingRow): Promise<void> {
  await update.run(db, row);
}

export type RingBundle = { readonly current: number; readonly digest: string | null };

const bundle = prepared((db, p: { ring: string; generation: number }) =>
  db
    .selectFrom('rings')
    .leftJoin('bundles', (join) =>
      join.onRef('bundles.ring', '=', 'rings.name').on('bundles.generation', '=', p.generation),
    )
    .select(['rings.generation as current', 'bundles.digest as digest'])
    .where('rings.name', '=', p.ring),
);

const keyBundle = prepared((db, p: { ring: string; generation: number }) =>
  db
    .selectFrom('key_sets')
    .leftJoin('bundles', (join) =>
      join.onRef('bundles.ring', '=', 'key_sets.ring').on('bundles.generation', '=', p.generation),
    )
    .select(['key_sets.generation as current', 'bundles.digest as digest'])
    .where('key_sets.ring', '=', p.ring),
);

/** A ring's current generation, and the digest of one of its generations; undefined when there is no such ring. */
export async function findRingBundle(
  db: Kysely<Schema>,
  claim: { readonly ring: string; readonly generation: number },
): Promise<RingBundle | undefined> {
  return (await bundle.first(db, claim)) ?? keyBundle.first(db, claim);
}

/** The current generation of every ring. */
export async function ringGenerations(db: Kysely<Schema>): Promise<ReadonlyMap<string, number>> {
  const rings = await db.selectFrom('rings').select(['name', 'generation']).execute();
  const keySets = await db.selectFrom('key_sets').select(['ring as name', 'generation']).execute();
  return new Map([...rings, ...keySets].map((row) => [row.name, row.generation]));
}

/** One consumer as gates see it. Times are milliseconds. */
export type VerifierRow = {
  /** `<class>/<name>`. */
  readonly name: string;
  /** Its oldest connection is not older than its process, which began then by this service's clock. */
  readonly began: number | null;
  /** Since when it says nothing any more. */
  readonly silentSince: number | null;
  readonly algorithms: string;
  readonly clockSkewMs: number | null;
  readonly registeredAt: number;
  readonly joiner: number;
  readonly loaded: number;
  readonly evidence: ConsumerRingRow['evidence'];
  readonly clean: number;
  /** 0 or 1: the evidence is about its present process. */
  readonly present: number;
  readonly acknowledgedAt: number | null;
  readonly streamsSince: number | null;
};

type VerifierTuple = readonly [
  name: string,
  began: number | null,
  silentSince: number | null,
  algorithms: string,
  clockSkewMs: number | null,
  registeredAt: number,
  joiner: number,
  loaded: number,
  evidence: VerifierRow['evidence'],
  clean: number,
  present: number,
  acknowledgedAt: number | null,
  streamsSince: number | null,
];

/** One value for all rows: with ten thousand of them, making objects of columns costs many times what reading them does. */
const verifiers = prepared<{ ring: string; now: number }, { rows: string | null }>((db, p) => {
  const isPostgres = db.getExecutor().adapter instanceof PostgresAdapter;
  const isSame = isPostgres ? sql`is not distinct from` : sql`is`;
  const heard = sql`coalesce(c.last_seen_at, c.created_at)`;
  // In the order of VerifierTuple.
  const columns = sql`
    c.name, c.process_started_at - c.clock_skew_ms,
    case when c.lease_ms is not null and ${heard} + c.lease_ms < ${p.now} then ${heard} end,
    c.algorithms, c.clock_skew_ms, c.created_at, r.joiner, r.loaded, r.evidence, r.clean,
    case when r.process ${isSame} c.process then 1 else 0 end, r.acknowledged_at, r.streams_since
  `;
  const rows = isPostgres
    ? sql<string | null>`json_agg(json_build_array(${columns}))::text`
    : sql<string | null>`json_group_array(json_array(${columns}))`;
  return db
    .selectFrom('consumer_rings as r')
    .innerJoin('consumers as c', 'c.name', 'r.consumer')
    .select(rows.as('rows'))
    .where('r.ring', '=', p.ring)
    .where('r.verifies', '=', 1)
    .where('c.state', '=', 'live')
    .where((e) => e.or([e('c.expires_at', 'is', null), e('c.expires_at', '>', p.now)]));
});

/** Everybody who verifies certificates of a ring, is not quarantined, and has a credential that has not expired. One query. */
export async function readVerifierRows(
  db: Kysely<Schema>,
  of: { readonly ring: string; readonly now: number },
): Promise<VerifierRow[]> {
  const found = (await verifiers.first(db, of))?.rows ?? '[]';
  return (JSON.parse(found) as VerifierTuple[]).map(verifierRow);
}

function verifierRow(tuple: VerifierTuple): VerifierRow {
  return {
    name: tuple[0],
    began: tuple[1],
    silentSince: tuple[2],
    algorithms: tuple[3],
    clockSkewMs: tuple[4],
    registeredAt: tuple[5],
    joiner: tuple[6],
    loaded: tuple[7],
    evidence: tuple[8],
    clean: tuple[9],
    present: tuple[10],
    acknowledgedAt: tuple[11],
    streamsSince: tuple[12],
  };
}
