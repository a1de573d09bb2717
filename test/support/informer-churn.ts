import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';
import { afterEach, expect, it } from 'vitest';

import { type Informer, startInformer } from './informer.js';
import { csrPath, type KubeObject, mergePatch } from './kube-client.js';
import { anyRequest } from './kube-requests.js';
import { describeWithPeer } from './peers.js';
import { createDatabase, postgresVariable } from './postgres.js';
import { type ServiceProcess, startServiceProcess } from './service-process.js';
import { describeEachDatabase } from './stores.js';

const writers = 4;
const patience = 600_000;

/** What a writer was told: this object has this version, or is gone. */
type Told = { readonly name: string; readonly version: number };
type Where = { url: string; dispatcher: Agent };

const cleanups: (() => Promise<unknown>)[] = [];

type Fleet = {
  readonly size: number;
  /** This one, or another while it is down. */
  place(which: number): Where;
  start(which: number): Promise<void>;
  kill(which: number): Promise<void>;
};

/** `count` service processes over one database. */
function fleetOf(count: number, url: string): Fleet {
  const processes: (ServiceProcess | undefined)[] = [];
  const places: Where[] = [];
  const directories = Array.from({ length: count }, () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-informer-'));
    cleanups.push(() => {
      rmSync(directory, { recursive: true, force: true });
      return Promise.resolve();
    });
    const key = path.join(directory, 'shared.key');
    writeFileSync(key, Buffer.alloc(32, 9).toString('base64'), { mode: 0o600 });
    writeFileSync(
      path.join(directory, 'config.yaml'),
      `apiVersion: rotunda.dev/v1alpha1\nstore: { url: ${JSON.stringify(url)} }\nkeyEncryptionKey: { file: ${key} }\nlog: { level: error }\n`,
    );
    return directory;
  });
  cleanups.push(async () => {
    for (const { dispatcher } of places) await dispatcher.destroy();
    for (const one of processes) await one?.stop('SIGKILL');
  });
  const down = new Set<number>();
  const at = (which: number): Where => {
    const order = Array.from({ length: count }, (_, i) => (which + i) % count);
    const found = places[order.find((one) => !down.has(one)) ?? which % count];
    if (found === undefined) throw new Error('nothing was started');
    return found;
  };
  return {
    size: count,
    place: at,
    async start(which) {
      const dataDir = directories[which] ?? '';
      const args = ['--config', path.join(dataDir, 'config.yaml'), '--listen', '127.0.0.1:0'];
      const started = await startServiceProcess({ dataDir, args });
      processes[which] = started;
      const before = places[which];
      places[which] = { url: started.url, dispatcher: new Agent({ connect: { ca: started.ca, ...started.admin } }) };
      down.delete(which);
      await before?.dispatcher.destroy();
    },
    async kill(which) {
      down.add(which);
      await processes[which]?.stop('SIGKILL');
    },
  };
}

