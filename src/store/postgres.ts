import { Kysely, PostgresDialect, type TransactionSettings } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';

import { type Connections, postgresDialect, translateError } from './dialect.js';
import { migrateToLatest } from './migrate.js';
import { answer, clientConfig, connect, query } from './postgres-client.js';
import { openWriter } from './postgres-writer.js';
import type { Schema } from './schema.js';
import { bindSession, type Engine, type Query, type Session } from './session.js';

const readers = 8;
/** Longest wait for the other replicas' writers. */
const lockTimeoutMs = 20_000;
/** A replica that stops in the middle of its transaction (paused, swapped out) loses it, so that the others can write. */
const idleInTransactionMs = 10_000;

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
  // One that dies while it is in use and no query runs on it: the next query fails, which is enough.
  pool.on('connect', (client) => {
    client.on('error', (error) => {
      logger.warn({ err: error }, 'a database connection was lost in use');
    });
  });
  return pool;
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
