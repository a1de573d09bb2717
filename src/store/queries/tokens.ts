import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import type { Schema } from '../schema.js';

export type TokenRow = Selectable<Schema['tokens']>;

export function findToken(db: Kysely<Schema>, id: string): Promise<TokenRow | undefined> {
  return db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst();
}

export function listTokens(db: Kysely<Schema>): Promise<TokenRow[]> {
  return db.selectFrom('tokens').selectAll().orderBy('id').execute();
}

export async function insertToken(db: Transaction<Schema>, row: Insertable<Schema['tokens']>): Promise<void> {
  await db.insertInto('tokens').values(row).execute();
}

export async function updateToken(
  db: Transaction<Schema>,
  id: string,
  change: Updateable<Schema['tokens']>,
): Promise<void> {
  await db.updateTable('tokens').set(change).where('id', '=', id).execute();
}

/** Revokes every active token that is bound to a node or to an etcd member which is no longer enrolled. */
export async function revokeTokensOf(
  db: Transaction<Schema>,
  owner: { readonly node: string } | { readonly cluster: string; readonly member: string },
): Promise<void> {
  const query = db.updateTable('tokens').set({ state: 'revoked' }).where('state', '=', 'active');
  await ('node' in owner
    ? query.where('node', '=', owner.node).execute()
    : query.where('cluster', '=', owner.cluster).where('member', '=', owner.member).execute());
}
