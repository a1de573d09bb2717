import type { Kysely } from 'kysely';

import { columnTypes } from './column-types.js';

/**
 * When a request may be deleted, so that the cleaner reads nothing but what is due: null where it is not worked out yet,
 * as for rows that the version before this one writes. And leases: what only one replica at a time may do.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { integer } = columnTypes(db);
  await db.schema.alterTable('requests').addColumn('clean_after', integer).execute();
  await db.schema.createIndex('requests_by_clean_after').on('requests').columns(['clean_after']).execute();
  await db.schema
    .createTable('leases')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('epoch', integer, (c) => c.notNull())
    .addColumn('expires_at', integer, (c) => c.notNull())
    .addColumn('seen_at', integer, (c) => c.notNull())
    .addPrimaryKeyConstraint('leases_key', ['name'])
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('leases').execute();
  await db.schema.dropIndex('requests_by_clean_after').execute();
  await db.schema.alterTable('requests').dropColumn('clean_after').execute();
}
