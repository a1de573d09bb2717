import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { allEvents, ringEvents } from '../../../src/api/public/bundle-events.js';
import { pollBundle } from '../../../src/api/public/bundle-poll.js';
import { heartbeatMs, streamBundles } from '../../../src/api/public/bundle-stream.js';
import { type BundleWatchers, createBundleWatchers, type Watcher } from '../../../src/api/public/bundle-watchers.js';
import { fakeBundles } from './bundles.js';

let source: ReturnType<typeof fakeBundles>;
let watchers: BundleWatchers;
let server: Server;
let released: number;
let slow: number;
const responses: ServerResponse[] = [];
const sockets: Socket[] = [];

/** `/poll?after=N&wait=MS` and `/events` over a real server, without what a service has around them. */
beforeEach(async () => {
  source = fakeBundles({ etcd: 1, kubernetes: 1 });
  watchers = createBundleWatchers(source);
  released = 0;
  slow = 0;
  const events = { etcd: ringEvents(source, 'etcd'), all: allEvents(source) };
  const release = (): void => {
    released += 1;
  };
  server = createServer((request, response) => {
    responses.push(response);
    const url = new URL(request.url ?? '', 'http://localhost');
    const lastEventId = request.headers['last-event-id'];
    if (url.pathname === '/poll') {
      const [after, waitMs] = ['after', 'wait'].map((name) => Number(url.searchParams.get(name)));
      const { accept } = request.headers;
      const wanted = { ring: 'etcd', after: after ?? 0, waitMs: waitMs ?? 0, accept, ifNoneMatch: undefined };
      pollBundle(watchers, source, { ...wanted, response, release });
      return;
    }
    const ring = url.pathname === '/events' ? 'etcd' : undefined;
    streamBundles(watchers, ring === undefined ? events.all : events.etcd, {
      ring,
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      response,
      slow: () => (slow += 1),
      release,
    });
  });
  // What a service does to connections that stand still.
  server.timeout = 1000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await watchers.drain();
  for (const socket of sockets.splice(0)) socket.destroy();
  responses.length = 0;
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

type Reading = { readonly socket: Socket; text(): string; until(pattern: RegExp, ms?: number): Promise<string> };

async function open(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Reading> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}\r\n`);
  return {
    socket,
    text: () => text,
    until: async (pattern, ms = 3000) => {
      const deadline = Date.now() + ms;
      while (!pattern.test(text)) {
        if (Date.now() > deadline) throw new Error(`no ${String(pattern)} in ${JSON.stringify(text)}`);
        await sleep(5);
      }
      return text;
    },
  };
}

const status = (text: string): readonly string[] =>
  [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, code]) => code ?? '');

describe('a long poll', () => {
  it('is answered at once when there is a newer generation', async () => {
    source.publish('etcd');
    const reading = await open('/poll?after=1&wait=30000');
    const text = await reading.until(/"generation":2/);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.toLowerCase()).toContain('cache-control: no-store');
    expect(text.toLowerCase()).toContain('rotunda-bundle-generation: 2');
  });

  it('is answered when a newer one is published, for this ring and no other', async () => {
    const reading = await open('/poll?after=1&wait=30000', { accept: 'text/plain' });
    await sleep(100);
    source.publish('kubernetes');
    await sleep(50);
    expect(reading.text()).toBe('');
    source.publish('etcd');
    expect(await reading.until(/pem 2\n/)).toContain('content-type: text/plain');
    await expect.poll(() => released).toBe(1);
  });

  it('outlasts the idle timeout of its connection, and ends with 304', async () => {
    const start = performance.now();
    const reading = await open('/poll?after=1&wait=2000');
    const text = await reading.until(/\r\n\r\n$/, 4000);
    expect(performance.now() - start).toBeGreaterThan(2000);
    expect(text).toMatch(/^HTTP\/1\.1 304 /);
    expect(text).toMatch(/etag: "[^"]+"/);
    // The connection is good for the next call.
    source.publish('etcd');
    reading.socket.write('GET /poll?after=1&wait=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n');
    expect(status(await reading.until(/"generation":2/))).toEqual(['304', '200']);
    await expect.poll(() => released).toBe(2);
  });

  it('of 0 asks and does not wait', async () => {
    const reading = await open('/poll?after=1&wait=0');
    await reading.until(/^HTTP\/1\.1 304 /, 200);
  });

  it('for more than there will be is not answered with less', async () => {
    const reading = await open('/poll?after=5&wait=30000');
    for (let generation = 2; generation <= 5; generation += 1) source.publish('etcd');
    await sleep(100);
    expect(reading.text()).toBe('');
    source.publish('etcd');
    await reading.until(/"generation":6/);
  });

  it('lets go of everything when the reader goes', async () => {
    const readings = await Promise.all(Array.from({ length: 20 }, () => open('/poll?after=1&wait=30000')));
    await expect.poll(() => responses.length).toBe(20);
    for (const { socket } of readings) socket.destroy();
    await expect.poll(() => released).toBe(20);
    source.publish('etcd');
    await sleep(50);
    expect(responses.filter((response) => response.headersSent)).toEqual([]);
  });

  it('is told even when nobody tells of the change', async () => {
    const reading = await open('/poll?after=1&wait=30000');
    await sleep(50);
    source.publish('etcd', 'quietly');
    await reading.until(/"generation":2/, 1000);
  });

  it('ends with the server, and sends its reader elsewhere', async () => {
    const reading = await open('/poll?after=1&wait=30000');
    await expect.poll(() => responses.length).toBe(1);
    await watchers.drain();
    expect((await reading.until(/^HTTP\/1\.1 304 /)).toLowerCase()).toContain('connection: close');
    expect(source.listeners()).toBe(0);
    const late = await open('/poll?after=1&wait=30000');
    await late.until(/^HTTP\/1\.1 304 /, 500);
  });
});

describe('a stream', () => {
  it('begins with the present generation and follows', async () => {
    const reading = await open('/events');
    expect(await reading.until(/id: 1\ndata: .*\n\n/)).toMatch(/content-type: text\/event-stream/);
    expect(reading.text()).toMatch(/retry: \d{4}\n\n/);
    source.publish('kubernetes');
    source.publish('etcd');
    await reading.until(/id: 2\n/);
    source.publish('etcd');
    await reading.until(/id: 3\n/);
    expect([...reading.text().matchAll(/^id: (\d)$/gm)].map(([, id]) => id)).toEqual(['1', '2', '3']);
    expect(reading.text()).not.toContain('kubernetes');
  });

  it('goes on after the last event that its reader has', async () => {
    const reading = await open('/events', { 'last-event-id': '1' });
    await reading.until(/retry/);
    await sleep(50);
    expect(reading.text()).not.toContain('event: bundle');
    source.publish('etcd');
    await reading.until(/id: 2\n/);
  });

  it('of all rings has the changes of each', async () => {
    const reading = await open('/all-events', { 'last-event-id': 'etcd=1,kubernetes=1' });
    await reading.until(/retry/);
    source.publish('kubernetes');
    await reading.until(/id: etcd=1,kubernetes=2\n/);
    source.publish('etcd');
    await reading.until(/id: etcd=2,kubernetes=2\n/);
    expect([...reading.text().matchAll(/event: bundle/g)]).toHaveLength(2);
  });

  it('outlasts the idle timeout of its connection', async () => {
    const reading = await open('/events');
    await sleep(1500);
    source.publish('etcd');
    await reading.until(/id: 2\n/);
  });

  it('ends with the server, and nothing is left', async () => {
    const reading = await open('/events');
    await reading.until(/id: 1\n/);
    await watchers.drain();
    // The last chunk.
    await reading.until(/\r\n0\r\n\r\n$/);
    await expect.poll(() => released).toBe(1);
  });

  it('drops a reader that does not read, and keeps no more for it than a little', async () => {
    const stuck = await open('/events');
    const other = await open('/events');
    await stuck.until(/id: 1\n/);
    stuck.socket.pause();
    const response = responses[0];
    let most = 0;
    // What the kernel takes for a reader on the same machine are some megabytes.
    for (let turn = 0; turn < 200 && slow === 0; turn += 1) {
      // Stands for a few hundred events.
      response?.write(`:${'x'.repeat(40_000)}\n\n`);
      source.publish('etcd');
      await sleep(2);
      most = Math.max(most, response?.writableLength ?? 0);
    }
    expect(slow).toBe(1);
    await expect.poll(() => released).toBe(1);
    expect(most).toBeLessThan(256 * 1024);
    await other.until(new RegExp(`id: ${String(source.generations()['etcd'])}\n`));
  });
});

describe('a heartbeat', () => {
  /** A stream whose time comes when told to, over a connection that takes what is written when told to. */
  function streamed(): {
    due: () => void;
    dueMs: () => number;
    take: () => void;
    writes: readonly string[];
  } {
    const made: { watcher?: Watcher; dueMs: number } = { dueMs: 0 };
    const writes: string[] = [];
    const untaken: (() => void)[] = [];
    const response = {
      destroyed: false,
      writableLength: 0,
      setTimeout: () => undefined,
      once: () => undefined,
      writeHead: () => undefined,
      write: (text: string, taken?: () => void) => {
        writes.push(text);
        if (taken !== undefined) untaken.push(taken);
      },
      destroy: () => writes.push('destroyed'),
    } as unknown as ServerResponse;
    const hub: BundleWatchers = {
      add: (watcher, dueMs) => Object.assign(made, { watcher, dueMs }),
      remove: () => undefined,
      schedule: (_watcher, dueMs) => Object.assign(made, { dueMs }),
      drain: () => Promise.resolve(),
    };
    streamBundles(hub, ringEvents(source, 'etcd'), {
      ring: 'etcd',
      lastEventId: undefined,
      response,
      slow: () => (slow += 1),
      release: () => undefined,
    });
    return {
      due: () => made.watcher?.due(),
      dueMs: () => made.dueMs,
      take: () => {
        for (const taken of untaken.splice(0)) taken();
      },
      writes,
    };
  }

  it('comes within the interval, then each time', () => {
    const stream = streamed();
    expect(stream.dueMs()).toBeGreaterThanOrEqual(heartbeatMs / 2);
    expect(stream.dueMs()).toBeLessThanOrEqual(heartbeatMs);
    for (let beat = 0; beat < 3; beat += 1) {
      stream.due();
      expect(stream.writes.at(-1)).toBe(':\n\n');
      expect(stream.dueMs()).toBe(heartbeatMs);
      stream.take();
    }
  });

  it('finds the reader that has not taken the one before', () => {
    const stream = streamed();
    stream.due();
    expect(slow).toBe(0);
    stream.due();
    expect(stream.writes.at(-1)).toBe('destroyed');
    expect(slow).toBe(1);
  });
});

describe('many readers', () => {
  it('are all told, while others get their turns', async () => {
    const many = 20_000;
    let told = 0;
    let turns = 0;
    for (let count = 0; count < many; count += 1) {
      const watcher: Watcher = {
        slot: undefined,
        ring: 'etcd',
        tell: () => {
          told += 1;
          // As long as a response takes, in the tenth.
          const until = performance.now() + 0.005;
          while (performance.now() < until);
        },
        due: () => undefined,
        end: () => {
          watchers.remove(watcher);
          return Promise.resolve();
        },
      };
      watchers.add(watcher, 60_000);
    }
    const timer = setInterval(() => (turns += 1), 1);
    source.publish('etcd');
    await expect.poll(() => told, { timeout: 5000, interval: 5 }).toBe(many);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});

describe('the end', () => {
  it('does not wait for who has gone meanwhile', async () => {
    const ended: number[] = [];
    const all: Watcher[] = Array.from({ length: 200 }, (_, index) => ({
      slot: undefined,
      ring: 'etcd',
      tell: () => undefined,
      due: () => undefined,
      end: () => {
        ended.push(index);
        const until = performance.now() + 1;
        while (performance.now() < until);
        return Promise.resolve();
      },
    }));
    for (const watcher of all) watchers.add(watcher, 60_000);
    const drained = watchers.drain();
    // The first turn is over, and others have theirs.
    await sleep(0);
    for (const watcher of all) watchers.remove(watcher);
    const before = ended.length;
    await drained;
    expect(before).toBeLessThan(200);
    expect(ended).toHaveLength(before);
  });
});
