import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

import { request as undici } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { pruneChanges } from '../../../src/store/queries/changes.js';
import { csrPem, newEcKey } from '../../support/pkcs10.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const merge = { 'content-type': 'application/merge-patch+json' };

type Event = {
  type: string;
  object: {
    kind: string;
    code?: number;
    message?: string;
    reason?: string;
    metadata: { name?: string; resourceVersion: string; labels?: object; annotations?: Record<string, string> };
  };
};
type Open = {
  readonly events: Event[];
  readonly ended: () => boolean;
  close(): void;
  until(count: number): Promise<Event[]>;
};

let service: TestService;
let client: TestClient;
let skewMs = 0;
const request = Buffer.from(csrPem(newEcKey(), { subject: [['CN', 'alice']] })).toString('base64');

beforeAll(async () => {
  service = await startTestService({ overrides: { clock: { now: () => new Date(Date.now() + skewMs) } } });
  client = service.client(service.admin);
});

afterAll(async () => {
  await service.stop();
});

async function create(name: string, labels: Record<string, string> = {}): Promise<string> {
  const body = { metadata: { name, labels }, spec: { request, signerName: 'example.com/x', usages: ['client auth'] } };
  const answer = await client.send('POST', collection, { body });
  expect(answer.status).toBe(201);
  return answer.json<Event['object']>().metadata.resourceVersion;
}

async function open(query: string): Promise<Open> {
  const { statusCode, body } = await undici(`${service.url}${collection}?watch=true&${query}`, {
    dispatcher: client.agent,
  });
  expect(statusCode).toBe(200);
  const events: Event[] = [];
  const state = { ended: false, rest: '' };
  body.setEncoding('utf8');
  body.on('data', (part: string) => {
    const lines = (state.rest + part).split('\n');
    state.rest = lines.pop() ?? '';
    events.push(...lines.map((line) => JSON.parse(line) as Event));
  });
  body.on('end', () => (state.ended = true)).on('error', () => (state.ended = true));
  const until = async (count: number): Promise<Event[]> => {
    for (let i = 0; i < 100 && events.length < count; i += 1) await sleep(30);
    expect(events.length).toBeGreaterThanOrEqual(count);
    return events;
  };
  return { events, until, ended: () => state.ended, close: () => body.destroy() };
}

const shapeOf = (events: readonly Event[]): string[] =>
  events.map((event) => `${event.type} ${event.object.metadata.name ?? ''}`);

describe('a watch', () => {
  it('from a version sees every later change once and nothing else', async () => {
    const from = await create('w1', { set: 'one' });
    await create('w2', { set: 'one' });
    const watch = await open(`labelSelector=set%3Done&resourceVersion=${from}`);
    await client.send('DELETE', `${collection}/w1`);
    expect(shapeOf(await watch.until(2))).toEqual(['ADDED w2', 'DELETED w1']);
    const versions = watch.events.map((event) => Number(event.object.metadata.resourceVersion));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    watch.close();
  });

  it('by name shows what is there, then what happens; a deletion of what it never showed is no event', async () => {
    const absent = await open('fieldSelector=metadata.name%3Dw3');
    await create('w3');
    const present = await open('fieldSelector=metadata.name%3Dw3&resourceVersion=0');
    await client.send('PATCH', `${collection}/w3`, { body: { metadata: { labels: { a: 'b' } } }, headers: merge });
    await client.send('DELETE', `${collection}/w3`);
    expect(shapeOf(await absent.until(3))).toEqual(['ADDED w3', 'MODIFIED w3', 'DELETED w3']);
    expect(shapeOf(await present.until(3))).toEqual(['ADDED w3', 'MODIFIED w3', 'DELETED w3']);
    absent.close();
    present.close();
  });

  it('list ends its initial events with a marked bookmark, then goes on', async () => {
    await create('w4', { set: 'list' });
    const watch = await open(
      'labelSelector=set%3Dlist&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan',
    );
    await watch.until(2);
    expect(watch.events[1]).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    await create('w5', { set: 'list' });
    expect(shapeOf(await watch.until(3))).toEqual(['ADDED w4', 'BOOKMARK ', 'ADDED w5']);
    watch.close();
  });

  it('list of a version that is not there yet says so as an event', async () => {
    const watch = await open(
      'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999',
    );
    const [event] = await watch.until(1);
    expect(event).toMatchObject({ type: 'ERROR', object: { kind: 'Status', reason: 'Timeout', code: 504 } });
  });

  it('tells its version in a bookmark about every minute and before its time is over', async () => {
    const watch = await open('allowWatchBookmarks=true&timeoutSeconds=300&labelSelector=set%3Dnone');
    const without = await open('timeoutSeconds=300&labelSelector=set%3Dnone');
    await sleep(100);
    skewMs += 61_000;
    const [minute] = await watch.until(1);
    expect(minute?.type).toBe('BOOKMARK');
    expect(Number(minute?.object.metadata.resourceVersion)).toBe(service.service.context.store.feed.current());
    skewMs += 300_000;
    expect(shapeOf(await watch.until(2))).toEqual(['BOOKMARK ', 'BOOKMARK ']);
    for (let i = 0; i < 50 && !(watch.ended() && without.ended()); i += 1) await sleep(30);
    expect([watch.ended(), without.ended(), without.events]).toEqual([true, true, []]);
  });
});

