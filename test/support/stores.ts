import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, describe } from 'vitest';

import type { Clock } from '../../src/clock.js';
import { openStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/types.js';
import { describeWithPeer } from './peers.js';
import { createDatabase, postgresVariable } from './postgres.js';

/** Makes an empty database, a SQLite one in `directory` where given, and tells its store URL. */
export type NewDatabase = (directory?: string) => Promise<string>;

export type OpenOptions = {
  /** A database of this test, to open it a second time or again; a fresh one without. */
  readonly url?: string;
  readonly clock?: Clock;
};

const systemClock: Clock = { now: () => new Date() };

/**
 * Runs the suite on SQLite and on PostgreSQL. `newDatabase` makes an empty database; it and everything in it is gone
 * after the test. Without a PostgreSQL its half is a skip that says so, and in CI a failure.
 */
export function describeEachDatabase(title: string, suite: (newDatabase: NewDatabase) => void): void {
  describe(`${title} (SQLite)`, () => {
    suite(cleanedUp(newSqlite));
  });
  describeWithPeer('postgresBin', `${title} (PostgreSQL)`, () => {
    suite(cleanedUp(newPostgres));
  });
}

/** Runs the suite on both engines. `open` opens a store on a fresh database, closed and removed after the test. */
export function describeEachStore(
  title: string,
  suite: (open: (options?: OpenOptions) => Promise<Store>, newDatabase: NewDatabase) => void,
): void {
  describeEachDatabase(title, (newDatabase) => {
    const stores: Store[] = [];
    // Hooks of afterEach run last first: the stores close before their databases go.
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close();
    });
    suite(async (options = {}) => {
      const url = options.url ?? (await newDatabase());
      const store = await openStore({ url, logger: pino({ level: 'silent' }), clock: options.clock ?? systemClock });
      stores.push(store);
      return store;
    }, newDatabase);
  });
}

type Made = { readonly url: string; readonly remove: () => Promise<void> | void };

function cleanedUp(make: (directory?: string) => Promise<Made>): NewDatabase {
  const made: Made[] = [];
  afterEach(async () => {
    for (const database of made.splice(0)) await database.remove();
  });
  return async (directory) => {
    const database = await make(directory);
    made.push(database);
    return database.url;
  };
}

function newSqlite(directory?: string): Promise<Made> {
  const own = mkdtempSync(join(tmpdir(), 'rotunda-sqlite-'));
  return Promise.resolve({
    url: `sqlite:${join(directory ?? own, 'rotunda.db')}`,
    remove: () => {
      rmSync(own, { recursive: true, force: true });
    },
  });
}

async function newPostgres(): Promise<Made> {
  const { url, drop } = await createDatabase(process.env[postgresVariable] ?? '');
  return { url, remove: drop };
}
