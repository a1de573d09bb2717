import type { Kysely, Transaction } from 'kysely';

import type { Schema } from './schema.js';

export type EngineName = 'sqlite' | 'postgres';

/** SQL text; with a name, PostgreSQL keeps it prepared under that name on each connection. */
export type Query = { readonly sql: string; readonly name?: string };

export type Answer = { readonly rows: readonly unknown[]; readonly changes: number };

/** One way to run SQL: a connection, or a pool of them. */
export type Session = {
  readonly engine: EngineName;
  run(query: Query, parameters: readonly unknown[]): Answer | Promise<Answer>;
};

/** The one connection that writes, in its current transaction. */
export type WriteSession = Session & {
  /** The revision counter as locked at the transaction's begin; what it is set to is committed. */
  counter: number;
  /** Statements so far that may have changed something. */
  writes(): number;
  /** The engine has given up the transaction, whatever the code around it thinks. */
  aborted(): boolean;
  /** Last statements of the transaction, already sent: the commit goes out right behind them and fails if they do. */
  commitAfter(statements: Promise<unknown>): void;
  savepoint(): Promise<void>;
  rollbackToSavepoint(): Promise<void>;
  releaseSavepoint(): Promise<void>;
};

/** A database behind the store: one reader for everybody, one writer for the group commit. */
export type Engine = {
  readonly name: EngineName;
  readonly reader: Kysely<Schema>;
  /** Runs `body` in a transaction that holds the counter's lock; durable when it resolves. Not to be called while one runs. */
  transaction<T>(body: (db: Transaction<Schema>, session: WriteSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

const sessions = new WeakMap<object, Session>();

/** Lets precompiled queries reach the connection behind `db` without passing through the query builder. */
export function bindSession(db: Kysely<Schema>, session: Session): void {
  sessions.set(db, session);
}

/** The connection behind `db`, or undefined for a Kysely that was derived from a bound one. */
export function sessionOf(db: Kysely<Schema>): Session | undefined {
  return sessions.get(db);
}
