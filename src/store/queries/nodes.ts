import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

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
  page: { readonly limit: number; readonly after: string | undefined },
): Promise<NodeRow[]> {
  const query = db.selectFrom('nodes').selectAll().orderBy('name').limit(page.limit);
  return page.after === undefined ? query.execute() : query.where('name', '>', page.after).execute();
}

export async function insertNode(db: Transaction<Schema>, row: Insertable<Schema['nodes']>): Promise<void> {
  await db.insertInto('nodes').values(row).execute();
}

export async function updateNode(
  db: Transaction<Schema>,
  name: string,
  change: Updateable<Schema['nodes']>,
): Promise<void> {
  await db.updateTable('nodes').set(change).where('name', '=', name).execute();
}

const setClaims = prepared<{ name: string; claims: string; revision: number }, never>((db, parameters) =>
  db
    .updateTable('nodes')
    .set({ claims: parameters.claims, revision: parameters.revision })
    .where('name', '=', parameters.name),
);

/** What an unbound token last gave this node, as JSON text. */
export async function updateNodeClaims(
  db: Transaction<Schema>,
  node: { readonly name: string; readonly claims: string; readonly revision: number },
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
