import { expect, test } from 'vitest';

import type { LeafOrder } from '../../../src/ca/types.js';
import type { IssuedFacts } from '../../../src/fleet/consumers/types.js';
import { leafOrder } from '../../ca/support.js';
import { dayMs, issueLeaf, operator, start, subject } from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import { acknowledgement, code, type ConsumerRooms, nodeIdentity, report, startConsumers } from './support.js';

const kubelet = (change: Partial<LeafOrder> = {}): LeafOrder => leafOrder({ node: 'worker-1', ...change }, start);
const byToken = (token: string, change: Partial<LeafOrder> = {}): LeafOrder => kubelet({ tokenId: token, ...change });
const peer = {
  profile: 'etcd.rotunda.dev/peer',
  ring: 'etcd',
  cluster: 'main',
  member: 'm1',
  node: undefined as never,
};

const issued = ({ store, consumers }: ConsumerRooms, order: LeafOrder, facts: IssuedFacts = {}): Promise<void> =>
  store.write((tx) => consumers.registerIssued(tx, order, facts));

describeEachStore('who is given a certificate', (open) => {
  test('is registered with it, of unknown generation, and stays what it was when it renews', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim } = rooms;
    await issued(rooms, byToken('t1'), { joinerIn: ['kubernetes', 'etcd'] });
    expect(await consumers.get('kubelet/worker-1')).toMatchObject({
      source: 'issued',
      node: 'worker-1',
      leaseMs: undefined,
      expiresAt: undefined,
      rings: [{ ring: 'kubernetes', joiner: true, loaded: 0, verifies: true }],
    });
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([{ joiner: true, loaded: 0 }]);
    await consumers.acknowledge(
      acknowledgement('kubelet/worker-1', 'kubernetes', await claim('kubernetes', 1)),
      operator,
    );
    await issued(rooms, kubelet(), { joinerIn: ['kubernetes'] });
    expect((await consumers.get('kubelet/worker-1')).rings).toMatchObject([{ joiner: false, loaded: 1 }]);
  });

  test('is no joiner where it said what it holds, and is believed if it named the very bundle', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim } = rooms;
    const right = await claim('kubernetes', 1);
    await issued(rooms, byToken('t1'), { stated: { ring: 'kubernetes', ...right }, joinerIn: ['kubernetes'] });
    expect((await consumers.get('kubelet/worker-1')).rings).toMatchObject([
      { joiner: false, loaded: 1, evidence: 'self-report' },
    ]);
    const wrong = { ring: 'kubernetes', generation: 1, digest: 'sha256:00' };
    await issued(rooms, byToken('t2', { node: 'worker-2' }), { stated: wrong });
    expect((await consumers.get('kubelet/worker-2')).rings).toMatchObject([{ joiner: false, loaded: 0 }]);
  });

  test('with a token begins anew, and more profiles on the same token are one beginning', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim, clock } = rooms;
    const etcd = await claim('etcd', 1);
    const restart = { evidence: 'restart', deliveredAt: start - 2, startedAt: start - 1 } as const;
    const loaded = async () => (await consumers.get('etcd-member/main/m1')).rings.find(({ ring }) => ring === 'etcd');
    await issued(rooms, byToken('t1', peer));
    await consumers.acknowledge(acknowledgement('etcd-member/main/m1', 'etcd', etcd, restart), operator);
    await issued(rooms, byToken('t1', { ...peer, profile: 'etcd.rotunda.dev/server' }));
    expect(await loaded()).toMatchObject({ loaded: 1, counts: true });
    // Built anew: the same profile once more, on this token or another.
    clock.set(start + 10);
    await issued(rooms, byToken('t1', peer), { joinerIn: ['etcd'] });
    expect(await loaded()).toMatchObject({ loaded: 0, joiner: true, evidence: undefined });
    expect((await consumers.get('etcd-member/main/m1')).registeredAt).toBe(start + 10);
    await consumers.acknowledge(acknowledgement('etcd-member/main/m1', 'etcd', etcd, restart), operator);
    await issued(rooms, byToken('t1', { ...peer, profile: 'etcd.rotunda.dev/server' }));
    expect(await loaded()).toMatchObject({ loaded: 1, joiner: false });
    await issued(rooms, byToken('t2', peer));
    expect(await loaded()).toMatchObject({ loaded: 0, joiner: false });
  });

  test('begins anew without a token of this service too, whatever this process remembers', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim } = rooms;
    const first = await claim('kubernetes', 1);
    const loaded = async () => (await consumers.get('kubelet/worker-1')).rings;
    await issued(rooms, kubelet(), { joined: true });
    await consumers.acknowledge(acknowledgement('kubelet/worker-1', 'kubernetes', first), operator);
    await issued(rooms, kubelet({ profile: 'kubernetes.io/kubelet-serving' }));
    expect(await loaded()).toMatchObject([{ loaded: 1 }]);
    await issued(rooms, kubelet(), { joined: true, joinerIn: ['kubernetes'] });
    expect(await loaded()).toMatchObject([{ loaded: 0, joiner: true, evidence: undefined }]);
    await consumers.acknowledge(acknowledgement('kubelet/worker-1', 'kubernetes', first), operator);
    await issued(rooms, byToken('t1'));
    expect(await loaded()).toMatchObject([{ loaded: 0 }]);
    await consumers.acknowledge(acknowledgement('kubelet/worker-1', 'kubernetes', first), operator);
    await issued(rooms, kubelet(), { joined: true });
    expect(await loaded()).toMatchObject([{ loaded: 0 }]);
  });

  test('is not spoken for by the machine that it replaces', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim, clock } = rooms;
    const loaded = await claim('kubernetes', 1);
    const old = await issueLeaf(rooms);
    const as = (serial: string) => ({
      ...nodeIdentity('worker-1'),
      certificate: { serial, fingerprint: '', notAfter: 0 },
    });
    const beat = (serial: string, id: string) => {
      const at = clock.now().getTime();
      return consumers.heartbeat(
        'kubelet/worker-1',
        report(at, [{ ring: 'kubernetes', loaded }], { process: { id, startedAt: at } }),
        as(serial),
      );
    };
    expect((await beat(old.prepared.serial, 'old')).outcome).toBe('applied');
    clock.set(start + 1000);
    await issued(rooms, byToken('t1'));
    const fresh = await issueLeaf(rooms, { tokenId: 't1' });
    expect((await beat(old.prepared.serial, 'old')).outcome).toBe('other-process');
    expect(await consumers.get('kubelet/worker-1')).toMatchObject({ process: undefined, rings: [{ loaded: 0 }] });
    // Seen before the machine was built anew.
    const proof = {
      consumer: 'kubelet/worker-1',
      ring: 'kubernetes',
      generation: 1,
      evidence: 'canary-probe',
      clean: true,
    } as const;
    expect(await consumers.prove(undefined, { ...proof, at: start })).toBe('late');
    expect((await beat(fresh.prepared.serial, 'new')).outcome).toBe('applied');
    expect((await consumers.get('kubelet/worker-1')).rings).toMatchObject([{ loaded: 1 }]);
  });

  test('in quarantine gets no renewal, and comes back with a token', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, replica, store } = rooms;
    await issued(rooms, byToken('t1'));
    await issued(rooms, kubelet());
    const other = await replica();
    await store.write((tx) => other.registerIssued(tx, kubelet(), {}));
    await consumers.quarantine('kubelet/worker-1', { reason: 'stolen', dryRun: false, actor: operator });
    await expect(issued(rooms, kubelet())).rejects.toEqual(code('forbidden', 'stolen'));
    await expect.poll(() => other.isQuarantined('kubelet/worker-1')).toBe(true);
    await expect(store.write((tx) => other.registerIssued(tx, kubelet(), {}))).rejects.toEqual(code('forbidden'));
    await issued(rooms, byToken('t2'), { joinerIn: ['kubernetes'] });
    expect(await consumers.get('kubelet/worker-1')).toMatchObject({ state: 'live', rings: [{ joiner: true }] });
    await expect.poll(() => consumers.isQuarantined('kubelet/worker-1')).toBe(false);
    await issued(rooms, kubelet());
  });

  test('is one that ends with its certificate where it can do nothing without', async () => {
    const rooms = await startConsumers(await open());
    const { consumers } = rooms;
    const person = { ...subject('alice'), node: undefined as never, profile: 'kubernetes.io/kube-apiserver-client' };
    await issued(rooms, kubelet({ ...person, notAfter: start + dayMs }));
    await issued(rooms, kubelet({ ...person, notAfter: start + 3 * dayMs }));
    await issued(rooms, kubelet({ ...person, notAfter: start + 2 * dayMs }));
    expect(await consumers.get('kubeconfig/alice')).toMatchObject({ expiresAt: start + 3 * dayMs });
  });

  test('costs no query once it is known', async () => {
    const rooms = await startConsumers(await open());
    const { store, consumers } = rooms;
    await issued(rooms, byToken('t1'));
    await store.write(async (tx) => {
      const silent = { ...tx, db: undefined as never, nextRevision: () => expect.unreachable() };
      await consumers.registerIssued(silent, kubelet(), {});
    });
    // Until it is deleted, by whichever replica.
    const other = await rooms.replica();
    await store.write((tx) => other.registerIssued(tx, kubelet(), {}));
    await consumers.delete('kubelet/worker-1', operator);
    await expect
      .poll(async () => {
        await store.write((tx) => other.registerIssued(tx, kubelet(), {}));
        return (await consumers.list({ limit: 5 })).items.length;
      })
      .toBe(1);
  });
});

