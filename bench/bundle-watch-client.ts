import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';

import { inParallel } from './report.js';

// One process of those who wait for a bundle: each with a TLS connection of its own, by long poll or by server-sent
// events. For each line on standard input, the generation to come, it tells when each of them had it whole.

export type WatchPlan = {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly watchers: number;
  readonly mode: 'long poll' | 'events';
  /** The generation at the beginning. */
  readonly generation: number;
};
export type WatchOutcome = {
  /** When each had the generation, milliseconds since 1970. */
  readonly times: readonly number[];
  readonly failures: readonly string[];
};

const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as WatchPlan;
const waitMs = 60_000;
const now = (): number => performance.timeOrigin + performance.now();
const failures: string[] = [];
let arrived: ((time: number) => void) | undefined;

async function opened(): Promise<TLSSocket> {
  const socket = connect({ host: plan.host, port: plan.port, ca: plan.ca, servername: 'localhost' });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  socket.setEncoding('latin1');
  socket.on('close', () => failures.push('a connection was closed'));
  return socket;
}

function follow(socket: TLSSocket): void {
  if (plan.mode === 'events') {
    socket.on('data', (text: string) => {
      if (text.includes('event: bundle')) arrived?.(now());
    });
    socket.write(
      `GET /pki/v1/rings/etcd/bundle/events HTTP/1.1\r\nhost: localhost\r\nlast-event-id: ${String(plan.generation)}\r\n\r\n`,
    );
    return;
  }
  let text = '';
  let generation = plan.generation;
  const ask = (): void => {
    socket.write(
      `GET /pki/v1/rings/etcd/bundle?after=${String(generation)}&wait=5m HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    );
  };
  socket.on('data', (chunk: string) => {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
    if (head === -1 || text.length < head + 4 + length) return;
    if (!text.startsWith('HTTP/1.1 200')) failures.push(text.slice(0, 200));
    text = '';
    arrived?.(now());
    // As a real one does, at once: the next wait begins while others are still told.
    generation += 1;
    ask();
  });
  ask();
}

/** Resolves when all have it, or the time is over. */
function everybody(): Promise<number[]> {
  const times: number[] = [];
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      failures.push(`${String(plan.watchers - times.length)} were not told`);
      resolve(times);
    }, waitMs);
    arrived = (time) => {
      times.push(time);
      if (times.length < plan.watchers) return;
      clearTimeout(timer);
      resolve(times);
    };
  });
}

await inParallel(plan.watchers, 64, async () => {
  follow(await opened());
});
process.stdout.write('ready\n');
for await (const _line of createInterface({ input: process.stdin })) {
  const all = everybody();
  process.stdout.write('watching\n');
  const outcome: WatchOutcome = { times: await all, failures };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
process.exit(0);
