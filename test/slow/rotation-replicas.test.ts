import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { type Answer, type Cluster, type Replica, startCluster } from '../rotation/replicas/cluster.js';
import {
  advance,
  attestKubeconfigs,
  bootstrap,
  frontProxyClient,
  issuerOf,
  stands,
  startRotation,
  tokenFor,
} from '../rotation/replicas/rotating.js';
import { csrPath } from '../support/kube-client.js';
import { anyRequest } from '../support/kube-requests.js';
import { describeWithPeer } from '../support/peers.js';
import { openWatch, shapeOf, type WatchEvent } from '../support/watch.js';

const states = ['staged', 'trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling'] as const;
/** A lease ends after 15 s, a dead replica is gone after 60: so long a gate may wait for it. */
const withinMs = 120_000;

const told = ({ type, object }: WatchEvent): string =>
  `${shapeOf({ type, object })} ${object.metadata.resourceVersion}`;

describeWithPeer('postgresBin', 'two replicas on one database, and a rotation', () => {
  let cluster: Cluster;
  let one: Replica;
  let two: Replica;

  beforeEach(async () => {
    cluster = await startCluster();
    one = await cluster.start();
    two = await cluster.start();
  }, 240_000);
  afterEach(() => cluster.stop(), 60_000);

  const other = (replica: Replica): Replica => (replica === one ? two : one);
  const create = async (replica: Replica, name: string): Promise<string> => {
    const spec = { request: anyRequest, signerName: 'example.com/x', usages: ['client auth'] };
    const answer = await replica.ask('POST', csrPath, { metadata: { name }, spec });
    expect(answer.status, answer.text).toBe(201);
    return (answer.body['metadata'] as { resourceVersion: string }).resourceVersion;
  };
  const stand = (id: string, state: string, ask = one): Promise<void> => stands(cluster, id, { state, ask, withinMs });
  const keysOf = async (id: string): Promise<{ old_key: string; new_key: string }> => {
    const [row] = await cluster.rows<{ old_key: string; new_key: string }>('select * from rotations where id = $1', [
      id,
    ]);
    if (row === undefined) throw new Error('no rotation');
    return row;
  };
  /** From the beginning to `canary`, where both replicas have loaded both authorities. */
  const toCanary = async (ring: string): Promise<string> => {
    // Where it is not led: its leader has to learn of the next authority.
    const id = await startRotation(other(await cluster.leader([one, two])), ring);
    await advance(one, id);
    await stand(id, 'trusting');
    await attestKubeconfigs(one, ring);
    await advance(one, id);
    await stand(id, 'canary');
    return id;
  };
  const noneOutOfTurn = async (): Promise<void> => {
    expect(await cluster.rows('select * from test_intents where not fits')).toEqual([]);
  };

  it(
    'goes on from every state in which its leader is killed, and does nothing twice',
    { timeout: 900_000 },
    async () => {
      let live = [one, two];
      // Who survives is not who made the next authority.
      const id = await startRotation(await cluster.leader(live), 'front-proxy');
      for (const state of states) {
        await stand(id, state, live[0]);
        const leader = await cluster.leader(live);
        await leader.process.stop('SIGKILL');
        const survivor = live.find((replica) => replica !== leader) ?? one;
        await advance(survivor, id);
        await create(survivor, `in-${state}`);
        live = [survivor, await cluster.start()];
      }
      await stand(id, 'finished', live[0]);
      await finished(id, live);
    },
  );

  async function finished(id: string, live: readonly Replica[]): Promise<void> {
    const { old_key: oldKey, new_key: newKey } = await keysOf(id);
    const passed = await cluster.rows<{ to_state: string }>(
      `select to_state from rotation_events where rotation = $1 and kind = 'transition' order by sequence`,
      [id],
    );
    expect(passed.map((row) => row.to_state)).toEqual([...states.slice(1), 'finished']);
    const bundles = await cluster.rows<{ generation: string }>(
      `select generation from bundles where ring = 'front-proxy' order by generation`,
    );
    expect(bundles.map(({ generation }) => Number(generation))).toEqual([1, 2, 3]);
    await settled(() => cluster.rows(`select kind, problem from effects where state <> 'done'`));
    const old = await cluster.rows('select state from authorities where ski = $1', [oldKey]);
    expect(old).toEqual([{ state: 'destroyed' }]);
    for (const replica of live) {
      const token = await tokenFor(replica, { controlPlane: `cp-${replica.name}` });
      expect(await issuerOf(replica, await frontProxyClient(replica, token))).toBe(newKey);
      for (const state of states) expect((await replica.ask('GET', `${csrPath}/in-${state}`)).status).toBe(200);
    }
    await noneOutOfTurn();
    // What a killed replica was about to sign is given up ten minutes later.
    await cluster.rows(`update ledger set created_at = created_at - 660000 where state = 'intended'`);
    await cluster.start();
    expect(await cluster.rows(`select serial from ledger where state = 'intended'`)).toEqual([]);
    const serials = await cluster.rows<{ serial: string }>('select serial from certificates');
    expect(new Set(serials.map(({ serial }) => serial)).size).toBe(serials.length);
    const unknown = 'select serial from certificates where serial not in (select serial from ledger)';
    expect(await cluster.rows(unknown)).toEqual([]);
  }

  async function settled(read: () => Promise<unknown[]>): Promise<void> {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
      if ((await read()).length === 0) return;
      await sleep(250);
    }
    expect(await read()).toEqual([]);
  }

  it('tells a watch that changes over after every event the same story all the way', { timeout: 600_000 }, async () => {
    const from = await create(one, 'first');
    const steady = await openWatch(`${two.process.url}${csrPath}?watch=true&resourceVersion=${from}`, {
      dispatcher: two.agent,
    });
    const wanderer = wander(from);
    const id = await startRotation(one, 'kubernetes', 'automatic');
    let count = 0;
    let attested = false;
    for (const deadline = Date.now() + withinMs; Date.now() < deadline;) {
      const [here, there] = count % 2 === 0 ? [one, two] : [two, one];
      await create(here, `n-${String(count)}`);
      if (count % 3 === 0) await there.ask('DELETE', `${csrPath}/n-${String(count)}`);
      count += 1;
      const [row] = await cluster.rows<{ state: string }>('select state from rotations where id = $1', [id]);
      if (row?.state === 'trusting' && !attested) {
        await attestKubeconfigs(two, 'kubernetes');
        attested = true;
      }
      // Nobody here can be asked to take a certificate of the new authority.
      if (row?.state === 'canary') await advance(one, id);
      if (row?.state === 'issuing' || row?.state === 'drained' || row?.state === 'finished') break;
      await sleep(100);
    }
    await create(two, 'last');
    const seen = (await wanderer).map(told);
    const expected = count + Math.ceil(count / 3) + 1;
    expect(seen).toHaveLength(expected);
    expect((await steady.until(expected, 30_000)).map(told)).toEqual(seen);
    expect(new Set(seen).size).toBe(seen.length);
    steady.close();
    const [row] = await cluster.rows<{ state: string }>('select state from rotations where id = $1', [id]);
    expect(['issuing', 'drained', 'distrusting', 'cooling', 'finished']).toContain(row?.state);
  });

  async function wander(start: string): Promise<WatchEvent[]> {
    const seen: WatchEvent[] = [];
    let version = start;
    for (let replica = one; ; replica = other(replica)) {
      const watch = await openWatch(`${replica.process.url}${csrPath}?watch=true&resourceVersion=${version}`, {
        dispatcher: replica.agent,
      });
      const [event] = await watch.until(1, 60_000);
      watch.close();
      if (event === undefined) throw new Error('no event');
      seen.push(event);
      version = event.object.metadata.resourceVersion;
      if (event.object.metadata.name === 'last') return seen;
    }
  }

  it('leaves one certificate of a token that is raced while the signer switches', { timeout: 600_000 }, async () => {
    const id = await toCanary('kubernetes');
    const { old_key: oldKey, new_key: newKey } = await keysOf(id);
    await advance(one, id);
    const answers: Answer[] = [];
    const used: string[] = [];
    let after = 0;
    // Burst upon burst, each for a token of its own, so that the switch falls into one of them.
    for (const deadline = Date.now() + withinMs; after < 4 && Date.now() < deadline;) {
      const node = `raced-${String(used.length)}`;
      const token = await tokenFor(one, { node: { name: node } });
      const burst = Array.from({ length: 8 }, (_, turn) => bootstrap(turn % 2 === 0 ? one : two, token, node));
      used.push(node);
      answers.push(...(await Promise.all(burst)));
      const [row] = await cluster.rows<{ state: string }>('select state from rotations where id = $1', [id]);
      if (row?.state === 'issuing') after += 1;
      await sleep(10);
    }
    expect(after).toBe(4);
    for (const { status, text } of answers) expect([201, 409, 429, 401, 403], text).toContain(status);
    const valid = await cluster.rows<{ node: string; count: string }>(
      `select node, count(*) as count from certificates where node like 'raced-%' and revoked_at is null group by node`,
    );
    expect(valid.map(({ count }) => Number(count))).toEqual(used.map(() => 1));
    const issuers = await cluster.rows<{ ski: string; turn: string }>(
      `select ski, turn from test_intents where ring = 'kubernetes' and serial in (select serial from ledger where profile like '%kubelet') order by turn`,
    );
    const order = issuers.map(({ ski }) => ski);
    expect(new Set(order)).toEqual(new Set([oldKey, newKey]));
    expect(order.lastIndexOf(oldKey)).toBeLessThan(order.indexOf(newKey));
    await noneOutOfTurn();
  });

  it(
    'signs nothing by the old authority at a replica that slept through the switch',
    { timeout: 600_000 },
    async () => {
      const id = await toCanary('kubernetes');
      const { new_key: newKey } = await keysOf(id);
      const leader = await cluster.leader([one, two]);
      const sleeper = other(leader);
      const nodes = Array.from({ length: 16 }, (_, index) => `late-${String(index)}`);
      const tokens = await Promise.all(nodes.map((name) => tokenFor(leader, { node: { name } })));
      // Connections that are open already: what is sent over them is read at once when it wakes.
      await Promise.all(nodes.map((_, index) => sleeper.ask('GET', '/pki/v1/whoami', undefined, tokens[index])));
      sleeper.process.child.kill('SIGSTOP');
      await advance(leader, id);
      await stand(id, 'issuing', leader);
      const asked = nodes.map((node, index) => bootstrap(sleeper, tokens[index] ?? '', node));
      await sleep(500);
      sleeper.process.child.kill('SIGCONT');
      const answers = await Promise.all(asked);
      const issuers: (string | undefined)[] = [];
      for (const answer of answers) {
        if (answer.status === 201) issuers.push(await issuerOf(leader, answer));
        else expect([409, 429, 503], answer.text).toContain(answer.status);
      }
      expect(issuers.length).toBeGreaterThan(0);
      expect(new Set(issuers)).toEqual(new Set([newKey]));
      await noneOutOfTurn();
      const mine = await cluster.rows(`select serial from certificates where node like 'late-%' and ski <> $1`, [
        newKey,
      ]);
      expect(mine).toEqual([]);
    },
  );
});
