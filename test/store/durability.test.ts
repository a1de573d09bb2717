import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Kysely, PostgresDialect, SqliteDialect } from 'kysely';
import Database from 'better-sqlite3';
import pg from 'pg';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import { migrations } from '../../migrations/index.js';
import { appliedMigrations, migrateDown, migrateToLatest } from '../../src/store/migrate.js';
import { openStore } from '../../src/store/index.js';
import type { Schema } from '../../src/store/schema.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { startPostgres } from '../support/postgres.js';
import { describeEachDatabase, describeEachStore } from '../support/stores.js';

const logger = pino({ level: 'silent' });
const clock = { now: () => new Date() };
const program = fileURLToPath(new URL('writer-process.ts', import.meta.url));

/** Lets a process write for a while, kills it in the middle, and tells what it had been promised. */
async function writeUntilKilled(url: string, ms: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const told = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') setTimeout(() => child.kill('SIGKILL'), ms);
    const [key, revision] = line.split(' ');
    if (key !== undefined && revision !== undefined) told.set(key, Number(revision));
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  return told;
}

describeEachStore('a writer killed with SIGKILL', (open, newDatabase) => {
  test('keeps all that was acknowledged, and revisions that never repeat', async () => {
    const url = await newDatabase();
    const told = new Map<string, number>();
    for (const ms of [150, 400, 250]) {
      for (const [key, revision] of await writeUntilKilled(url, ms)) told.set(key, revision);
    }
    const store = await open({ url });
    const rows = await store.db.selectFrom('settings').selectAll().execute();
    const kept = new Map(rows.map((row) => [row.key, Number(row.value)]));
    expect(told.size).toBeGreaterThan(50);
    for (const [key, revision] of told) expect(kept.get(key)).toBe(revision);
    const log = await store.db.selectFrom('changes').select(['revision', 'name']).orderBy('revision').execute();
    expect(log.map((row) => row.revision)).toEqual(Array.from({ length: log.length }, (_, i) => i + 1));
    expect(await store.revision()).toBe(log.length);
    for (const { name, revision } of log) expect(kept.get(name)).toBe(revision);
  }, 60_000);
});

describeWithPeer('postgresBin', 'a PostgreSQL that dies and comes back', () => {
  test('writes and reads are refused as unavailable meanwhile, then go on, and no change is missed', async () => {
    const server = await startPostgres(requirePeer('postgresBin'));
    try {
      const store = await openStore({ url: server.url, logger, clock });
      const heard: number[] = [];
      await store.feed.subscribe({ resource: 'things', after: 0 }, (c) => heard.push(c.revision));
      const publish = () =>
        store.write(async (tx) => {
          const revision = tx.nextRevision();
          await tx.publish({
            revision,
            resource: 'things',
            name: 'a',
            type: 'ADDED',
            object: '{}',
            previous: undefined,
          });
          return revision;
        });
      await publish();
      await server.kill();
      const refused = await Promise.allSettled([publish(), publish(), store.ping(), store.revision()]);
      for (const result of refused) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
      }
      await server.start();
      await store.ping();
      expect(await publish()).toBe(2);
      const other = await openStore({ url: server.url, logger, clock });
      await other.write(async (tx) => {
        const revision = tx.nextRevision();
        await tx.publish({ revision, resource: 'things', name: 'b', type: 'ADDED', object: '{}', previous: undefined });
      });
      await expect.poll(() => heard, { timeout: 10_000 }).toEqual([1, 2, 3]);
      await other.close();
      await store.close();
    } finally {
      await server.stop();
    }
  }, 60_000);

  test('a server that is not there is unavailable', async () => {
    await expect(openStore({ url: 'postgres://nobody@127.0.0.1:1/none', logger, clock })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

function plain(url: string): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: url.startsWith('sqlite:')
      ? new SqliteDialect({ database: new Database(url.slice('sqlite:'.length)) })
      : new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  });
}

/** The schema as the database tells it. */
async function tables(db: Kysely<Schema>) {
  const found = await db.introspection.getTables();
  return found
    .filter((table) => !table.name.startsWith('schema_migration'))
    .map(({ name, columns }) => ({
      name,
      columns: columns.map((c) => ({ name: c.name, type: c.dataType, nullable: c.isNullable })),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

describeEachDatabase('the schema', (newDatabase) => {
  const engineOf = (url: string) => (url.startsWith('sqlite:') ? 'sqlite' : 'postgres');

  test('goes up, down and up again', async () => {
    const url = await newDatabase();
    const db = plain(url);
    try {
      await migrateToLatest(db, engineOf(url));
      const up = await tables(db);
      expect(up.length).toBeGreaterThan(15);
      expect(await appliedMigrations(db, engineOf(url))).toEqual(Object.keys(migrations));
      await migrateDown(db);
      expect((await tables(db)).filter((table) => !table.name.startsWith('sqlite_'))).toEqual([]);
      await migrateToLatest(db, engineOf(url));
      expect(await tables(db)).toEqual(up);
      await migrateToLatest(db, engineOf(url));
      expect(await tables(db)).toEqual(up);
    } finally {
      await db.destroy();
    }
  });

  test('is refused when it is newer than the program', async () => {
    const url = await newDatabase();
    await (await openStore({ url, logger, clock })).close();
    const db = plain(url);
    const row = { name: '999-from-the-future', timestamp: new Date().toISOString() };
    await (db as unknown as Kysely<{ schema_migrations: typeof row }>)
      .insertInto('schema_migrations')
      .values(row)
      .execute();
    await db.destroy();
    await expect(openStore({ url, logger, clock })).rejects.toThrow(
      new RegExp(
        `has schema 999-from-the-future, this program knows schemas up to ${Object.keys(migrations).at(-1) ?? ''}`,
      ),
    );
    // What refused does not keep the file.
    await expect(openStore({ url, logger, clock })).rejects.toThrow(/999-from-the-future/);
  });

  test('is kept when the store is opened again', async () => {
    const url = await newDatabase();
    const first = await openStore({ url, logger, clock });
    await first.write((tx) => tx.db.insertInto('settings').values({ key: 'a', value: 'b' }).execute());
    await first.close();
    const second = await openStore({ url, logger, clock });
    expect(await second.db.selectFrom('settings').selectAll().execute()).toEqual([{ key: 'a', value: 'b' }]);
    await second.close();
  });
});

describe('a SQLite file', () => {
  test('is readable by its owner alone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rotunda-mode-'));
    try {
      chmodSync(directory, 0o755);
      const path = join(directory, 'sub', 'rotunda.db');
      const store = await openStore({ url: `sqlite:${path}`, logger, clock });
      await store.write((tx) => tx.db.insertInto('settings').values({ key: 'a', value: 'b' }).execute());
      for (const file of [path, `${path}-wal`, `${path}-shm`, `${path}.lock`]) {
        expect(statSync(file).mode & 0o777).toBe(0o600);
      }
      await store.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('is refused to a second process, and free again once the first was killed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rotunda-lock-'));
    const url = `sqlite:${join(directory, 'rotunda.db')}`;
    const child = spawn(process.execPath, ['--import', 'tsx', program, url], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      await expect(openStore({ url, logger, clock })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('in use by another Rotunda process') as unknown,
      });
      child.kill('SIGKILL');
      await once(child, 'exit');
      await (await openStore({ url, logger, clock })).close();
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('cannot be in memory, and other databases are refused', async () => {
    await expect(openStore({ url: 'sqlite::memory:', logger, clock })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(openStore({ url: 'mysql://x', logger, clock })).rejects.toMatchObject({ code: 'bad-request' });
  });
});