/** Creates, approves, labels and deletes until told to stop; what was answered is told. */
async function write(id: number, place: () => Where, told: Told[], stop: { now: boolean }): Promise<void> {
  for (let i = 0; !stop.now; i += 1) {
    const name = `w${String(id)}-${String(i)}`;
    const steps: [string, string, unknown][] = [
      [
        'POST',
        '',
        { metadata: { name }, spec: { request: anyRequest, signerName: 'example.com/x', usages: ['client auth'] } },
      ],
      ['PATCH', `/${name}`, { metadata: { labels: { step: '1' } } }],
      [
        'PATCH',
        `/${name}/approval`,
        { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Test' }] } },
      ],
      ['PATCH', `/${name}`, { metadata: { labels: { step: '2' } } }],
      ...(i % 3 === 0 ? [] : ([['DELETE', `/${name}`, undefined]] as [string, string, unknown][])),
    ];
    for (const step of steps) {
      try {
        const answered = await send(place(), step);
        if (answered !== undefined) told.push({ name, version: answered });
      } catch {
        // Nobody can tell whether it was written; the next steps will not mind.
        await sleep(20);
      }
    }
  }
}

/** The version that was answered; undefined where the answer has none. */
async function send(
  { url, dispatcher }: Where,
  [method, at, body]: [string, string, unknown],
): Promise<number | undefined> {
  const headers = { 'content-type': method === 'PATCH' ? mergePatch : 'application/json' };
  const answer = await request(`${url}${csrPath}${at}`, {
    method: method as 'POST',
    dispatcher,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const object = (await answer.body.json()) as KubeObject;
  return answer.statusCode < 300 && object.kind === 'CertificateSigningRequest'
    ? Number(object.metadata.resourceVersion)
    : undefined;
}

async function listNow({ url, dispatcher }: Where): Promise<KubeObject> {
  return (await (await request(url + csrPath, { dispatcher })).body.json()) as KubeObject;
}

/** Every version that a writer was told of was seen, in order, once; the cache is the server's list. */
async function expectFaithful(informer: Informer, place: Where, told: readonly Told[], first: number): Promise<void> {
  const list = await listNow(place);
  await informer.synced(Math.max(...told.map(({ version }) => version)));
  expect(informer.complaints).toEqual([]);
  expect(informer.relists()).toBe(1);
  const cached = [...informer.store.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  // Lists leave out what every item has.
  const items = (list.items ?? []).map((item) => ({
    kind: 'CertificateSigningRequest',
    apiVersion: 'certificates.k8s.io/v1',
    ...item,
  }));
  expect(cached.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)).toEqual(
    items.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`),
  );
  expect(
    cached.map((item) => ({ kind: 'CertificateSigningRequest', apiVersion: 'certificates.k8s.io/v1', ...item })),
  ).toEqual(items);
  const versions = new Map(
    [...informer.seen].map(([name, seen]) => [name, new Set(seen.map(({ version }) => version))]),
  );
  const missed = told.filter(({ name, version }) => version > first && versions.get(name)?.has(version) !== true);
  expect(missed).toEqual([]);
  for (const [name, seen] of informer.seen) {
    expect(
      seen.map(({ version }) => version),
      name,
    ).toEqual([...new Set(seen.map(({ version }) => version))].sort((a, b) => a - b));
    expect(seen.filter(({ type }) => type === 'ADDED').length, name).toBeLessThanOrEqual(1);
  }
}

async function churn(fleet: Fleet, disturb: (progress: () => Promise<void>) => Promise<void>): Promise<void> {
  const first = Number((await listNow(fleet.place(0))).metadata.resourceVersion);
  const server = (which: number) => (): Where => fleet.place(which);
  const informers = (['list+watch', 'watchlist'] as const).flatMap((protocol) =>
    Array.from({ length: fleet.size }, (_, i) => startInformer({ protocol, server: server(i) })),
  );
  cleanups.push(() => Promise.all(informers.map((one) => one.stop())));
  await Promise.all(informers.map((one) => one.synced(first)));
  const told: Told[] = [];
  const stop = { now: false };
  const writing = Array.from({ length: writers }, (_, id) => write(id, server(id), told, stop));
  await disturb(async () => {
    const enough = told.length + 40;
    for (let waited = 0; told.length < enough && waited < 60_000; waited += 20) await sleep(20);
  });
  stop.now = true;
  await Promise.all(writing);
  for (const informer of informers) {
    await expectFaithful(informer, fleet.place(0), told, first);
    expect(informer.watches()).toBeGreaterThan(1);
  }
}

/** Informers of both protocols over services that are killed this often. */
export function describeInformers(kills: number): void {
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  describeEachDatabase('informers of a server that is killed again and again', (newDatabase) => {
    it(
      'end with its objects and miss nothing',
      async () => {
        const fleet = fleetOf(1, await newDatabase());
        await fleet.start(0);
        await churn(fleet, async (progress) => {
          for (let i = 0; i < kills; i += 1) {
            await progress();
            await fleet.kill(0);
            await fleet.start(0);
          }
          await progress();
        });
      },
      patience,
    );
  });

  describeWithPeer('postgresBin', 'informers of two replicas of which one after the other is killed', () => {
    it(
      'go on at the other one, end with the same objects and miss nothing',
      async () => {
        const { url, drop } = await createDatabase(process.env[postgresVariable] ?? '');
        cleanups.push(drop);
        const fleet = fleetOf(2, url);
        await fleet.start(0);
        await fleet.start(1);
        await churn(fleet, async (progress) => {
          for (let i = 0; i < Math.max(2, kills); i += 1) {
            await progress();
            await fleet.kill(i % 2);
            await progress();
            await fleet.start(i % 2);
          }
          await progress();
        });
      },
      patience,
    );
  });
}
