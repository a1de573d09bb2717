import { type Kysely, Migrator, sql } from 'kysely';

import { migrations } from '../../migrations/index.js';
import { RotundaError } from '../errors.js';
import type { Schema } from './schema.js';
import type { EngineName } from './session.js';

const table = 'schema_migrations';

/** Brings the schema up to what this program knows. Throws 'conflict' when the database is newer than the program. */
export async function migrateToLatest(db: Kysely<Schema>, engine: EngineName): Promise<void> {
  await refuseNewer(db, engine);
  const { error } = await migratorOf(db).migrateToLatest();
  if (error !== undefined) throw migrationFailed(error);
}

/** Undoes every migration, newest first. All data is lost. */
export async function migrateDown(db: Kysely<Schema>): Promise<void> {
  const migrator = migratorOf(db);
  for (;;) {
    const { error, results } = await migrator.migrateDown();
    if (error !== undefined) throw migrationFailed(error);
    if (results === undefined || results.length === 0) return;
  }
}

/** Names of the migrations that this database has had. */
export async function appliedMigrations(db: Kysely<Schema>, engine: EngineName): Promise<readonly string[]> {
  const catalogue =
    engine === 'sqlite'
      ? sql<{ found: number }>`select count(*) as found from sqlite_master where type = 'table' and name = ${table}`
      : sql<{
          found: number;
        }>`select count(*)::int as found from pg_catalog.pg_class where oid = to_regclass(${table})`;
  const { rows } = await catalogue.execute(db);
  if ((rows[0]?.found ?? 0) === 0) return [];
  const applied = await sql<{ name: string }>`select name from ${sql.table(table)} order by name`.execute(db);
  return applied.rows.map((row) => row.name);
}

async function refuseNewer(db: Kysely<Schema>, engine: EngineName): Promise<void> {
  const known = Object.keys(migrations);
  const unknown = (await appliedMigrations(db, engine)).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  throw new RotundaError(
    'conflict',
    `The database has schema ${unknown.join(', ')}, this program knows schemas up to ${known.at(-1) ?? 'none'}`,
    { hint: 'Start the program version that last used this database, or a newer one.' },
  );
}

function migratorOf(db: Kysely<Schema>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
    migrationTableName: table,
    migrationLockTableName: 'schema_migration_lock',
  });
}

function migrationFailed(error: unknown): Error {
  return error instanceof Error ? error : new Error('a migration failed', { cause: error });
}
