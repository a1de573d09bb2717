import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';
import { Kysely } from 'kysely';

import { RotundaError } from '../errors.js';
import { type Connections, sqliteDialect, translateError } from './dialect.js';
import { migrateToLatest } from './migrate.js';
import type { Schema } from './schema.js';
import { type Answer, bindSession, type Engine, type Session, type WriteSession } from './session.js';

type Statement = Database.Statement;

/** More different statements than the program has; only ad-hoc searches could go beyond. */
const cachedStatements = 500;

/**
 * Opens the file (made with mode 0600 where it is missing) for this process alone. Throws RotundaError 'unavailable'
 * when another process has it.
 */
export async function openSqlite(path: string): Promise<Engine> {
  if (path === '' || path === ':memory:') {
    throw new RotundaError('bad-request', 'A SQLite store needs a file: sqlite:PATH');
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lock = lockFile(path);
  try {
    // SQLite gives its -wal and -shm files the mode of the database file.
    closeSync(openSync(path, 'a', 0o600));
    const writing = openConnection(path);
    // Before anything else, since it counts only for a new file: most rows fit whole, and a commit touches fewer pages.
    writing.pragma('page_size = 8192');
    writing.pragma('journal_mode = WAL');
    // With synchronous = FULL the write-ahead log is on the disk before a commit returns.
    writing.pragma('synchronous = FULL');
    // 32 MB: pages that many commits touch are copied back once; a restart after a crash still reads it at once.
    writing.pragma('wal_autocheckpoint = 4000');
    const session = openWriteSession(writing);
    const writer = new Kysely<Schema>({ dialect: sqliteDialect(writerConnections(session)) });
    await migrateToLatest(writer, 'sqlite');
    session.load();
    const reading = openConnection(path);
    reading.pragma('query_only = on');
    return {
      name: 'sqlite',
      reader: openReader(reading),
      transaction: (body) =>
        writer.transaction().execute((db) => {
          bindSession(db, session);
          return body(db, session);
        }),
      close() {
        for (const database of [reading, writing, lock]) database.close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/**
 * An exclusive transaction on an empty database beside the real one, open for as long as this process serves: the
 * kernel ends it with the process, however that ends, and the real file stays readable by backups and by `sqlite3`.
 */
function lockFile(path: string): Database.Database {
  const file = `${path}.lock`;
  closeSync(openSync(file, 'a', 0o600));
  const lock = new Database(file, { timeout: 0 });
  try {
    lock.exec('begin exclusive');
    return lock;
  } catch (error) {
    lock.close();
    throw new RotundaError('unavailable', `The database ${path} is in use by another Rotunda process`, {
      hint: 'Stop the other process, or give this one a data directory of its own.',
      cause: error,
    });
  }
}

function openConnection(path: string): Database.Database {
  const database = new Database(path, { timeout: 5000 });
  database.pragma('foreign_keys = on');
  // 12 MB for each of the two: what they hold is in the kernel's cache too, and a storm fills them.
  database.pragma('cache_size = -12288');
  database.pragma('temp_store = memory');
  return database;
}

/** Prepares each SQL text once: preparing costs several times what running costs. */
function statementCache(database: Database.Database): (sql: string) => Statement {
  const statements = new Map<string, Statement>();
  return (sql) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    if (statements.size >= cachedStatements) statements.clear();
    const statement = database.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
}

const nothing: Answer = { rows: [], changes: 0 };

function openWriteSession(database: Database.Database): WriteSession & { load(): void } & Transactions {
  const prepare = statementCache(database);
  const execute = (sql: string): Promise<void> => {
    try {
      prepare(sql).run();
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(translated(error));
    }
  };
  let writes = 0;
  let committed = 0;
  let began = false;
  let last: Promise<unknown> = Promise.resolve();
  const session: WriteSession & { load(): void } & Transactions = {
    engine: 'sqlite',
    counter: 0,
    run(query, parameters) {
      const statement = prepare(query.sql);
      try {
        if (!statement.readonly) writes += 1;
        return runStatement(statement, parameters);
      } catch (error) {
        throw translated(error);
      }
    },
    writes: () => writes,
    // A full disk or an I/O error makes SQLite roll back by itself.
    aborted: () => began && !database.inTransaction,
    commitAfter(statements) {
      last = statements;
    },
    savepoint: () => execute('savepoint work'),
    rollbackToSavepoint: () => execute('rollback to work'),
    releaseSavepoint: () => execute('release work'),
    load() {
      committed = Number(database.prepare('select value from revisions where id = 1').pluck().get());
    },
    async begin() {
      last = Promise.resolve();
      session.counter = committed;
      await execute('begin immediate');
      began = true;
    },
    async commit() {
      await last;
      if (session.counter !== committed) {
        prepare('update revisions set value = ? where id = 1').run(session.counter);
      }
      await execute('commit');
      began = false;
      committed = session.counter;
    },
    async rollback() {
      began = false;
      if (database.inTransaction) await execute('rollback');
    },
  };
  return session;
}

type Transactions = { begin(): Promise<void>; commit(): Promise<void>; rollback(): Promise<void> };

function runStatement(statement: Statement, parameters: readonly unknown[]): Answer {
  if (statement.reader) return { rows: statement.all(parameters), changes: 0 };
  const { changes } = statement.run(parameters);
  return changes === 0 ? nothing : { rows: nothing.rows, changes };
}

function translated(error: unknown): Error {
  const known = translateError(error);
  return known instanceof Error ? known : new Error('the database failed', { cause: known });
}

/** The group commit runs one transaction after the other, so the writer needs no queue of its own. */
function writerConnections<S extends Session & Transactions>(session: S): Connections<S> {
  return {
    acquire: () => Promise.resolve(session),
    release: () => undefined,
    begin: (held) => held.begin(),
    commit: (held) => held.commit(),
    rollback: (held) => held.rollback(),
  };
}

/** One connection for all reads: a read transaction makes the others wait, single queries run at once. */
function openReader(database: Database.Database): Kysely<Schema> {
  const prepare = statementCache(database);
  const waiting: (() => void)[] = [];
  let taken = false;
  const run = (sql: string, parameters: readonly unknown[]): Answer => {
    try {
      return runStatement(prepare(sql), parameters);
    } catch (error) {
      throw translated(error);
    }
  };
  const session: Session = { engine: 'sqlite', run: (query, parameters) => run(query.sql, parameters) };
  const acquire = async (): Promise<Session> => {
    while (taken) await new Promise<void>((resolve) => waiting.push(resolve));
    taken = true;
    return session;
  };
  const release = (): void => {
    taken = false;
    waiting.shift()?.();
  };
  const control = (sql: string): Promise<void> => {
    run(sql, []);
    return Promise.resolve();
  };
  const reader = new Kysely<Schema>({
    dialect: sqliteDialect({
      acquire,
      release,
      begin: () => control('begin'),
      commit: () => control('commit'),
      rollback: () => control('rollback'),
    }),
  });
  bindSession(reader, {
    engine: 'sqlite',
    run(query, parameters) {
      if (!taken) return run(query.sql, parameters);
      return acquire().then(() => {
        try {
          return run(query.sql, parameters);
        } finally {
          release();
        }
      });
    },
  });
  return reader;
}
