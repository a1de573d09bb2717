import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely';

import { RotundaError } from '../errors.js';
import type { Session } from './session.js';

/** What a driver of ours has to say; the rest is the same for all. */
export type Connections<S extends Session> = {
  acquire(): Promise<S>;
  release(session: S): void;
  begin(session: S, settings: TransactionSettings): Promise<void>;
  commit(session: S): Promise<void>;
  rollback(session: S): Promise<void>;
};

/** SQLite can roll its DDL back; Kysely's adapter does not claim it, and a crash would leave half a migration. */
const sqliteAdapter: DialectAdapter = Object.create(new SqliteAdapter(), {
  supportsTransactionalDdl: { value: true },
}) as DialectAdapter;

export function sqliteDialect<S extends Session>(connections: Connections<S>): Dialect {
  return {
    createAdapter: () => sqliteAdapter,
    createDriver: () => createDriver(connections),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

export function postgresDialect<S extends Session>(connections: Connections<S>): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => createDriver(connections),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

type Connection<S> = DatabaseConnection & { readonly session: S };

function createDriver<S extends Session>(connections: Connections<S>): Driver {
  const known = new WeakMap<DatabaseConnection, S>();
  const bySession = new WeakMap<S, Connection<S>>();
  const sessionBehind = (connection: DatabaseConnection): S => {
    const session = known.get(connection);
    if (session === undefined) throw new Error('a connection of another driver');
    return session;
  };
  return {
    init: () => Promise.resolve(),
    async acquireConnection() {
      const session = await connections.acquire();
      const connection = bySession.get(session) ?? connectionOver(session);
      bySession.set(session, connection);
      known.set(connection, session);
      return connection;
    },
    beginTransaction: (connection, settings) => connections.begin(sessionBehind(connection), settings),
    commitTransaction: (connection) => connections.commit(sessionBehind(connection)),
    rollbackTransaction: (connection) => connections.rollback(sessionBehind(connection)),
    releaseConnection(connection) {
      connections.release(sessionBehind(connection));
      return Promise.resolve();
    },
    destroy: () => Promise.resolve(),
  };
}

function connectionOver<S extends Session>(session: S): Connection<S> {
  return {
    session,
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const answer = await session.run(query, query.parameters);
      return { rows: answer.rows as R[], numAffectedRows: BigInt(answer.changes) };
    },
    streamQuery() {
      throw new Error('the store does not stream queries: page through them by key');
    },
  };
}

/** SQLite result codes that speak of the file or the disk, not of the statement. */
const sqliteOutage = /^SQLITE_(FULL|IOERR|BUSY|CANTOPEN|NOMEM|PROTOCOL|CORRUPT|NOTADB|READONLY_)/;
/** SQLSTATE classes and codes of a server that is not there, not ready, out of resources, or lost a race. */
const postgresOutage = /^(08|53|57P|58|40001|40P01|55P03|25006|25P03|57014)/;
const socketOutage = /^(ECONN|EPIPE|ENOENT|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)/;
const clientOutage =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Query read timeout|cached plan must not change|Cannot use a pool after)/;

/** Errors of a database that is away become RotundaError 'unavailable'; all others stay what they are. */
export function translateError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof RotundaError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const outage =
    sqliteOutage.test(code) || postgresOutage.test(code) || socketOutage.test(code) || clientOutage.test(error.message);
  if (!outage) return error;
  return new RotundaError('unavailable', 'The database cannot be used at the moment', {
    retryAfterSeconds: 1,
    cause: error,
  });
}

/** Whether it is the database that is away, and not a statement that is wrong. */
export function isOutage(error: unknown): boolean {
  const translated = translateError(error);
  return translated instanceof RotundaError && translated.code === 'unavailable';
}
