import {
  type Compilable,
  CompiledQuery,
  type Insertable,
  type Kysely,
  PostgresAdapter,
  type RawBuilder,
  sql,
} from 'kysely';

import type { Schema } from './schema.js';
import { type Answer, type EngineName, type Query, sessionOf } from './session.js';

/** A query that is built and compiled once per engine, and run with new parameters at the cost of its statement alone. */
export type Prepared<Parameters, Row> = {
  all(db: Kysely<Schema>, parameters: Parameters): Promise<Row[]>;
  first(db: Kysely<Schema>, parameters: Parameters): Promise<Row | undefined>;
  /** For writes: how many rows it touched. */
  readonly run: (db: Kysely<Schema>, parameters: Parameters) => Promise<number>;
};

/** Stands in the compiled query where a parameter's value goes. */
type Slot = { readonly slot: string };
type Compiled = { readonly query: Query; readonly values: readonly unknown[] };
type Buildable<Row> = Compilable<Row> | RawBuilder<Row>;
type Bag = Readonly<Record<string, unknown>>;

let named = 0;

/**
 * `build` gets a database and an object that stands for the parameters: use its properties wherever a value goes
 * (not in lists of varying length). Works with `store.db` and, inside a write, with `tx.db`.
 */
export function prepared<Parameters extends object, Row>(
  build: (db: Kysely<Schema>, parameters: Parameters) => Buildable<Row>,
): Prepared<Parameters, Row> {
  const byEngine = new Map<EngineName, Compiled>();
  const execute = (db: Kysely<Schema>, parameters: Parameters): Answer | Promise<Answer> => {
    const session = sessionOf(db);
    const engine = session?.engine ?? engineOf(db);
    let compiled = byEngine.get(engine);
    if (compiled === undefined) {
      compiled = compile(db, build(db, placeholders() as Parameters));
      byEngine.set(engine, compiled);
    }
    const values = bind(compiled.values, parameters as Bag);
    return session === undefined ? runThroughBuilder(db, compiled.query, values) : session.run(compiled.query, values);
  };
  return {
    all: async (db, parameters) => (await execute(db, parameters)).rows as Row[],
    first: async (db, parameters) => (await execute(db, parameters)).rows[0] as Row | undefined,
    run: async (db, parameters) => (await execute(db, parameters)).changes,
  };
}

export type OnConflict = 'fail' | 'ignore';
type ColumnsOf<Table extends keyof Schema> = readonly (keyof Insertable<Schema[Table]> & string)[];
/** Makes a column that an insert forgets, and that the database does not fill in itself, a compile error. */
type Complete<Table extends keyof Schema, Columns extends ColumnsOf<Table>> =
  Exclude<keyof Insertable<Schema[Table]>, Columns[number] | 'sequence'> extends never ? unknown : never;

/** Inserts one row; with `ignore`, a row whose key exists already is left alone and the answer is 0 instead of 1. */
export function insertRow<Table extends keyof Schema, const Columns extends ColumnsOf<Table>>(
  table: Table,
  columns: Columns & Complete<Table, Columns>,
  onConflict: OnConflict = 'fail',
): (db: Kysely<Schema>, row: Insertable<Schema[Table]>) => Promise<number> {
  return prepared((_db, row: Insertable<Schema[Table]>) =>
    insertion(table, columns, [columns.map((column) => row[column])], onConflict),
  ).run;
}

/** Statement sizes of insertRows: few, because each is prepared on its own, and all below SQLite's parameter limit. */
const sizes = [64, 16, 4, 1] as const;

/** Inserts any number of rows in as few statements as the fixed sizes allow. */
export function insertRows<Table extends keyof Schema, const Columns extends ColumnsOf<Table>>(
  table: Table,
  columns: Columns & Complete<Table, Columns>,
): (db: Kysely<Schema>, rows: readonly Insertable<Schema[Table]>[]) => Promise<void> {
  const width = columns.length;
  const statements = sizes.map((size) => ({
    size,
    query: prepared<readonly unknown[], never>((_db, flat) =>
      insertion(
        table,
        columns,
        Array.from({ length: size }, (_, row) => columns.map((_column, column) => flat[row * width + column])),
        'fail',
      ),
    ),
  }));
  return async (db, rows) => {
    const running: Promise<number>[] = [];
    let start = 0;
    for (const { size, query } of statements) {
      for (; rows.length - start >= size; start += size) {
        const chunk = rows.slice(start, start + size);
        running.push(
          query.run(
            db,
            chunk.flatMap((row) => columns.map((column) => row[column])),
          ),
        );
      }
    }
    await Promise.all(running);
  };
}

function insertion(
  table: keyof Schema,
  columns: readonly string[],
  rows: readonly (readonly unknown[])[],
  onConflict: OnConflict,
): RawBuilder<never> {
  const names = sql.join(columns.map((column) => sql.ref(column)));
  const values = sql.join(rows.map((row) => sql`(${sql.join(row.map((value) => sql`${value}`))})`));
  const tail = onConflict === 'ignore' ? sql` on conflict do nothing` : sql``;
  return sql<never>`insert into ${sql.table(table)} (${names}) values ${values}${tail}`;
}

/** An object whose every property is a Slot, typed as what the property's value will be. */
function placeholders(): object {
  const get = (_target: object, property: string | symbol): Slot => Object.freeze({ slot: String(property) });
  return new Proxy({}, { get });
}

function isSlot(value: unknown): value is Slot {
  return typeof value === 'object' && value !== null && 'slot' in value;
}

function compile<Row>(db: Kysely<Schema>, built: Buildable<Row>): Compiled {
  const { sql: text, parameters } = 'isRawBuilder' in built ? built.compile(db) : built.compile();
  named += 1;
  return { query: { sql: text, name: `rotunda_${String(named)}` }, values: parameters };
}

function bind(values: readonly unknown[], parameters: Bag): unknown[] {
  const bound = new Array<unknown>(values.length);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    bound[i] = isSlot(value) ? (parameters[value.slot] ?? null) : value;
  }
  return bound;
}

function engineOf(db: Kysely<Schema>): EngineName {
  return db.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite';
}

/** For databases that are not bound to a session, as in a read transaction. */
async function runThroughBuilder(db: Kysely<Schema>, query: Query, values: readonly unknown[]): Promise<Answer> {
  const result = await db.executeQuery(CompiledQuery.raw(query.sql, [...values]));
  return { rows: result.rows, changes: Number(result.numAffectedRows ?? 0n) };
}
