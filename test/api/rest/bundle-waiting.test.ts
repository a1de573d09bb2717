import { setTimeout as sleep } from 'node:timers/promises';

import { type Dispatcher, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { describeWithPeer } from '../../support/peers.js';
import { createDatabase, postgresVariable } from '../../support/postgres.js';
import { publishing } from '../../support/publishing.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { problem } from './service.js';

type View = { readonly ring: string; readonly generation: number; readonly manifest?: Record<string, string> };

const path = '/pki/v1/rings/etcd/bundle';

/** An open stream, and what has come so far. */
async function stream(
  service: TestService,
  where: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{
  answer: Dispatcher.ResponseData;
  text(): string;
  until(pattern: RegExp): Promise<void>;
  ended: Promise<unknown>;
}> {
  const { agent } = service.client();
  const answer = await request(`${service.url}${where}`, { dispatcher: agent, headers, bodyTimeout: 0 });
  let text = '';
  answer.body.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  answer.body.on('error', () => undefined);
  const ended = new Promise((resolve) => answer.body.once('close', resolve));
  return {
    answer,
    ended,
    text: () => text,
    until: async (pattern) => {
      await expect.poll(() => text, { timeout: 5000, interval: 10 }).toMatch(pattern);
    },
  };
}

describe('waiting for a bundle', () => {
  let service: TestService;
  let anonymous: TestClient;
  let publish: ReturnType<typeof publishing>;
  beforeAll(async () => {
    service = await startTestService();
    anonymous = service.client();
    publish = publishing(service.service.context);
  });
  afterAll(() => service.stop());

  it('ends when there is a newer one', async () => {
    const { generation } = (await anonymous.send('GET', path)).json<View>();
    const waiting = anonymous.send('GET', `${path}?after=${generation}&wait=20s`);
    const pem = service.client().send('GET', `${path}?after=${generation}&wait=20s`, {
      headers: { accept: 'application/pem-certificate-chain' },
    });
    await sleep(200);
    const made = await publish.addAuthority('etcd');
    expect(made.generation).toBe(generation + 1);
    const answer = await waiting;
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
    expect(answer.json<View>().generation).toBe(generation + 1);
    expect(answer.headers['etag']).toBe((await anonymous.send('GET', path)).headers['etag']);
    const asPem = await pem;
    expect(asPem.headers['rotunda-bundle-generation']).toBe(String(generation + 1));
    expect(asPem.text.match(/BEGIN CERTIFICATE/g)).toHaveLength(generation + 1);
  });

  it('is over at once when there is one already, and with 304 when there is none', async () => {
    const { generation } = (await anonymous.send('GET', path)).json<View>();
    expect((await anonymous.send('GET', `${path}?after=${generation - 1}&wait=20s`)).status).toBe(200);
    const none = await anonymous.send('GET', `${path}?after=${generation}&wait=0s`);
    expect([none.status, none.text]).toEqual([304, '']);
    expect(none.headers['etag']).toMatch(/^"/);
    const start = performance.now();
    expect((await anonymous.send('GET', `${path}?after=${generation}&wait=1s`)).status).toBe(304);
    expect(performance.now() - start).toBeGreaterThanOrEqual(1000);
    // Further than this service has ever been, it waits, and does not answer with less.
    expect((await anonymous.send('GET', `${path}?after=2147483647&wait=1s`)).status).toBe(304);
  });

  it('answers If-None-Match as without waiting', async () => {
    const etag = String((await anonymous.send('GET', path)).headers['etag']);
    const headers = { 'if-none-match': etag };
    expect((await anonymous.send('GET', path, { headers })).status).toBe(304);
    expect((await anonymous.send('GET', `${path}?after=0`, { headers })).status).toBe(304);
  });

  it.each([
    'wait=banana',
    'wait=3s',
    'after=-1',
    'after=1.5',
    'after=banana',
    'after=99999999999999999999',
    'after=2147483648',
    'after=1&after=2',
    'after=1&wait=',
    'after=1&wait=-1s',
    'after=1&wait=6m',
    'after=1&wait=999999999999999999999s',
    'after=1&wait=1s&wait=2s',
    'after=1&until=2',
    'after=%00',
  ])('refuses %s', async (query) => {
    const answer = await anonymous.send('GET', `${path}?${query}`);
    expect([answer.status, problem(answer).code]).toEqual([422, 'invalid']);
  });

  it('refuses what is not there, and what cannot be given', async () => {
    expect((await anonymous.send('GET', '/pki/v1/rings/nope/bundle?after=0')).status).toBe(404);
    expect((await anonymous.send('GET', '/pki/v1/rings/nope/bundle/events')).status).toBe(404);
    expect((await anonymous.send('GET', '/pki/v1/bundles/events?ring=etcd')).status).toBe(422);
    const image = await anonymous.send('GET', `${path}?after=99&wait=1s`, { headers: { accept: 'image/png' } });
    expect(image.status).toBe(406);
  });

  it('streams the changes of one ring, and of all', async () => {
    const one = await stream(service, '/pki/v1/rings/front-proxy/bundle/events');
    expect(one.answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
    await one.until(/id: 1\n/);
    const all = await stream(service, '/pki/v1/bundles/events');
    await all.until(/"ring":"rotunda"/);
    expect(all.text().match(/event: bundle/g)).toHaveLength(4);
    await publish.addAuthority('front-proxy');
    await Promise.all([one.until(/id: 2\n/), all.until(/front-proxy=2/)]);
    const { digest } = service.service.context.ca.bundle('front-proxy');
    expect(one.text()).toContain(`data: {"ring":"front-proxy","generation":2,"digest":"${digest}"}\n\n`);
    const resumed = await stream(service, '/pki/v1/rings/front-proxy/bundle/events', { 'last-event-id': '2' });
    await resumed.until(/retry/);
    await publish.addAuthority('front-proxy');
    await resumed.until(/id: 3\n/);
    expect(resumed.text().match(/event: bundle/g)).toHaveLength(1);
    for (const { answer } of [one, all, resumed]) answer.body.destroy();
  });

  it('counts who waits, and lets go of who has gone', async () => {
    const watches = async (): Promise<string | undefined> => {
      const { text } = await service.client(service.admin).send('GET', '/metrics');
      return /^rotunda_watches (\d+)$/m.exec(text)?.[1];
    };
    await expect.poll(watches).toBe('0');
    const streams = await Promise.all(Array.from({ length: 5 }, () => stream(service, '/pki/v1/bundles/events')));
    const abort = new AbortController();
    const poll = request(`${service.url}${path}?after=99&wait=5m`, {
      dispatcher: service.client().agent,
      signal: abort.signal,
    }).catch(() => undefined);
    await expect.poll(watches).toBe('6');
    abort.abort();
    await poll;
    for (const { answer } of streams) answer.body.destroy();
    await expect.poll(watches).toBe('0');
  });

  it('shows the manifest of a bundle', async () => {
    const before = service.service.context.ca.ring('kubernetes').active.ski;
    await publish.addAuthority('kubernetes', { raiseFloor: true });
    const { manifest = {} } = (await anonymous.send('GET', '/pki/v1/rings/kubernetes/bundle')).json<View>();
    expect(manifest).toMatchObject({ signedBy: before, algorithm: 'ecdsa-sha256' });
    expect(JSON.parse(manifest['text'] ?? '')).toMatchObject({ ring: 'kubernetes', generation: 2, joinFloor: 2 });
    const ring = await service.client(service.admin).send('GET', '/pki/v1/rings/kubernetes');
    expect(ring.json()).toMatchObject({ generation: 2, frozen: false, joinFloor: 2, joinsHeld: false });
  });

  it('finds the bundle by a signer name', async () => {
    const peer = await anonymous.send('GET', '/pki/v1/signers/etcd.rotunda.dev%2Fpeer/bundle');
    expect(peer.json<View>()).toEqual((await anonymous.send('GET', path)).json<View>());
    expect((await anonymous.send('GET', '/pki/v1/signers/example.org%2Fx/bundle')).status).toBe(404);
  });
});

describeEachDatabase('waiting for a bundle while the service restarts', (newDatabase) => {
  it('ends at once, and goes on with the service', async () => {
    const storeUrl = await newDatabase();
    const first = await startTestService({ storeUrl });
    const { ring, generation } = (await first.client().send('GET', path)).json<View>();
    const poll = first.client().send('GET', `${path}?after=${generation}&wait=5m`);
    const events = await stream(first, `${path}/events`);
    await events.until(/id: 1\n/);
    await sleep(100);
    const start = performance.now();
    await first.service.stop();
    expect((await poll).status).toBe(304);
    await events.ended;
    expect(performance.now() - start).toBeLessThan(5000);
    const again = await startTestService({ storeUrl, dataDir: first.dataDir });
    const waiting = again.client().send('GET', `${path}?after=${generation}&wait=20s`);
    const resumed = await stream(again, `${path}/events`, { 'last-event-id': String(generation) });
    await sleep(100);
    await publishing(again.service.context).addAuthority(ring);
    expect((await waiting).json<View>().generation).toBe(generation + 1);
    await resumed.until(/id: 2\n/);
    resumed.answer.body.destroy();
    await again.stop();
    await first.stop();
  });
});

describeWithPeer('postgresBin', 'waiting for a bundle at two replicas', () => {
  it('sees what either publishes, and goes on at the other', async () => {
    const { url: storeUrl, drop } = await createDatabase(process.env[postgresVariable] ?? '');
    const [one, other] = [await startTestService({ storeUrl }), await startTestService({ storeUrl })];
    const waiting = [one, other].map((replica) => replica.client().send('GET', `${path}?after=1&wait=20s`));
    const events = await Promise.all([one, other].map((replica) => stream(replica, `${path}/events`)));
    await sleep(100);
    await publishing(one.service.context).addAuthority('etcd');
    for (const answer of await Promise.all(waiting)) expect(answer.json<View>().generation).toBe(2);
    await Promise.all(events.map((reading) => reading.until(/id: 2\n/)));
    for (const { answer } of events) answer.body.destroy();
    const moved = await stream(other, `${path}/events`, { 'last-event-id': '2' });
    await moved.until(/retry/);
    const { active } = one.service.context.ca.ring('etcd');
    await publishing(one.service.context).change({ ring: 'etcd', anchors: [active.ski] });
    await moved.until(/id: 3\n/);
    expect(moved.text().match(/event: bundle/g)).toHaveLength(1);
    moved.answer.body.destroy();
    await Promise.all([one.stop(), other.stop()]);
    await drop();
  });
});
