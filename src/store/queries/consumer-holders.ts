import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';

import type { Schema } from '../schema.js';

export type HolderRow = Pick<Selectable<Schema['certificates']>, 'ring' | 'profile' | 'common_name'> & {
  readonly not_after: number;
};

/**
 * Who holds live certificates that name neither a node nor an etcd member, each once with its latest end. Kubelets, which
 * are most of an inventory, are left out by their names before their rows are read.
 */
export async function holdersByName(
  db: Kysely<Schema>,
  engine: 'sqlite' | 'postgres',
  now: number,
): Promise<HolderRow[]> {
  // SQLite compares bytes, so that its index has the others in two ranges; a PostgreSQL may have another order.
  const others =
    engine === 'sqlite'
      ? sql<boolean>`(common_name < 'system:node:' or common_name >= 'system:node;')`
      : sql<boolean>`common_name not like 'system:node:%'`;
  return db
    .selectFrom('certificates')
    .select(['ring', 'profile', 'common_name', (e) => e.fn.max('not_after').as('not_after')])
    .where(others)
    .where('not_after', '>', now)
    .where('revoked_at', 'is', null)
    .where('node', 'is', null)
    .where('member', 'is', null)
    .groupBy(['ring', 'profile', 'common_name'])
    .execute();
}

type Enrolled = { readonly now: number; readonly by: string; readonly revision: number };

/** A consumer for each kubelet that has joined and for each etcd member, where there is none. Answers how many there were. */
export async function insertEnrolled(db: Transaction<Schema>, how: Enrolled): Promise<number> {
  const { now, by, revision } = how;
  const columns = sql.raw(
    'name, class, node, source, state, software, endpoints, algorithms, created_at, created_by, revision',
  );
  const rest = sql`'enrolled', 'live', '', '[]', '[]', ${sql.lit(now)}, ${by}, ${sql.lit(revision)}`;
  const nodes = await sql`
    insert into consumers (${columns})
    select 'kubelet/' || n.name, 'kubelet', n.name, ${rest} from nodes as n
    where n.state = 'joined' and not exists (select 1 from consumers as c where c.name = 'kubelet/' || n.name)
  `.execute(db);
  const members = await sql`
    insert into consumers (${columns})
    select 'etcd-member/' || m.cluster || '/' || m.name, 'etcd-member', null, ${rest} from etcd_members as m
    where m.state = 'joined'
      and not exists (select 1 from consumers as c where c.name = 'etcd-member/' || m.cluster || '/' || m.name)
  `.execute(db);
  return Number(nodes.numAffectedRows ?? 0n) + Number(members.numAffectedRows ?? 0n);
}

/**
 * The rings of a class, on each of its consumers that has no row for one: also where the topology has changed since it was
 * registered. Who was declared by hand keeps what was declared.
 */
export async function insertMissingRings(
  db: Transaction<Schema>,
  of: { readonly class: string; readonly ring: string; readonly verifies: boolean; readonly presents: boolean },
): Promise<void> {
  const { ring, verifies, presents } = of;
  await sql`
    insert into consumer_rings (ring, consumer, verifies, presents, joiner, delivered, loaded, clean, detail)
    select ${ring}, c.name, ${sql.lit(verifies ? 1 : 0)}, ${sql.lit(presents ? 1 : 0)}, 0, 0, 0, 0, '{}'
    from consumers as c
    where c.class = ${of.class} and c.source not in ('api', 'configuration')
      and not exists (select 1 from consumer_rings as r where r.ring = ${ring} and r.consumer = c.name)
  `.execute(db);
}
