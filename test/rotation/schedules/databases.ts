import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import pg from 'pg';
import { afterAll, afterEach, describe } from 'vitest';

import { describeWithPeer } from '../../support/peers.js';
import { createDatabase, postgresVariable } from '../../support/postgres.js';

/** A data directory with its database: SQLite in it, or one on the run's PostgreSQL server. */
export type Place = { readonly dataDir: string; readonly storeUrl: string };

/** Makes places; what it made is gone after the test, or with `lasting` after all of them. */
export type Places = {
  readonly engine: 'sqlite' | 'postgres';
  fresh(lasting?: 'lasting'): Promise<Place>;
  /** Another one with the same content. Nobody may have the original open. */
  copy(of: Place): Promise<Place>;
};

/** Runs the suite on SQLite and on PostgreSQL, whose absence is a skip that says so. */
export function describeEachPlace(title: string, suite: (places: Places) => void): void {
  describe(`${title} (SQLite)`, () => {
    suite(createPlaces(sqlite));
  });
  describeWithPeer('postgresBin', `${title} (PostgreSQL)`, () => {
    suite(createPlaces(postgres));
  });
}

type Engine = { readonly name: Places['engine']; readonly make: Make };
type Make = (
  directory: string,
  template?: string,
) => Promise<{ readonly url: string; readonly drop: () => Promise<void> }>;

/** Places of one engine, gone after the test. */
export function createPlaces(engine: Engine): Places {
  const { places, removals, lasting } = makePlaces(engine);
  afterEach(() => removeAll(removals));
  afterAll(() => removeAll(lasting));
  return places;
}

type Removal = () => Promise<void>;
type Made = { readonly places: Places; readonly removals: Removal[]; readonly lasting: Removal[] };

export async function removeAll(list: Removal[]): Promise<void> {
  for (const remove of list.splice(0)) await remove();
}

export function makePlaces(engine: Engine): Made {
  const removals: Removal[] = [];
  const lasting: Removal[] = [];
  const make = async (template: Place | undefined, list: Removal[]): Promise<Place> => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-rotation-'));
    if (template !== undefined) cpSync(template.dataDir, dataDir, { recursive: true });
    const { url, drop } = await engine.make(dataDir, template?.storeUrl);
    list.push(async () => {
      await drop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    return { dataDir, storeUrl: url };
  };
  const fresh: Places['fresh'] = (how) => make(undefined, how === 'lasting' ? lasting : removals);
  return { places: { engine: engine.name, fresh, copy: (of) => make(of, removals) }, removals, lasting };
}

export const sqlite: Engine = {
  name: 'sqlite',
  make: (directory) =>
    Promise.resolve({ url: `sqlite:${path.join(directory, 'rotunda.db')}`, drop: () => Promise.resolve() }),
};

export const postgres: Engine = { name: 'postgres', make: makePostgres };

async function makePostgres(_directory: string, template?: string): ReturnType<Make> {
  const server = process.env[postgresVariable] ?? '';
  if (template === undefined) return createDatabase(server);
  const name = `test_${randomBytes(8).toString('hex')}`;
  await run(server, `create database ${name} template ${new URL(template).pathname.slice(1)}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.toString(), drop: () => run(server, `drop database if exists ${name} with (force)`) };
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
