import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import { insertRows, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';
import { currentRevision } from './changes.js';

export type NodeRow = Selectable<Schema['nodes']>;

const byName = prepared((db, parameters: { name: string }) =>
  db.selectFrom('nodes').selectAll().where('name', '=', parameters.name),
);

export function findNode(db: Kysely<Schema>, name: string): Promise<NodeRow | undefined> {
  return byName.first(db, { name });
}

/** One page by name, after a name. */
export function listNodes(
  db: Kysely<Schema>,
  page: { readonly limit: number; readonly after: string | undefined; readonly state?: NodeRow['state'] | undefined },
): Promise<NodeRow[]> {
  let query = db.selectFrom('nodes').selectAll().orderBy('name').limit(page.limit);
  if (page.state !== undefined) query = query.where('state', '=', page.state);
  if (page.after !== undefined) query = query.where('name', '>', page.after);
  return query.execute();
}

/** Names per query of a list of them; below every engine's limit on parameters. */
const namesPerQuery = 500;

/** The rows of these names, in no order; names without a row are left out. */
export async function findNodes(db: Kysely<Schema>, names: readonly string[]): Promise<NodeRow[]> {
  const rows: NodeRow[] = [];
  for (let at = 0; at < names.length; at += namesPerQuery) {
    const some = names.slice(at, at + namesPerQuery);
    rows.push(...(await db.selectFrom('nodes').selectAll().where('name', 'in', some).execute()));
  }
  return rows;
}

/** Every node with the addresses and names that it is enrolled with. */
export function listNodeNames(db: Kysely<Schema>): Promise<Pick<NodeRow, 'name' | 'addresses' | 'dns_names'>[]> {
  return db.selectFrom('nodes').select(['name', 'addresses', 'dns_names']).execute();
}

export const insertNodes = insertRows('nodes', [
  'name',
  'uid',
  'state',
  'addresses',
  'dns_names',
  'labels',
  'created_at',
  'created_by',
  'joined_at',
  'disabled_at',
  'claims',
  'revision',
  'annotations',
]);

export async function insertNode(db: Transaction<Schema>, row: Insertable<Schema['nodes']>): Promise<void> {
  await insertNodes(db, [row]);
}

export async function updateNode(
  db: Transaction<Schema>,
  name: string,
  change: Updateable<Schema['nodes']>,
): Promise<void> {
  await db.updateTable('nodes').set(change).where('name', '=', name).execute();
}

const setClaims = prepared<{ name: string; claims: string }, never>((db, parameters) =>
  db.updateTable('nodes').set({ claims: parameters.claims }).where('name', '=', parameters.name),
);

/** What an unbound token last gave this node, as JSON text. It shows nowhere, so the revision stays. */
export async function updateNodeClaims(
  db: Transaction<Schema>,
  node: { readonly name: string; readonly claims: string },
): Promise<void> {
  await setClaims.run(db, node);
}

const setJoined = prepared<{ name: string; at: number; revision: number }, never>((db, parameters) =>
  db
    .updateTable('nodes')
    .set({ state: 'joined', joined_at: parameters.at, claims: '{}', revision: parameters.revision })
    .where('name', '=', parameters.name),
);

export async function markNodeJoined(
  db: Transaction<Schema>,
  node: { readonly name: string; readonly at: number; readonly revision: number },
): Promise<void> {
  await setJoined.run(db, node);
}

export async function deleteNode(db: Transaction<Schema>, name: string): Promise<void> {
  await db.deleteFrom('nodes').where('name', '=', name).execute();
}

export type NodeCertificateRow = { readonly node: string; readonly serial: string; readonly not_after: number };

/** The certificates of one profile that nodes have and that neither expired nor were revoked, those that last longest last. */
export async function nodeCertificates(
  db: Kysely<Schema>,
  query: { readonly nodes: readonly string[]; readonly profile: string; readonly now: number },
): Promise<NodeCertificateRow[]> {
  if (query.nodes.length === 0) return [];
  const rows = await db
    .selectFrom('certificates')
    .select(['node', 'serial', 'not_after'])
    .where('node', 'in', query.nodes)
    .where('not_after', '>', query.now)
    .where('profile', '=', query.profile)
    .where('revoked_at', 'is', null)
    .orderBy('not_after')
    .execute();
  return rows.flatMap(({ node, ...row }) => (node === null ? [] : [{ ...row, node }]));
}

/** A page by name behind `after`, and the revision at which it is true: both are read in one snapshot. */
export function snapshotNodes(
  db: Kysely<Schema>,
  page: { readonly limit: number; readonly after?: string },
): Promise<{ items: readonly NodeRow[]; revision: number }> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (snapshot) => {
      const revision = await currentRevision(snapshot);
      return { items: await listNodes(snapshot, { limit: page.limit, after: page.after }), revision };
    });
}
