import { type Kysely, PostgresAdapter, type RawBuilder, sql } from 'kysely';

/** The column types that differ between the engines; everything else in a migration is the same text for both. */
export type ColumnTypes = {
  /** Milliseconds, counters, 0 or 1. */
  readonly integer: 'bigint' | 'integer';
  readonly binary: 'bytea' | 'blob';
  /** A key that the database counts up. */
  readonly sequence: RawBuilder<unknown>;
  /** For tables that are nothing but their primary key: keeps them in one tree. */
  readonly clustered: RawBuilder<unknown> | undefined;
};

export function columnTypes(db: Kysely<unknown>): ColumnTypes {
  if (db.getExecutor().adapter instanceof PostgresAdapter) {
    return { integer: 'bigint', binary: 'bytea', sequence: sql`bigserial primary key`, clustered: undefined };
  }
  return {
    integer: 'integer',
    binary: 'blob',
    sequence: sql`integer primary key autoincrement`,
    clustered: sql`without rowid`,
  };
}
