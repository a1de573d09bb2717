import { afterEach, beforeEach, expect, it } from 'vitest';

import { csrPath, expectObject, type KubeObject } from '../../support/kube-client.js';
import { createRequest, deleteRequest, patchRequest } from '../../support/kube-requests.js';
import { describeWithPeer } from '../../support/peers.js';
import { createDatabase, postgresVariable } from '../../support/postgres.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { openWatch, type OpenWatch, shapeOf, type WatchEvent } from '../../support/watch.js';

const rounds = 20;
const patience = 90_000;

const told = (event: WatchEvent): string => `${shapeOf(event)} ${event.object.metadata.resourceVersion}`;

describeWithPeer('postgresBin', 'two replicas on one database', () => {
  let drop: () => Promise<void>;
  let replicas: readonly [TestService, TestService];
  let clients: readonly [TestClient, TestClient];
  const open: OpenWatch[] = [];

  beforeEach(async () => {
    const database = await createDatabase(process.env[postgresVariable] ?? '');
    drop = database.drop;
    const first = await startTestService({ storeUrl: database.url });
    const second = await startTestService({ storeUrl: database.url });
    replicas = [first, second];
    clients = [first.client(first.admin), second.client(second.admin)];
  }, patience);

  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    for (const replica of replicas) await replica.stop();
    await drop();
  }, patience);

  async function watch(which: 0 | 1, query: string): Promise<OpenWatch> {
    const one = await openWatch(`${replicas[which].url}${csrPath}?watch=true&${query}`, {
      dispatcher: clients[which].agent,
    });
    open.push(one);
    return one;
  }

  const listOn = async (which: 0 | 1, query = ''): Promise<KubeObject> =>
    expectObject(await clients[which].send('GET', csrPath + query), 200);

  /** Creates, labels and deletes, each step on the other replica. */
  async function churn(writer: number): Promise<void> {
    for (let i = 0; i < rounds; i += 1) {
      const name = `w${String(writer)}-${String(i)}`;
      const [here, there] = (i + writer) % 2 === 0 ? clients : [clients[1], clients[0]];
      await createRequest(here, { name, labels: { writer: String(writer) } });
      await patchRequest(there, name, { metadata: { labels: { step: '1' } } });
      await patchRequest(here, 'shared', { metadata: { annotations: { [`w${String(writer)}`]: String(i) } } });
      if (i % 2 === 0) await deleteRequest(there, name);
    }
  }

  it(
    'tell the same story, also to who changes over after every event',
    async () => {
      const shared = await createRequest(clients[0], { name: 'shared' });
      const from = `resourceVersion=${shared.metadata.resourceVersion}`;
      const steady = [await watch(0, from), await watch(1, from)] as const;
      const expected = 3 * (3 * rounds + rounds / 2);
      const wanderer = wander(shared.metadata.resourceVersion, expected);
      await Promise.all([churn(1), churn(2), churn(3)]);
      const [left, right] = [await steady[0].until(expected, 30_000), await steady[1].until(expected, 30_000)];
      const story = left.map(told);
      expect(story).toHaveLength(expected);
      expect(right.map(told)).toEqual(story);
      expect((await wanderer).map(told)).toEqual(story);
      expect(await listOn(1)).toEqual(await listOn(0));
    },
    patience,
  );

  /** Takes one event from one replica, then goes on from its version at the other. */
  async function wander(start: string, count: number): Promise<WatchEvent[]> {
    const seen: WatchEvent[] = [];
    let version = start;
    for (let turn = 0; seen.length < count; turn += 1) {
      const one = await watch(turn % 2 === 0 ? 0 : 1, `resourceVersion=${version}`);
      const [event] = await one.until(1, 30_000);
      one.close();
      if (event === undefined) throw new Error('no event');
      seen.push(event);
      version = event.object.metadata.resourceVersion;
    }
    return seen;
  }

  it(
    'answer for each other: what one wrote, the other lists at that version, pages on and waits for',
    async () => {
      for (let i = 0; i < 12; i += 1)
        await createRequest(clients[i % 2 === 0 ? 0 : 1], { name: `n${String(100 + i)}` });
      const first = await listOn(0, '?limit=5');
      const touched = await patchRequest(clients[0], 'n111', { metadata: { labels: { a: 'b' } } });
      await deleteRequest(clients[0], 'n108');
      const second = await listOn(1, `?limit=20&continue=${first.metadata.continue ?? ''}`);
      expect([...(first.items ?? []), ...(second.items ?? [])].map(({ metadata }) => metadata.name)).toEqual(
        Array.from({ length: 12 }, (_, i) => `n${String(100 + i)}`),
      );
      // Read your writes: a version that this replica may not have heard of yet.
      for (let i = 0; i < 30; i += 1) {
        const written = await patchRequest(clients[0], 'n100', { metadata: { annotations: { i: String(i) } } });
        const version = written.metadata.resourceVersion;
        const found = await listOn(1, `?resourceVersion=${version}&resourceVersionMatch=NotOlderThan`);
        expect(found.items?.find(({ metadata }) => metadata.name === 'n100')?.metadata.annotations).toEqual({
          i: String(i),
        });
        expect(Number(found.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(version));
      }
      expect(touched.metadata.labels).toEqual({ a: 'b' });
    },
    patience,
  );

  it(
    'let only one writer win, wherever they ask',
    async () => {
      const made = await createRequest(clients[0], { name: 'contested' });
      const put = (which: 0 | 1, i: number): Promise<number> =>
        clients[which]
          .send('PUT', `${csrPath}/contested`, {
            body: { ...made, metadata: { ...made.metadata, annotations: { by: String(i) } } },
          })
          .then(({ status }) => status);
      const statuses = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => put(i % 2 === 0 ? 0 : 1, i)));
      expect(statuses.sort()).toEqual([200, 409, 409, 409, 409, 409]);
      const creations = await Promise.all(
        [0, 1, 2, 3].map((i) =>
          clients[i % 2 === 0 ? 0 : 1].send('POST', csrPath, { body: { metadata: { name: 'once' }, spec: made.spec } }),
        ),
      );
      expect(creations.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    },
    patience,
  );
});
