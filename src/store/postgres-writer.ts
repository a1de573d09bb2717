import { Kysely } from 'kysely';
import type pg from 'pg';

import { type Connections, postgresDialect, translateError } from './dialect.js';
import { answer, changesChannel, connect, query } from './postgres-client.js';
import type { Schema } from './schema.js';
import { bindSession, type Engine, type Query, type WriteSession } from './session.js';

/** Transactions over a pool of one connection. */
export function openWriter(pool: pg.Pool): Engine['transaction'] {
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