describeEachStore('who was there before', (open) => {
  test('is registered when it is asked for, once, with every ring of its class', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, nodes, etcd, store } = rooms;
    for (const name of ['joined-1', 'joined-2', 'expected']) await nodes.enrol({ name }, operator);
    await store.write(async (tx) => {
      for (const name of ['joined-1', 'joined-2']) await nodes.joined(tx, name, start);
    });
    await etcd.create({ name: 'main' }, operator);
    await etcd.addMember(
      'main',
      { name: 'm1', peerUrls: ['https://10.0.0.1:2380'], clientUrls: ['https://10.0.0.1:2379'] },
      operator,
    );
    await store.write((tx) =>
      tx.db
        .updateTable('etcd_members')
        .set({ state: 'joined' })
        .execute()
        .then(() => undefined),
    );
    const named = (name: string, profile: string, ring = 'kubernetes') =>
      issueLeaf(rooms, { ...subject(name), node: undefined as never, profile, ring });
    await issueLeaf(rooms);
    await named('alice', 'kubernetes.io/kube-apiserver-client');
    await named('alice', 'kubernetes.io/kube-apiserver-client');
    await named('kube-apiserver', 'kubeadm.rotunda.dev/apiserver');
    await named('root', 'rotunda.dev/client', 'rotunda');
    await named('backup', 'etcd.rotunda.dev/client', 'etcd');
    await named('kube-scheduler', 'rotunda.dev/serving');
    await consumers.register(
      { name: 'kubelet/joined-2', rings: [{ ring: 'etcd', verifies: true, presents: false }] },
      operator,
    );
    const holders = await consumers.holders();
    expect(await store.write((tx) => consumers.registerEnrolled(tx, holders))).toBe(2);
    const found = (await consumers.list({ limit: 50 })).items.map((one) => [
      one.name,
      one.source,
      one.rings.map(({ ring }) => ring).join(),
    ]);
    expect(found).toEqual([
      ['etcd-client/backup', 'enrolled', 'etcd'],
      ['etcd-member/main/m1', 'enrolled', 'etcd'],
      ['kube-apiserver/unnamed', 'enrolled', 'etcd,front-proxy,kubernetes'],
      ['kubeconfig/alice', 'enrolled', 'kubernetes'],
      ['kubeconfig/rotunda:root', 'enrolled', 'kubernetes'],
      ['kubelet/joined-1', 'enrolled', 'kubernetes'],
      // Declared by hand, so its rings are what was declared.
      ['kubelet/joined-2', 'api', 'etcd'],
    ]);
    expect(await store.write((tx) => consumers.registerEnrolled(tx, holders))).toBe(0);
    expect((await consumers.list({ limit: 50 })).items).toHaveLength(7);
    await store.write((tx) => consumers.forget(tx, { node: 'joined-1' }, operator));
    await expect(consumers.get('kubelet/joined-1')).rejects.toEqual(code('not-found'));
  });

  test('of the configuration is what it lists now', async () => {
    const { consumers } = await startConsumers(await open());
    const one = { class: 'kube-apiserver', name: 'cp-1', endpoints: ['10.0.0.1:6443'] };
    const two = { class: 'backup', name: 'nightly', endpoints: [], rings: ['etcd'] };
    await consumers.register({ name: 'kube-apiserver/cp-1' }, operator);
    await consumers.syncConfigured([one, two]);
    const names = async () =>
      (await consumers.list({ limit: 9 })).items.map(({ name, source, endpoints }) => [name, source, endpoints.length]);
    expect(await names()).toEqual([
      ['backup/nightly', 'configuration', 0],
      ['kube-apiserver/cp-1', 'api', 1],
    ]);
    expect((await consumers.get('backup/nightly')).rings).toMatchObject([
      { ring: 'etcd', verifies: true, presents: false },
    ]);
    await consumers.syncConfigured([one]);
    expect(await names()).toEqual([['kube-apiserver/cp-1', 'api', 1]]);
    await consumers.syncConfigured([]);
    expect(await names()).toHaveLength(1);
  });
});
