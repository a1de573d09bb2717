import { Kysely, PostgresDialect, type TransactionSettings } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';

import { type Connections, postgresDialect, translateError } from './dialect.js';
import { migrateToLatest } from './migrate.js';
import type { Schema } from './schema.js';
import { type Answer, bindSession, type Engine, type Query, type Session, type WriteSession } from './session.js';

/** Commits tell the other replicas on this channel; the payload is the newest revision. */
export const changesChannel = 'rotunda_changes';

const readers = 8;
const connectTimeoutMs = 5_000;
/** Longest wait for the other replicas' writers. */
const lockTimeoutMs = 20_000;
/** A replica that stops in the middle of its transaction (paused, swapped out) loses it, so that the others can write. */
const idleInTransactionMs = 10_000;

// Counters and milliseconds stay far below 2^53.
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);

export function clientConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    types,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'rotunda',
  };
}

/** Connects, migrates, and opens one pool for reads and one connection for writes. */
export async function openPostgres(url: string, logger: Logger): Promise<Engine> {
  await migrate(url);
  const reading = openPool({ ...clientConfig(url), max: readers }, logger);
  const writing = openPool(writerConfig(url), logger);
  // A server that does not wait for its disk would make every promise of durability a lie.
  writing.on('connect', (client) => {
    client
      .query("select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'")
      .catch((error: unknown) => {
        logger.warn({ err: error }, 'cannot make sure of synchronous_commit');
      });
  });
  return {
    name: 'postgres',
    reader: openReader(reading),
    transaction: openWriter(writing),
    close: async () => {
      await Promise.all([reading.end(), writing.end()]);
    },
  };
}

function writerConfig(url: string): pg.PoolConfig {
  return {
    ...clientConfig(url),
    max: 1,
    // Statements of one write that do not wait for each other share a round trip.
    pipeline: true,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
  };
}

async function migrate(url: string): Promise<void> {
  const pool = new pg.Pool({ ...clientConfig(url), max: 1 });
  pool.on('error', () => undefined);
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrateToLatest(db, 'postgres');
  } catch (error) {
    throw translateError(error);
  } finally {
    await db.destroy();
  }
}

function openPool(config: pg.PoolConfig, logger: Logger): pg.Pool {
  const pool = new pg.Pool(config);
  // An idle connection that dies is replaced by the pool when it is next needed.
  pool.on('error', (error) => {
    logger.warn({ err: error }, 'a database connection was lost');
  });
  return pool;
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw translateError(error);
  }
}

async function query(
  target: pg.Pool | pg.PoolClient,
  text: Query,
  values: readonly unknown[],
): Promise<pg.QueryResult> {
  try {
    const { sql, name } = text;
    return await target.query(
      name === undefined ? { text: sql, values: [...values] } : { text: sql, name, values: [...values] },
    );
  } catch (error) {
    throw translateError(error);
  }
}

function answer(result: pg.QueryResult): Answer {
  return { rows: result.rows, changes: result.command === 'SELECT' ? 0 : (result.rowCount ?? 0) };
}

type ReadSession = Session & { release(): void; control(sql: string): Promise<void> };

function openReader(pool: pg.Pool): Kysely<Schema> {
  const connections: Connections<ReadSession> = {
    acquire: async () => {
      const client = await connect(pool);
      let failed = false;
      const run = (text: Query, values: readonly unknown[]): Promise<pg.QueryResult> =>
        query(client, text, values).catch((error: unknown) => {
          failed = true;
          throw error;
        });
      return {
        engine: 'postgres',
        run: async (text, values) => answer(await run(text, values)),
        control: async (sql) => {
          await run({ sql }, []);
        },
        release: () => {
          client.release(failed);
        },
      };
    },
    release: (session) => {
      session.release();
    },
    begin: (session, settings) => session.control(startTransaction(settings)),
    commit: (session) => session.control('commit'),
    rollback: (session) => session.control('rollback').catch(() => undefined),
  };
  const reader = new Kysely<Schema>({ dialect: postgresDialect(connections) });
  bindSession(reader, { engine: 'postgres', run: async (text, values) => answer(await query(pool, text, values)) });
  return reader;
}

