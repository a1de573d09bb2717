import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type EtcdClusterRow = Selectable<Schema['etcd_clusters']>;
export type EtcdMemberRow = Selectable<Schema['etcd_members']>;

const clusterByName = prepared((db, parameters: { name: string }) =>
  db.selectFrom('etcd_clusters').selectAll().where('name', '=', parameters.name),
);

export function findEtcdCluster(db: Kysely<Schema>, name: string): Promise<EtcdClusterRow | undefined> {
  return clusterByName.first(db, { name });
}

export function listEtcdClusters(db: Kysely<Schema>): Promise<EtcdClusterRow[]> {
  return db.selectFrom('etcd_clusters').selectAll().orderBy('name').execute();
}

export async function insertEtcdCluster(
  db: Transaction<Schema>,
  row: Insertable<Schema['etcd_clusters']>,
): Promise<void> {
  await db.insertInto('etcd_clusters').values(row).execute();
}

export async function updateEtcdCluster(
  db: Transaction<Schema>,
  name: string,
  change: Updateable<Schema['etcd_clusters']>,
): Promise<void> {
  await db.updateTable('etcd_clusters').set(change).where('name', '=', name).execute();
}

export async function deleteEtcdCluster(db: Transaction<Schema>, name: string): Promise<void> {
  await db.deleteFrom('etcd_clusters').where('name', '=', name).execute();
}

const memberByName = prepared((db, parameters: { cluster: string; name: string }) =>
  db
    .selectFrom('etcd_members')
    .selectAll()
    .where('cluster', '=', parameters.cluster)
    .where('name', '=', parameters.name),
);

export function findEtcdMember(db: Kysely<Schema>, cluster: string, name: string): Promise<EtcdMemberRow | undefined> {
  return memberByName.first(db, { cluster, name });
}

export function listEtcdMembers(db: Kysely<Schema>, cluster: string): Promise<EtcdMemberRow[]> {
  return db.selectFrom('etcd_members').selectAll().where('cluster', '=', cluster).orderBy('name').execute();
}

export async function insertEtcdMember(
  db: Transaction<Schema>,
  row: Insertable<Schema['etcd_members']>,
): Promise<void> {
  await db.insertInto('etcd_members').values(row).execute();
}

export async function updateEtcdMember(
  db: Transaction<Schema>,
  cluster: string,
  name: string,
  change: Updateable<Schema['etcd_members']>,
): Promise<void> {
  await db.updateTable('etcd_members').set(change).where('cluster', '=', cluster).where('name', '=', name).execute();
}

/** A member whose first certificate authenticated. Disabled ones stay disabled. */
export async function markMemberJoined(
  db: Transaction<Schema>,
  cluster: string,
  name: string,
  revision: number,
): Promise<void> {
  await db
    .updateTable('etcd_members')
    .set({ state: 'joined', revision })
    .where('cluster', '=', cluster)
    .where('name', '=', name)
    .where('state', '=', 'expected')
    .execute();
}

export async function deleteEtcdMember(db: Transaction<Schema>, cluster: string, name: string): Promise<void> {
  await db.deleteFrom('etcd_members').where('cluster', '=', cluster).where('name', '=', name).execute();
}
