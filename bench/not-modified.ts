import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';

import { request } from 'undici';

import { type ServiceProcess, startServiceProcess } from '../test/support/service-process.js';
import { agentWith } from './https.js';
import { inParallel, percentile, type Row } from './report.js';
import { createReader, type HttpReader } from './storm-http.js';

const ring = '/pki/v1/rings/etcd/bundle';

/** Readers that ask whether there is another bundle over kept connections, and are told that there is none. */
export async function benchNotModified(count: number, connections = 64): Promise<Row[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-304-'));
  const config = path.join(dataDir, 'config.yaml');
  // Everybody here comes from one address.
  const limits = { anonymous: { perSecond: 1_000_000, burst: 1_000_000 } };
  writeFileSync(config, JSON.stringify({ apiVersion: 'rotunda.dev/v1alpha1', limits }));
  const args = ['--listen', '127.0.0.1:0', '--config', config];
  const service = await startServiceProcess({ dataDir, args, env: { ROTUNDA_LOG_LEVEL: 'error' } });
  try {
    const fresh = await measure(service, { count, connections, headers: '' });
    const headers = `if-none-match: ${await etagOf(service)}\r\n`;
    return [
      ...rowsOf('304', await measure(service, { count, connections, headers })),
      ...rowsOf('the whole bundle', fresh),
    ];
  } finally {
    await service.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

type Measured = { readonly perSecond: number; readonly cpuMicroseconds: number; readonly latencies: readonly number[] };

function rowsOf(what: string, { perSecond, cpuMicroseconds, latencies }: Measured): Row[] {
  return [
    { what: `${what}: answers`, value: perSecond, unit: '/s' },
    { what: `${what}: server CPU`, value: cpuMicroseconds, unit: 'µs' },
    { what: `${what}: 99th percentile`, value: percentile(latencies, 0.99), unit: 'ms' },
  ];
}

async function etagOf(service: ServiceProcess): Promise<string> {
  const agent = agentWith(service, service.admin);
  const answer = await request(`${service.url}${ring}`, { dispatcher: agent });
  await answer.body.dump();
  await agent.destroy();
  return String(answer.headers['etag']);
}

type Asking = { readonly count: number; readonly connections: number; readonly headers: string };

async function measure(service: ServiceProcess, { count, connections, headers }: Asking): Promise<Measured> {
  const open = await Promise.all(Array.from({ length: connections }, () => opened(service)));
  const expected = headers === '' ? 200 : 304;
  let latencies: number[] = [];
  const run = async (total: number): Promise<void> => {
    await Promise.all(
      open.map(({ socket, reader }) =>
        inParallel(Math.ceil(total / connections), 1, async () => {
          const start = performance.now();
          socket.write(`GET ${ring} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`);
          const { status } = await reader.answer();
          if (status !== expected) throw new Error(`${String(status)} instead of ${String(expected)}`);
          latencies.push(performance.now() - start);
        }),
      ),
    );
  };
  await run(count / 5);
  latencies = [];
  const cpu = service.cpuMs();
  const start = performance.now();
  await run(count);
  const seconds = (performance.now() - start) / 1000;
  const cpuMicroseconds = ((service.cpuMs() - cpu) / latencies.length) * 1000;
  for (const { socket } of open) socket.destroy();
  return { perSecond: latencies.length / seconds, cpuMicroseconds, latencies };
}

async function opened(service: ServiceProcess): Promise<{ socket: TLSSocket; reader: HttpReader }> {
  const url = new URL(service.url);
  const socket = connect({ host: url.hostname, port: Number(url.port), ca: service.ca, servername: 'localhost' });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  return { socket, reader: createReader(socket) };
}
