import { type Kysely, sql } from 'kysely';

import { columnTypes } from './column-types.js';

/** Which bootstrap tokens are written to the API server that the service stands behind, and as which Secret. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { binary } = columnTypes(db);
  await db.schema
    .createTable('token_secrets')
    .addColumn('token_id', 'text', (c) => c.notNull())
    .addColumn('wrapped_secret', binary)
    .addColumn('secret_uid', 'text')
    .addColumn('problem', 'text')
    .addPrimaryKeyConstraint('token_secrets_key', ['token_id'])
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table token_secrets`.execute(db);
}
