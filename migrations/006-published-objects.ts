import { type Kysely, sql } from 'kysely';

import { columnTypes } from './column-types.js';

/** Bootstrap tokens as watched objects, and ConfigMaps: what joining nodes read. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { integer } = columnTypes(db);
  for (const [name, type, standard] of [
    ['revision', integer, sql`1`],
    ['labels', 'text', sql`'{}'`],
    ['annotations', 'text', sql`'{}'`],
    // A program that does not know the column leaves it at 0: the next look for ended tokens finds what it ended.
    ['ended', integer, sql`0`],
  ] as const) {
    await db.schema
      .alterTable('tokens')
      .addColumn(name, type, (c) => c.notNull().defaultTo(standard))
      .execute();
  }
  await sql`update tokens set ended = 1 where state <> 'active'`.execute(db);
  await sql`update tokens set revision = (select value from revisions) where exists (select 1 from revisions where value > 0)`.execute(
    db,
  );
  await db.schema
    .createIndex('tokens_by_life')
    .on('tokens')
    .columns(['id'])
    .where(sql.raw<boolean>('ended = 0'))
    .execute();
  await db.schema
    .createTable('config_maps')
    .addColumn('namespace', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('origin', 'text', (c) => c.notNull())
    .addColumn('uid', 'text', (c) => c.notNull())
    .addColumn('revision', integer, (c) => c.notNull())
    .addColumn('created_at', integer, (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('config_maps_key', ['namespace', 'name', 'origin'])
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('config_maps').execute();
  await db.schema.dropIndex('tokens_by_life').execute();
  for (const name of ['revision', 'labels', 'annotations', 'ended'])
    await db.schema.alterTable('tokens').dropColumn(name).execute();
}