function startTransaction(settings: TransactionSettings): string {
  const isolation = settings.isolationLevel === undefined ? '' : ` isolation level ${settings.isolationLevel}`;
  return `start transaction${isolation} read only`;
}

function openWriter(pool: pg.Pool): Engine['transaction'] {
  let current: PostgresWriteSession | undefined;
  const connections: Connections<PostgresWriteSession> = {
    acquire: async () => {
      current = openWriteSession(await connect(pool));
      return current;
    },
    release: (session) => {
      current = undefined;
      session.release();
    },
    begin: (session) => session.begin(),
    commit: (session) => session.commit(),
    rollback: (session) => session.rollback(),
  };
  const writer = new Kysely<Schema>({ dialect: postgresDialect(connections) });
  return (body) =>
    writer.transaction().execute((db) => {
      if (current === undefined) throw new Error('a transaction without a connection');
      bindSession(db, current);
      return body(db, current);
    });
}

type PostgresWriteSession = WriteSession & {
  begin(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  release(): void;
};

function openWriteSession(client: pg.PoolClient): PostgresWriteSession {
  let writes = 0;
  let locked = 0;
  let failed = false;
  let broken = false;
  let last: Promise<unknown> = Promise.resolve();
  const execute = async (text: Query, values: readonly unknown[] = []): Promise<pg.QueryResult> => {
    try {
      return await query(client, text, values);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const session: PostgresWriteSession = {
    engine: 'postgres',
    counter: 0,
    run: async (text, values) => {
      const result = await execute(text, values);
      if (result.command !== 'SELECT') writes += 1;
      return answer(result);
    },
    writes: () => writes,
    aborted: () => failed,
    commitAfter: (statements) => {
      last = statements;
    },
    savepoint: async () => {
      await execute({ sql: 'savepoint work' });
    },
    rollbackToSavepoint: async () => {
      await execute({ sql: 'rollback to work' });
      failed = false;
    },
    releaseSavepoint: async () => {
      await execute({ sql: 'release work' });
    },
    begin: async () => {
      locked = await lockCounter(client);
      session.counter = locked;
    },
    commit: async () => {
      await Promise.all([last, commit(client, locked, session.counter)]);
    },
    rollback: async () => {
      try {
        await query(client, { sql: 'rollback' }, []);
      } catch {
        // The server rolls back what it cannot talk about any more; the connection goes.
        broken = true;
      }
    },
    release: () => {
      client.release(broken);
    },
  };
  return session;
}

/** Begins, and waits for the writers of all other replicas: from here to the commit this one is alone. */
async function lockCounter(client: pg.PoolClient): Promise<number> {
  const results = await script(client, 'begin; select value from revisions where id = 1 for update');
  const row: unknown = results.at(-1)?.rows[0];
  if (typeof row !== 'object' || row === null || !('value' in row)) throw new Error('the revision counter is missing');
  return Number(row.value);
}

async function commit(client: pg.PoolClient, locked: number, counter: number): Promise<void> {
  const value = String(counter);
  const results = await script(
    client,
    counter === locked
      ? 'commit'
      : `update revisions set value = ${value} where id = 1; notify ${changesChannel}, '${value}'; commit`,
  );
  // PostgreSQL answers the commit of a failed transaction with ROLLBACK, and without an error.
  if (results.at(-1)?.command !== 'COMMIT') throw new Error('the database rolled the transaction back');
}

/** Several statements in one round trip. The text is ours alone: the simple protocol has no parameters. */
async function script(client: pg.PoolClient, text: string): Promise<readonly pg.QueryResult[]> {
  try {
    const results: unknown = await client.query(text);
    return (Array.isArray(results) ? results : [results]) as pg.QueryResult[];
  } catch (error) {
    throw translateError(error);
  }
}
