import { type Kysely, sql } from 'kysely';

import { columnTypes } from './column-types.js';

/** What is kept of deleted requests, so that another policy can be tried on them: one row a day for each question. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { integer, binary } = columnTypes(db);
  await db.schema
    .createTable('past_requests')
    .addColumn('day', integer, (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('count', integer, (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('uid', 'text', (c) => c.notNull())
    .addColumn('spec', 'text', (c) => c.notNull())
    .addColumn('csr', binary, (c) => c.notNull())
    .addColumn('requester', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('created_at', integer, (c) => c.notNull())
    .addPrimaryKeyConstraint('past_requests_key', ['day', 'digest'])
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table past_requests`.execute(db);
}
