import type { Kysely, Selectable, Transaction } from 'kysely';

import type { Schema } from '../schema.js';

export type ProbeRow = Selectable<Schema['probes']>;
export type ProbedEndpoint = Pick<ProbeRow, 'ring' | 'consumer' | 'endpoint'>;

/** The last look at every endpoint for a ring. */
export function listProbes(db: Kysely<Schema>, ring: string): Promise<ProbeRow[]> {
  return db
    .selectFrom('probes')
    .selectAll()
    .where('ring', '=', ring)
    .orderBy('consumer')
    .orderBy('endpoint')
    .orderBy('kind')
    .orderBy('key')
    .execute();
}

/** What was looked at for a ring, each endpoint once. */
export function listProbedEndpoints(db: Kysely<Schema>, ring: string): Promise<ProbedEndpoint[]> {
  return db.selectFrom('probes').select(['ring', 'consumer', 'endpoint']).distinct().where('ring', '=', ring).execute();
}

/** Those of one consumer. */
export function listProbesOf(db: Kysely<Schema>, of: Pick<ProbeRow, 'ring' | 'consumer'>): Promise<ProbeRow[]> {
  const { ring, consumer } = of;
  return db.selectFrom('probes').selectAll().where('ring', '=', ring).where('consumer', '=', consumer).execute();
}

/** What this look at an endpoint found takes the place of everything that an earlier one did. */
export async function replaceProbes(
  db: Transaction<Schema>,
  endpoint: ProbedEndpoint,
  found: readonly Omit<ProbeRow, keyof ProbedEndpoint>[],
): Promise<void> {
  await deleteProbes(db, endpoint);
  if (found.length === 0) return;
  await db
    .insertInto('probes')
    .values(found.map((row) => ({ ...row, ...endpoint })))
    .execute();
}

export async function deleteProbes(db: Transaction<Schema>, endpoint: ProbedEndpoint): Promise<void> {
  const { ring, consumer, endpoint: address } = endpoint;
  await db
    .deleteFrom('probes')
    .where('ring', '=', ring)
    .where('consumer', '=', consumer)
    .where('endpoint', '=', address)
    .execute();
}

export type ProbedConsumerRow = Pick<
  Selectable<Schema['consumers']>,
  'name' | 'class' | 'endpoints' | 'process' | 'software'
> &
  Pick<Selectable<Schema['consumer_rings']>, 'verifies'>;

/** Who has something to do with a ring, is not quarantined, has a credential that has not expired at `now`, and can be reached. */
export function listProbedConsumers(
  db: Kysely<Schema>,
  of: { readonly ring: string; readonly now: number },
): Promise<ProbedConsumerRow[]> {
  return db
    .selectFrom('consumer_rings as r')
    .innerJoin('consumers as c', 'c.name', 'r.consumer')
    .select(['c.name', 'c.class', 'c.endpoints', 'c.process', 'c.software', 'r.verifies'])
    .where('r.ring', '=', of.ring)
    .where('c.state', '=', 'live')
    .where('c.endpoints', '<>', '[]')
    .where((e) => e.or([e('c.expires_at', 'is', null), e('c.expires_at', '>', of.now)]))
    .orderBy('c.name')
    .execute();
}
