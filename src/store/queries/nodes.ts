import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import type { Schema } from '../schema.js';

export type NodeRow = Selectable<Schema['nodes']>;

export function findNode(db: Kysely<Schema>, name: string): Promise<NodeRow | undefined> {
  return db.selectFrom('nodes').selectAll().where('name', '=', name).executeTakeFirst();
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

export async function deleteNode(db: Transaction<Schema>, name: string): Promise<void> {
  await db.deleteFrom('nodes').where('name', '=', name).execute();
}
