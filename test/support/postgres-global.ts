import { peers } from './peers.js';
import { type PostgresServer, postgresVariable, startPostgres } from './postgres.js';

let server: Promise<PostgresServer> | undefined;
let users = 0;

/** One server for the whole run, whichever projects are in it: starting one takes a second, a database in it 30 ms. */
export async function setup(): Promise<void> {
  users += 1;
  if (peers.postgresBin === undefined) return;
  server ??= startPostgres(peers.postgresBin);
  // Workers are started later and inherit it.
  process.env[postgresVariable] = (await server).url;
}

export async function teardown(): Promise<void> {
  users -= 1;
  if (users > 0 || server === undefined) return;
  const stopping = server;
  server = undefined;
  await (await stopping).stop();
}
