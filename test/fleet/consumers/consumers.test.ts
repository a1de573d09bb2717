import { expect, test } from 'vitest';

import {
  admin,
  auditActions,
  dayMs,
  issueLeaf,
  minuteMs,
  operator,
  person,
  start,
  subject,
} from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import type { RingRoleDraft } from '../../../src/fleet/consumers/types.js';
import { acknowledgement, code, memberIdentity, nodeIdentity, report, startConsumers } from './support.js';

describeEachStore('consumers', (open) => {
  test('are registered, changed, listed and deleted', async () => {
    const { consumers, store } = await startConsumers(await open());
    const draft = { name: 'kube-apiserver/cp-1', node: 'cp-1', endpoints: ['10.0.0.1:6443', '[FD00::1]:6443'] };
    const made = await consumers.register(draft, operator);
    expect(made.created).toBe(true);
    expect(made.consumer).toMatchObject({
      name: 'kube-apiserver/cp-1',
      class: 'kube-apiserver',
      source: 'api',
      state: 'live',
      endpoints: ['10.0.0.1:6443', '[fd00::1]:6443'],
      registeredBy: 'olga',
      rings: [
        { ring: 'etcd', verifies: true, minimum: 'restart', loaded: 0, counts: false, current: 1 },
        { ring: 'front-proxy', minimum: 'self-report' },
        { ring: 'kubernetes', minimum: 'canary-probe' },
      ],
    });
    const again = await consumers.register(
      { ...draft, class: 'kube-apiserver', software: 'kube-apiserver 1.36.3' },
      operator,
    );
    expect(again).toMatchObject({ created: false, consumer: { software: 'kube-apiserver 1.36.3', node: 'cp-1' } });
    await consumers.register(draft, operator);
    await consumers.register({ class: 'etcd-client', name: 'backup', leaseMs: 60_000 }, operator);
    const page = await consumers.list({ limit: 1 });
    expect(page.items.map(({ name }) => name)).toEqual(['etcd-client/backup']);
    const rest = await consumers.list({ limit: 5, continue: page.continue ?? '' });
    expect(rest).toEqual({ items: [expect.objectContaining({ name: 'kube-apiserver/cp-1' })], continue: undefined });
    expect((await consumers.list({ limit: 5, ring: 'front-proxy' })).items).toHaveLength(1);
    expect((await consumers.list({ limit: 5, class: 'etcd-client' })).items).toHaveLength(1);
    await consumers.delete('kube-apiserver/cp-1', operator);
    await expect(consumers.get('kube-apiserver/cp-1')).rejects.toEqual(code('not-found'));
    await expect(consumers.delete('kube-apiserver/cp-1', operator)).rejects.toEqual(code('not-found'));
    expect((await auditActions(store)).filter((action) => action.startsWith('consumer'))).toEqual([
      'consumer.registered',
      'consumer.updated',
      'consumer.registered',
      'consumer.deleted',
    ]);
  });

  test('of a class of their own say which rings, and keep what is known when the rings change', async () => {
    const { consumers, claim } = await startConsumers(await open());
    await expect(consumers.register({ name: 'mesh/a' }, operator)).rejects.toEqual(code('invalid', 'rings'));
    const rings = [{ ring: 'etcd', verifies: true, presents: false }];
    await consumers.register({ name: 'mesh/a', rings }, operator);
    const first = await claim('etcd', 1);
    await consumers.acknowledge(acknowledgement('mesh/a', 'etcd', first), operator);
    const both = [...rings, { ring: 'kubernetes', verifies: true, presents: true }];
    const { consumer } = await consumers.register({ name: 'mesh/a', rings: both }, operator);
    expect(consumer.rings).toMatchObject([
      { ring: 'etcd', loaded: 1, counts: true },
      { ring: 'kubernetes', loaded: 0 },
    ]);
    const dropped = [{ ring: 'etcd', verifies: false, presents: false }];
    await consumers.register({ name: 'mesh/a', rings: dropped }, operator);
    expect((await consumers.verifiers('etcd')).verifiers).toEqual([]);
  });

  test('keep the roles that are left out, and are not taken out of gates while they verify', async () => {
    const rooms = await startConsumers(await open());
    const { consumers } = rooms;
    const rolesOf = async (name: string, rings: readonly RingRoleDraft[]): Promise<unknown> =>
      (await consumers.register({ name, rings }, operator)).consumer.rings.map(({ ring, verifies, presents }) => [
        ...[ring, verifies, presents],
      ]);
    const server = 'kube-apiserver/cp-1';
    const own = [
      ['etcd', true, true],
      ['front-proxy', true, true],
      ['kubernetes', true, true],
    ];
    await consumers.register({ name: server }, operator);
    expect(await rolesOf(server, [{ ring: 'kubernetes', presents: true }])).toEqual(own);
    expect(await rolesOf(server, [{ ring: 'etcd', presents: false }])).toContainEqual(['etcd', true, false]);
    expect(await rolesOf('kubelet/w', [{ ring: 'kubernetes' }])).toEqual([['kubernetes', true, true]]);
    expect(await rolesOf('mesh/a', [{ ring: 'etcd' }])).toEqual([['etcd', true, false]]);
    expect(await rolesOf('mesh/a', [{ ring: 'kubernetes', presents: true }])).toContainEqual([
      'kubernetes',
      false,
      true,
    ]);
    const dropped = [{ ring: 'kubernetes', verifies: false }];
    for (const name of [server, 'kubelet/new', 'kubelet/w'])
      await expect(consumers.register({ name, rings: dropped }, operator)).rejects.toEqual(code('conflict', name));
    // Outside of what its class does it can be taken out, unless it holds a certificate.
    await issueLeaf(rooms, { node: 'w' });
    const etcd = (verifies: boolean) => [{ ring: 'etcd', verifies }];
    for (const name of ['kubelet/w', 'kubelet/v']) await consumers.register({ name, rings: etcd(true) }, operator);
    await consumers.register({ name: 'kubelet/v', rings: etcd(false) }, operator);
    await expect(consumers.register({ name: 'kubelet/w', rings: etcd(false) }, operator)).rejects.toEqual(
      code('conflict', 'live certificates'),
    );
  });

  test('that break a rule are refused with every field', async () => {
    const { consumers } = await startConsumers(await open());
    const draft = { name: 'Kubelet/x', node: 'N', endpoints: ['x'], algorithms: ['A B'], leaseMs: 5, software: 'a\nb' };
    const fields = ['name', 'node', 'endpoints[0]', 'algorithms[0]', 'leaseSeconds', 'software'];
    await expect(consumers.register(draft, operator)).rejects.toMatchObject({
      code: 'invalid',
      details: { causes: fields.map((field) => expect.objectContaining({ field }) as unknown) },
    });
    const unknown = [{ ring: 'nope', verifies: true, presents: false }];
    await expect(consumers.register({ name: 'kubelet/a', rings: unknown }, operator)).rejects.toEqual(
      code('invalid', 'rings[0].ring'),
    );
    for (const name of [
      'kubelet',
      'kubelet/',
      '/a',
      'kubelet//',
      'kubelet/ a',
      'kubelet/a\u0000',
      `kubelet/${'a'.repeat(400)}`,
      'kubelet/\ud800',
    ])
      await expect(consumers.register({ name }, operator)).rejects.toEqual(code('invalid', 'name'));
    expect((await consumers.list({ limit: 10 })).items).toEqual([]);
  });

  test('are silent when their lease runs out, and gone with their last credential', async () => {
    const { consumers, clock, store } = await startConsumers(await open());
    await consumers.register({ name: 'etcd-client/backup', leaseMs: 60_000 }, operator);
    await consumers.register({ name: 'etcd-client/idle' }, operator);
    await store.write((tx) =>
      consumers.registerJoiner(tx, {
        ...{ class: 'kubeconfig', name: 'alice', source: 'issued', joinerIn: [], expiresAt: start + dayMs },
        rings: [{ ring: 'kubernetes', verifies: true, presents: true }],
      }),
    );
    const states = async () =>
      Object.fromEntries((await consumers.list({ limit: 9 })).items.map((one) => [one.name, one.state]));
    expect(Object.values(await states())).toEqual(['live', 'live', 'live']);
    clock.set(start + 60_001);
    expect(await states()).toEqual({
      'etcd-client/backup': 'silent',
      'etcd-client/idle': 'live',
      'kubeconfig/alice': 'live',
    });
    const facts = await consumers.verifiers('etcd');
    expect(facts.verifiers.map(({ name, silentSince }) => [name, silentSince])).toEqual(
      expect.arrayContaining([
        ['etcd-client/backup', start],
        ['etcd-client/idle', undefined],
      ]),
    );
    clock.set(start + dayMs);
    for (const state of ['live', 'silent', 'gone', 'quarantined'] as const) {
      const { items } = await consumers.list({ limit: 9, state });
      expect(items.map((one) => [one.name, one.state])).toEqual(
        {
          live: [['etcd-client/idle', 'live']],
          silent: [['etcd-client/backup', 'silent']],
          gone: [['kubeconfig/alice', 'gone']],
          quarantined: [],
        }[state],
      );
    }
    expect((await consumers.verifiers('kubernetes')).verifiers).toEqual([]);
  });

  test('that hold a live certificate are not dropped', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, clock } = rooms;
    const { prepared } = await issueLeaf(rooms, {});
    await issueLeaf(rooms, {
      ...subject('alice'),
      node: undefined as never,
      profile: 'kubernetes.io/kube-apiserver-client',
    });
    await consumers.register({ name: 'kubelet/worker-1' }, operator);
    await consumers.register({ name: 'kubeconfig/alice' }, operator);
    await consumers.register({ name: 'etcd-client/alice' }, operator);
    await expect(consumers.delete('kubelet/worker-1', operator)).rejects.toEqual(code('conflict', prepared.serial));
    await expect(consumers.delete('kubeconfig/alice', operator)).rejects.toEqual(code('conflict'));
    // The same name in another ring is somebody else.
    await consumers.delete('etcd-client/alice', operator);
    clock.set(start + 40 * dayMs);
    await consumers.delete('kubelet/worker-1', operator);
  });
});

