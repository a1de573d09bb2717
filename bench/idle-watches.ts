import { connect, type TLSSocket } from 'node:tls';

import type { ServiceProcess } from '../test/support/service-process.js';
import { agentWith, newToken } from './https.js';
import { inParallel, type Row } from './report.js';
import { createReader } from './storm-http.js';

const path =
  '/apis/certificates.k8s.io/v1/certificatesigningrequests?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan' +
  '&sendInitialEvents=true&timeoutSeconds=600&watch=true';
/** For the collector to find what the opening left behind. */
const settleMs = 2_000;

/** Kubelets that wait for a decision: each an own connection with a watch of one name, which nothing happens to. */
export async function benchIdleWatches(service: ServiceProcess, watches: number): Promise<Row[]> {
  const admin = agentWith(service, service.admin);
  // A token for one machine may not open that many.
  const token = await newToken(service, admin, {});
  await admin.destroy();
  const before = service.memory();
  const sockets: TLSSocket[] = [];
  try {
    await inParallel(watches, 64, async (index) => {
      sockets.push(await openWatch(service, token, `nothing-${String(index)}`));
    });
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const cpu = service.cpuMs();
    const seconds = 5;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return [
      {
        what: `memory for each of ${String(watches)} idle watches, connection included`,
        value: (service.memory() - before) / watches / 1000,
        unit: 'kB',
      },
      {
        what: 'CPU of the server while all are idle',
        value: (service.cpuMs() - cpu) / seconds / 10,
        unit: '% of a core',
      },
    ];
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function openWatch(service: ServiceProcess, token: string, name: string): Promise<TLSSocket> {
  const url = new URL(service.url);
  const socket = connect({ host: url.hostname, port: Number(url.port), ca: service.ca, servername: 'localhost' });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  const reader = createReader(socket);
  socket.write(
    `GET ${path}&fieldSelector=metadata.name%3D${name} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
  const line = await reader.line();
  if (!line.includes('BOOKMARK')) throw new Error(`a watch began with ${line}`);
  return socket;
}
