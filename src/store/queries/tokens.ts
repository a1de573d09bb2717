import type { Kysely, Selectable, Transaction, Updateable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';
import type { ChangeType, WriteTx } from '../types.js';

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

/** Adds a token and publishes it. */
export async function insertToken(tx: WriteTx, row: Omit<TokenRow, 'revision'>): Promise<TokenRow> {
  const added = { ...row, revision: tx.nextRevision() };
  await tx.db.insertInto('tokens').values(added).execute();
  await publish(tx, 'ADDED', added);
  return added;
}

/** Writes what is not shown of a token: nothing is published. */
export async function updateToken(
  db: Transaction<Schema>,
  id: string,
  change: Updateable<Schema['tokens']>,
): Promise<void> {
  await db.updateTable('tokens').set(change).where('id', '=', id).execute();
}

/** Changes what is shown of a token and publishes it. */
export async function changeToken(tx: WriteTx, row: TokenRow, change: Partial<TokenRow>): Promise<TokenRow> {
  const changed = { ...row, ...change, revision: tx.nextRevision() };
  await updateToken(tx.db, row.id, { ...change, revision: changed.revision });
  await publish(tx, 'MODIFIED', changed, row);
  return changed;
}

/** Writes the end of a token, or what it ended with, and publishes it once. The secret that was kept is gone with it. */
export async function endToken(tx: WriteTx, row: TokenRow, change: Partial<TokenRow>): Promise<TokenRow> {
  const ended = { ...row, ...change, ended: 1, wrapped_secret: null, revision: tx.nextRevision() };
  const { revision, wrapped_secret } = ended;
  await updateToken(tx.db, row.id, { ...change, ended: 1, wrapped_secret, revision });
  if (row.ended === 0) await publish(tx, 'DELETED', { ...row, revision });
  return ended;
}

/** At most `limit` tokens whose end was not published: they have expired, or a program ended them that did not say so. */
export function listUnendedTokens(db: Kysely<Schema>, now: number, limit: number): Promise<TokenRow[]> {
  return db
    .selectFrom('tokens')
    .selectAll()
    .where('ended', '=', 0)
    .where((is) => is.or([is('state', '<>', 'active'), is('expires_at', '<=', now)]))
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Active tokens that have not expired, by id. */
export function listLiveTokens(db: Kysely<Schema>, now: number): Promise<TokenRow[]> {
  return db
    .selectFrom('tokens')
    .selectAll()
    .where('ended', '=', 0)
    .where('state', '=', 'active')
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now)]))
    .orderBy('id')
    .execute();
}

/** Of those, the ones whose secret is kept. */
export function listSigningTokens(db: Kysely<Schema>, now: number): Promise<TokenRow[]> {
  return db
    .selectFrom('tokens')
    .selectAll()
    .where('ended', '=', 0)
    .where('wrapped_secret', 'is not', null)
    .where('state', '=', 'active')
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now)]))
    .orderBy('id')
    .execute();
}

/** A token as the change log holds it: nothing of its secret, nor of what it was given. */
export type TokenRecord = Omit<TokenRow, 'secret_hash' | 'wrapped_secret' | 'claims' | 'ended'>;

function recordOf(row: TokenRow): TokenRecord {
  const { secret_hash: _hash, wrapped_secret: _secret, claims: _claims, ended: _ended, ...record } = row;
  return record;
}

/** Change.resource of tokens. */
export const tokenChanges = 'tokens';

async function publish(tx: WriteTx, type: ChangeType, row: TokenRow, before?: TokenRow): Promise<void> {
  await tx.publish({
    revision: row.revision,
    resource: tokenChanges,
    name: row.id,
    type,
    object: JSON.stringify(recordOf(row)),
    previous: before === undefined ? undefined : JSON.stringify(recordOf(before)),
  });
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
  tx: WriteTx,
  owner: { readonly node: string } | { readonly cluster: string; readonly member: string },
): Promise<void> {
  const query = tx.db.selectFrom('tokens').selectAll().where('state', '=', 'active').orderBy('id');
  const rows = await ('node' in owner
    ? query.where('node', '=', owner.node).execute()
    : query.where('cluster', '=', owner.cluster).where('member', '=', owner.member).execute());
  for (const row of rows) await endToken(tx, row, { state: 'revoked' });
}

/**
 * Deletes at most `limit` tokens that had expired before a time, milliseconds, and returns their ids. What was used up or
 * revoked stays as long: an API server that still knows such a token may present it, and an id that is not here counts
 * as a token of its own. One that never expires is never forgotten.
 */
export async function deleteOldTokens(
  db: Kysely<Schema>,
  { before, limit }: { before: number; limit: number },
): Promise<string[]> {
  const old = await db.selectFrom('tokens').select('id').where('expires_at', '<', before).limit(limit).execute();
  const ids = old.map(({ id }) => id);
  if (ids.length > 0) await db.deleteFrom('tokens').where('id', 'in', ids).execute();
  return ids;
}