describeEachStore('what consumers report', (open) => {
  test('a node speaks for what runs on it, a member for itself, an operator for all, nobody else', async () => {
    const { consumers, claim } = await startConsumers(await open());
    const kubernetes = await claim('kubernetes', 1);
    const etcd = await claim('etcd', 1);
    await consumers.register({ name: 'kube-scheduler/cp-1', node: 'cp-1' }, operator);
    await consumers.register({ name: 'kube-scheduler/other' }, operator);
    const beat = report(start, [{ ring: 'kubernetes', loaded: kubernetes }]);
    const node = nodeIdentity('cp-1');
    expect(await consumers.heartbeat('kube-scheduler/cp-1', beat, node)).toMatchObject({ outcome: 'applied' });
    // A kubelet that was there before consumers were kept makes itself known.
    const own = await consumers.heartbeat('kubelet/cp-1', beat, node);
    expect(own).toMatchObject({
      outcome: 'applied',
      consumer: { source: 'agent', node: 'cp-1', leaseMs: 15 * minuteMs, clockSkewMs: 0, process: { id: 'p1' } },
    });
    const member = await consumers.heartbeat(
      'etcd-member/main/m1',
      report(start, [{ ring: 'etcd', loaded: etcd }]),
      memberIdentity('main', 'm1'),
    );
    expect(member.consumer.rings).toMatchObject([{ loaded: 1, evidence: 'self-report', counts: false }]);
    for (const name of ['kube-scheduler/other', 'kubelet/cp-2', 'etcd-member/main/m1', 'kube-apiserver/cp-1'])
      await expect(consumers.heartbeat(name, beat, node)).rejects.toEqual(code('forbidden'));
    const foreign = [
      memberIdentity('main', 'm2'),
      memberIdentity('other', 'm1'),
      person('victor', 'viewer'),
      { ...node, kind: 'token' as const },
    ];
    for (const who of foreign) {
      await expect(consumers.heartbeat('etcd-member/main/m1', beat, who)).rejects.toEqual(code('forbidden'));
      await expect(
        consumers.acknowledge(acknowledgement('kubelet/cp-1', 'kubernetes', kubernetes), who),
      ).rejects.toEqual(code('forbidden'));
    }
    await consumers.acknowledge(acknowledgement('kube-scheduler/other', 'kubernetes', kubernetes), admin);
    await expect(consumers.heartbeat('kubelet/nobody', beat, operator)).rejects.toEqual(code('not-found'));
  });

  test('names a bundle that was published, and that very one', async () => {
    const { consumers, claim, publish } = await startConsumers(await open());
    const first = await claim('kubernetes', 1);
    const second = { ...(await claim('etcd', 1)), generation: 2 };
    await consumers.register({ name: 'kubelet/w' }, operator);
    const acknowledge = (ring: string, what: { generation: number; digest: string }) =>
      consumers.acknowledge(acknowledgement('kubelet/w', ring, what), operator);
    await expect(acknowledge('kubernetes', second)).rejects.toEqual(code('invalid', 'generation', 'up to 1'));
    await expect(acknowledge('kubernetes', { ...first, digest: second.digest })).rejects.toEqual(
      code('conflict', first.digest),
    );
    await expect(acknowledge('kubernetes', { ...first, generation: 0 })).rejects.toEqual(code('invalid'));
    await expect(acknowledge('etcd', await claim('etcd', 1))).rejects.toEqual(code('invalid', 'ring', 'nothing to do'));
    await expect(acknowledge('nope', first)).rejects.toEqual(code('invalid', 'no such ring'));
    await publish('kubernetes');
    await expect(acknowledge('kubernetes', second)).rejects.toEqual(code('conflict'));
    const beat = report(start, [{ ring: 'kubernetes', loaded: first, delivered: { ...second, at: start } }]);
    await expect(consumers.heartbeat('kubelet/w', beat, operator)).rejects.toEqual(code('conflict'));
    expect((await consumers.get('kubelet/w')).rings).toMatchObject([{ loaded: 0, delivered: 0 }]);
  });

  test('is about one process: another one has loaded nothing, and an earlier one is not heard', async () => {
    const { consumers, claim, publish, clock, store } = await startConsumers(await open());
    const first = await claim('kubernetes', 1);
    const second = await claim('kubernetes', await publish('kubernetes'));
    const node = nodeIdentity('w');
    const beat = (at: number, id: string, startedAt: number, loaded: typeof first | undefined) => {
      clock.set(Math.max(clock.now().getTime(), at));
      const rings = [{ ring: 'kubernetes', ...(loaded && { loaded }) }];
      return consumers.heartbeat('kube-scheduler/w', report(at, rings, { process: { id, startedAt } }), node);
    };
    await consumers.register({ name: 'kube-scheduler/w', node: 'w' }, operator);
    await beat(start, 'a', start - 1000, second);
    expect((await beat(start + 1000, 'a', start - 1000, first)).consumer.rings).toMatchObject([{ loaded: 1 }]);
    expect((await beat(start + 500, 'a', start - 1000, second)).outcome).toBe('late');
    expect((await beat(start + 1000, 'a', start - 1000, first)).outcome).toBe('late');
    const restarted = await beat(start + 2000, 'b', start + 1500, undefined);
    expect(restarted.consumer).toMatchObject({
      process: { id: 'b' },
      rings: [{ loaded: 0, evidence: undefined, counts: false }],
    });
    expect((await beat(start + 3000, 'a', start - 1000, second)).outcome).toBe('other-process');
    expect((await beat(start + 4000, 'b', start + 1500, second)).consumer.rings).toMatchObject([
      { loaded: 2, counts: true },
    ]);
    expect((await beat(start + 5000, 'b', start + 1500, second)).outcome).toBe('applied');
    // The same again and again is not told again and again.
    const told = (await auditActions(store)).filter((action) => action === 'consumer.acknowledged');
    expect(told).toHaveLength(4);
  });

  test('is evidence of a restart where the file was there before the process', async () => {
    const { consumers, claim } = await startConsumers(await open());
    const etcd = await claim('etcd', 1);
    const member = memberIdentity('main', 'm1');
    const at = (delivered: number) =>
      report(start, [{ ring: 'etcd', loaded: etcd, delivered: { ...etcd, at: delivered } }], {
        reportedAt: start + delivered - start + 3_600_000,
      });
    const late = await consumers.heartbeat('etcd-member/main/m1', at(start - 3_600_000), member);
    expect(late.consumer.rings).toMatchObject([{ evidence: 'self-report', counts: false }]);
    const restarted = report(start + 60_000, [{ ring: 'etcd', loaded: etcd, delivered: { ...etcd, at: start } }], {
      process: { id: 'p2', startedAt: start + 1 },
    });
    expect((await consumers.heartbeat('etcd-member/main/m1', restarted, member)).consumer.rings).toMatchObject([
      { evidence: 'restart', counts: true, loaded: 1 },
    ]);
    const claimed = (change: object) =>
      consumers.acknowledge(
        acknowledgement('etcd-member/main/m2', 'etcd', etcd, { evidence: 'restart', ...change }),
        operator,
      );
    await consumers.register({ name: 'etcd-member/main/m2' }, operator);
    await expect(claimed({})).rejects.toEqual(code('invalid', 'deliveredAt'));
    await expect(claimed({ deliveredAt: start })).rejects.toEqual(code('invalid', 'startedAt'));
    await expect(claimed({ deliveredAt: start, startedAt: start })).rejects.toEqual(
      code('invalid', 'before the file was there'),
    );
    expect((await claimed({ deliveredAt: start, startedAt: start + 1 })).consumer.rings).toMatchObject([
      { evidence: 'restart', counts: true },
    ]);
    // What is known of the process is not overruled by what somebody says of it.
    await expect(
      consumers.acknowledge(
        acknowledgement('etcd-member/main/m1', 'etcd', etcd, {
          evidence: 'restart',
          deliveredAt: start + 5,
          startedAt: start + 9,
        }),
        operator,
      ),
    ).rejects.toEqual(code('invalid', 'before the file was there'));
  });

  test('needs a clock that is not far off, and its own process and time', async () => {
    const { consumers, claim } = await startConsumers(await open());
    const kubernetes = await claim('kubernetes', 1);
    const node = nodeIdentity('w');
    const beat = (change: Parameters<typeof report>[2]) =>
      consumers.heartbeat('kubelet/w', report(start, [{ ring: 'kubernetes', loaded: kubernetes }], change), node);
    await expect(beat({ reportedAt: start + 2 * dayMs })).rejects.toEqual(code('invalid', 'reportedAt', 'clock'));
    await expect(beat({ process: { id: 'p', startedAt: start + 1 } })).rejects.toEqual(
      code('invalid', 'process.startedAt'),
    );
    await expect(beat({ process: { id: '', startedAt: start } })).rejects.toEqual(code('invalid', 'process.id'));
    await expect(beat({ rings: [{ ring: 'kubernetes' }, { ring: 'kubernetes' }] })).rejects.toEqual(
      code('invalid', 'twice'),
    );
    expect((await consumers.list({ limit: 1 })).items).toEqual([]);
    expect((await beat({ reportedAt: start + 90_000 })).consumer.clockSkewMs).toBe(90_000);
    await expect(
      consumers.acknowledge(acknowledgement('kubelet/w', 'kubernetes', kubernetes), node),
    ).rejects.toMatchObject({ details: { causes: [{ field: 'process' }, { field: 'reportedAt' }] } });
  });

  test('of a process that began in a wrong future can be forgotten by an operator', async () => {
    const { consumers, claim, clock } = await startConsumers(await open());
    const kubernetes = await claim('kubernetes', 1);
    const node = nodeIdentity('w');
    const rings = [{ ring: 'kubernetes', loaded: kubernetes }];
    await consumers.heartbeat('kubelet/w', report(start + 80_000_000, rings), node);
    clock.set(start + 60_000);
    const right = report(start + 60_000, rings, { process: { id: 'p2', startedAt: start + 30_000 } });
    expect((await consumers.heartbeat('kubelet/w', right, node)).outcome).toBe('other-process');
    const { consumer } = await consumers.register({ name: 'kubelet/w', forgetProcess: true }, operator);
    expect(consumer).toMatchObject({ process: undefined, rings: [{ loaded: 0 }] });
    expect((await consumers.heartbeat('kubelet/w', right, node)).outcome).toBe('applied');
  });
});

