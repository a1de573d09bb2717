import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

/** Names the run's server to the test workers. */
export const postgresVariable = 'ROTUNDA_TEST_POSTGRES';

/** A PostgreSQL server of the tests' own: durable as in production, on the loopback interface, gone when stopped. */
export type PostgresServer = {
  readonly url: string;
  readonly port: number;
  /** SIGKILL to the whole server, as when the machine loses power but keeps its disk. */
  kill(): Promise<void>;
  /** Starts again on the same data and port. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

/** PostgreSQL refuses to run as root; Debian's package brings this user, and `nobody` is everywhere. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // Not on this machine: the next one.
    }
  }
  throw new Error('root, and neither a user postgres nor nobody to run PostgreSQL as');
}

/** Starts a server from the programs in `bin`, with a data directory of its own. */
export async function startPostgres(bin: string): Promise<PostgresServer> {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-postgres-'));
  const user = unprivileged();
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  chmodSync(directory, 0o700);
  const data = join(directory, 'data');
  const options = { cwd: directory, ...user, env: { ...process.env, HOME: directory, LC_ALL: 'C' } };
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'rotunda', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
    { ...options, stdio: 'pipe', timeout: 60_000 },
  );
  const port = await freePort();
  const url = `postgres://rotunda@127.0.0.1:${String(port)}/postgres`;
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const settings = [`port=${String(port)}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`];
    settings.push('fsync=on', 'max_connections=300', 'logging_collector=off', 'log_min_messages=fatal');
    server = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
      ...options,
      stdio: 'ignore',
    });
    await answering(url);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = server;
    server = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise<void>((resolve) =>
      ending.once('exit', () => {
        resolve();
      }),
    );
    ending.kill(signal);
    await ended;
  };
  await start();
  return {
    url,
    port,
    start,
    kill: () => end('SIGKILL'),
    async stop() {
      // SIGINT is PostgreSQL's fast shutdown: it disconnects its clients.
      await end('SIGINT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A fresh, empty database on the server at `serverUrl`. */
export async function createDatabase(serverUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await administer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.toString(), drop: () => administer(serverUrl, `drop database if exists ${name} with (force)`) };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function answering(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      await administer(url, 'select 1');
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise<void>((resolve) =>
    probe.close(() => {
      resolve();
    }),
  );
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
