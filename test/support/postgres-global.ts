import type { TestProject } from 'vitest/node';

import { peers } from './peers.js';
import { type PostgresServer, startPostgres } from './postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The run's PostgreSQL server; empty where this machine has none. */
    postgresUrl: string;
  }
}

let server: Promise<PostgresServer> | undefined;
let users = 0;

/** One server for the whole run, whichever projects are in it: starting one takes a second, a database in it 30 ms. */
export async function setup(project: TestProject): Promise<void> {
  users += 1;
  if (peers.postgresBin !== undefined) server ??= startPostgres(peers.postgresBin);
  project.provide('postgresUrl', (await server)?.url ?? '');
}

export async function teardown(): Promise<void> {
  users -= 1;
  if (users > 0 || server === undefined) return;
  const stopping = server;
  server = undefined;
  await (await stopping).stop();
}