describeEachStore('what this service has seen', (open) => {
  test('counts for the process that it was seen of', async () => {
    const { consumers, claim, clock } = await startConsumers(await open());
    const kubernetes = await claim('kubernetes', 1);
    await consumers.register({ name: 'kube-apiserver/cp-1', node: 'cp-1' }, operator);
    const probe = (change: object) =>
      consumers.prove(undefined, {
        ...{
          consumer: 'kube-apiserver/cp-1',
          ring: 'kubernetes',
          generation: 1,
          evidence: 'canary-probe',
          clean: true,
        },
        ...change,
      });
    expect(await probe({})).toBe('applied');
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([
      { loaded: 1, evidence: 'canary-probe', clean: true },
    ]);
    expect(await probe({ process: { id: 'p1' } })).toBe('other-process');
    await consumers.heartbeat(
      'kube-apiserver/cp-1',
      report(start, [{ ring: 'kubernetes', loaded: kubernetes }]),
      nodeIdentity('cp-1'),
    );
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([{ loaded: 0, evidence: 'self-report' }]);
    expect(await probe({})).toBe('other-process');
    expect(await probe({ process: { id: 'p1' } })).toBe('applied');
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([{ loaded: 1 }]);
    // Shown not to have it.
    clock.set(start + 1);
    expect(await probe({ process: { id: 'p1' }, generation: 0 })).toBe('applied');
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([{ loaded: 0, clean: false }]);
    await expect(probe({ generation: 7, process: { id: 'p1' } })).rejects.toEqual(code('invalid'));
    await expect(probe({ consumer: 'kubelet/nobody' })).rejects.toEqual(code('not-found'));
    expect(await probe({ at: start - 1 })).toBe('late');
  });

  test('of its own processes counts whatever their clock says', async () => {
    const { consumers, store } = await startConsumers(await open());
    const rings = [{ ring: 'kubernetes', verifies: true, presents: false }];
    await store.write((tx) =>
      consumers.registerJoiner(tx, { class: 'rotunda', name: 'this', rings, source: 'service', joinerIn: [] }),
    );
    const say = (id: string, startedAt: number) =>
      consumers.prove(undefined, {
        ...{ consumer: 'rotunda/this', ring: 'kubernetes', generation: 1, evidence: 'in-process', clean: true },
        process: { id, startedAt },
      });
    expect(await say('b', start)).toBe('applied');
    expect(await say('a', start - dayMs)).toBe('applied');
    expect((await consumers.get('rotunda/this')).process).toEqual({ id: 'a', startedAt: start - dayMs });
  });
});
