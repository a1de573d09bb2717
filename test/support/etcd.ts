import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Member = {
  readonly name: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
  readonly dir: string;
};

/** Files beside a member: certificates and keys as it obtained them, and the CA bundle that it trusts. */
export type MemberFiles = {
  readonly peer: string;
  readonly server: string;
  readonly client: string;
  readonly ca: string;
};

/** Places for members of one cluster on free ports of the loopback. */
export async function planMembers(count: number, dir: string): Promise<Member[]> {
  const ports = await freePorts(count * 2);
  return Array.from({ length: count }, (_, index) => {
    const name = `m${String(index + 1)}`;
    const memberDir = path.join(dir, name);
    mkdirSync(memberDir, { recursive: true, mode: 0o700 });
    return {
      name,
      peerUrl: `https://127.0.0.1:${String(ports[index * 2])}`,
      clientUrl: `https://127.0.0.1:${String(ports[index * 2 + 1])}`,
      dir: memberDir,
    };
  });
}

/** Writes `<stem>.crt` and `<stem>.key` beside the member and gives the stem's path. */
export function writePair(member: { dir: string }, stem: string, pair: { cert: string; key: string }): string {
  const base = path.join(member.dir, stem);
  writeFileSync(`${base}.crt`, pair.cert, { mode: 0o644 });
  writeFileSync(`${base}.key`, pair.key, { mode: 0o600 });
  return base;
}

/** Starts one member with mutual TLS on both its listeners. The process ends with the test that started it. */
export function startMember(
  etcd: string,
  member: Member,
  files: MemberFiles,
  cluster: readonly Member[],
): ChildProcess {
  const args = [
    ['--name', member.name],
    ['--data-dir', path.join(member.dir, 'data')],
    ['--listen-peer-urls', member.peerUrl],
    ['--initial-advertise-peer-urls', member.peerUrl],
    ['--listen-client-urls', member.clientUrl],
    ['--advertise-client-urls', member.clientUrl],
    ['--initial-cluster', cluster.map((other) => `${other.name}=${other.peerUrl}`).join(',')],
    ['--initial-cluster-state', 'new'],
    ['--cert-file', `${files.server}.crt`],
    ['--key-file', `${files.server}.key`],
    ['--client-cert-auth'],
    ['--trusted-ca-file', files.ca],
    ['--peer-cert-file', `${files.peer}.crt`],
    ['--peer-key-file', `${files.peer}.key`],
    ['--peer-client-cert-auth'],
    ['--peer-trusted-ca-file', files.ca],
    ['--logger', 'zap'],
  ].flat();
  const child = spawn(etcd, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const log: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    log.push(chunk.toString());
    if (log.length > 200) log.shift();
  });
  child.on('exit', (code) => {
    if (code !== null && code !== 0)
      process.stderr.write(`etcd ${member.name} ended with ${String(code)}\n${log.join('').slice(-2000)}\n`);
  });
  return child;
}

/** Runs etcdctl (API version 3) with a client certificate; rejects with its stderr. */
export async function etcdctl(
  binary: string,
  options: { endpoints: readonly string[]; pair: string; ca: string; timeoutSeconds?: number },
  args: readonly string[],
): Promise<string> {
  const flags = [
    `--endpoints=${options.endpoints.join(',')}`,
    `--cert=${options.pair}.crt`,
    `--key=${options.pair}.key`,
    `--cacert=${options.ca}`,
    `--command-timeout=${String(options.timeoutSeconds ?? 10)}s`,
    '--dial-timeout=5s',
  ];
  const { stdout } = await run(binary, [...flags, ...args], {
    env: { ...process.env, ETCDCTL_API: '3' },
    timeout: 30_000,
  });
  return stdout;
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer();
          server.listen(0, '127.0.0.1', () => {
            resolve(server);
          });
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
