import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type TokenRow = Selectable<Schema['tokens']>;

const byId = prepared((db, parameters: { id: string }) =>
  db.selectFrom('tokens').selectAll().where('id', '=', parameters.id),
);

export function findToken(db: Kysely<Schema>, id: string): Promise<TokenRow | undefined> {
  return byId.first(db, { id });
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

const setClaims = prepared<{ id: string; claims: string }, never>((db, parameters) =>
  db.updateTable('tokens').set({ claims: parameters.claims }).where('id', '=', parameters.id),
);

/** What the token was last given, as JSON text. */
export async function updateTokenClaims(db: Transaction<Schema>, id: string, claims: string): Promise<void> {
  await setClaims.run(db, { id, claims });
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

/**
 * Deletes at most `limit` tokens that cannot be used any more since before a time, milliseconds: used up, or past their
 * expiry. Returns their ids.
 */
export async function deleteOldTokens(
  db: Kysely<Schema>,
  { before, limit }: { before: number; limit: number },
): Promise<string[]> {
  const old = await db
    .selectFrom('tokens')
    .select('id')
    .where((e) => e(e.fn.coalesce('used_at', 'expires_at', 'created_at'), '<', before))
    .where((e) => e.or([e('state', '!=', 'active'), e('expires_at', '<', before)]))
    .limit(limit)
    .execute();
  const ids = old.map(({ id }) => id);
  if (ids.length > 0) await db.deleteFrom('tokens').where('id', 'in', ids).execute();
  return ids;
}
