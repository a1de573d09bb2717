import type { Insertable, Kysely, Selectable, Updateable } from 'kysely';

import type { Schema } from '../schema.js';

export type TokenSecretRow = Selectable<Schema['token_secrets']>;

export async function insertTokenSecret(db: Kysely<Schema>, row: Insertable<Schema['token_secrets']>): Promise<void> {
  await db.insertInto('token_secrets').values(row).execute();
}

/** All of them: only tokens that are live, or were until a moment ago, have a row. */
export function listTokenSecrets(db: Kysely<Schema>): Promise<TokenSecretRow[]> {
  return db.selectFrom('token_secrets').selectAll().orderBy('token_id').execute();
}

export async function updateTokenSecret(
  db: Kysely<Schema>,
  tokenId: string,
  change: Updateable<Schema['token_secrets']>,
): Promise<void> {
  await db.updateTable('token_secrets').set(change).where('token_id', '=', tokenId).execute();
}

export async function deleteTokenSecret(db: Kysely<Schema>, tokenId: string): Promise<void> {
  await db.deleteFrom('token_secrets').where('token_id', '=', tokenId).execute();
}

/** Nobody looks after the Secrets any more. */
export async function deleteAllTokenSecrets(db: Kysely<Schema>): Promise<void> {
  await db.deleteFrom('token_secrets').execute();
}
