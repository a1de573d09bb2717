import pg from 'pg';

import { translateError } from './dialect.js';
import type { Answer, Query } from './session.js';

/** Commits tell the other replicas on this channel; the payload is the newest revision. */
export const changesChannel = 'rotunda_changes';

const connectTimeoutMs = 5_000;

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

export async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw translateError(error);
  }
}

export async function query(
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

export function answer(result: pg.QueryResult): Answer {
  return { rows: result.rows, changes: result.command === 'SELECT' ? 0 : (result.rowCount ?? 0) };
}