describe('a watch from before what the log keeps', () => {
  it('is told that it expired, as an event of a 200', async () => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-'));
    const first = await startTestService({ dataDir });
    const body = {
      metadata: { generateName: 'old-' },
      spec: { request, signerName: 'example.com/x', usages: ['client auth'] },
    };
    for (let i = 0; i < 3; i += 1) await first.client(first.admin).send('POST', collection, { body });
    const { store } = first.service.context;
    await store.write((tx) => pruneChanges(tx.db, { keep: 1, olderThan: Date.now() + 60_000, step: 100 }));
    await first.stop();
    const second = await startTestService({ dataDir });
    try {
      const asAdmin = second.client(second.admin);
      const { statusCode, body: stream } = await undici(`${second.url}${collection}?watch=true&resourceVersion=1`, {
        dispatcher: asAdmin.agent,
      });
      expect(statusCode).toBe(200);
      expect(JSON.parse(await stream.text())).toMatchObject({
        type: 'ERROR',
        object: {
          kind: 'Status',
          code: 410,
          reason: 'Expired',
          message: expect.stringMatching(/^too old resource version: 1 \(\d+\)$/) as unknown,
        },
      });
      const exact = await asAdmin.send('GET', `${collection}?resourceVersion=1&resourceVersionMatch=Exact`);
      expect(exact.json()).toMatchObject({ code: 410, reason: 'Expired' });
    } finally {
      await second.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 20_000);
});

describe('a watch that nobody reads', () => {
  it('is closed, and the service goes on', async () => {
    const socket = await slowReader(`${collection}?watch=true&labelSelector=set%3Dslow`);
    const { metrics } = service.service.context;
    const watches = async (): Promise<number> => Number(/^rotunda_watches (\d+)$/m.exec(await metrics.render())?.[1]);
    for (let i = 0; i < 50 && (await watches()) === 0; i += 1) await sleep(30);
    const before = await watches();
    await create('slow', { set: 'slow' });
    const filler = 'x'.repeat(200_000);
    for (let i = 0; i < 60 && (await watches()) >= before; i += 1) {
      await client.send('PATCH', `${collection}/slow`, {
        body: { metadata: { annotations: { filler: `${filler}${String(i)}` } } },
        headers: merge,
      });
    }
    expect(await watches()).toBeLessThan(before);
    expect((await client.send('GET', `${collection}/slow`)).status).toBe(200);
    socket.destroy();
  }, 30_000);
});

/** Sends a request and never reads what comes back. */
function slowReader(target: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ca: service.ca, ...service.admin }, () => {
      socket.pause();
      socket.write(`GET ${target} HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`);
      resolve(socket);
    });
    socket.on('error', reject);
  });
}

describe('a service that stops', () => {
  it('ends its watches cleanly', async () => {
    const other = await startTestService();
    const { body } = await undici(`${other.url}${collection}?watch=true`, {
      dispatcher: other.client(other.admin).agent,
    });
    const text = body.text();
    await sleep(100);
    const begun = Date.now();
    await other.service.stop();
    expect(await text).toBe('');
    expect(Date.now() - begun).toBeLessThan(5000);
    await other.stop();
  }, 20_000);
});
