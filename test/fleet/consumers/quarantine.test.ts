import { expect, test } from 'vitest';

import { auditActions, dayMs, issueLeaf, minuteMs, operator, start } from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import { acknowledgement, code, nodeIdentity, report, startConsumers } from './support.js';

describeEachStore('quarantine', (open) => {
  test('shows what it breaks before it does, and takes the consumer out of gates', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, store } = rooms;
    const leaf = await issueLeaf(rooms);
    await consumers.register({ name: 'kubelet/worker-1', node: 'worker-1' }, operator);
    const asked = { reason: 'its disk is dead', actor: operator };
    const shown = await consumers.quarantine('kubelet/worker-1', { ...asked, dryRun: true });
    expect(shown).toMatchObject({
      consumer: 'kubelet/worker-1',
      leaves: [
        {
          serial: leaf.prepared.serial,
          ring: 'kubernetes',
          commonName: 'system:node:worker-1',
          notAfter: start + 30 * dayMs,
        },
      ],
      moreLeaves: false,
      verifies: ['kubernetes'],
      presents: ['kubernetes'],
      quarantined: false,
    });
    expect(shown.breaks).toEqual([
      expect.stringContaining('1 of them, are not renewed: the first ends 2026-12-23'),
      expect.stringContaining('it verifies kubernetes with an unknown bundle'),
    ]);
    expect((await consumers.get('kubelet/worker-1')).state).toBe('live');
    expect(consumers.isQuarantined('kubelet/worker-1')).toBe(false);
    expect(await consumers.quarantine('kubelet/worker-1', { ...asked, dryRun: false })).toMatchObject({
      quarantined: true,
    });
    expect(await consumers.get('kubelet/worker-1')).toMatchObject({
      state: 'quarantined',
      quarantine: { at: start, by: 'olga', reason: 'its disk is dead' },
    });
    expect(consumers.isQuarantined('kubelet/worker-1')).toBe(true);
    const facts = await consumers.verifiers('kubernetes');
    expect(facts.verifiers).toEqual([]);
    expect(facts.classes.find((known) => known.class === 'kubelet')).toMatchObject({ registered: 0 });
    await consumers.quarantine('kubelet/worker-1', { ...asked, dryRun: false });
    expect((await auditActions(store)).filter((action) => action === 'consumer.quarantined')).toHaveLength(1);
    await expect(consumers.quarantine('kubelet/x', { ...asked, dryRun: true })).rejects.toEqual(code('not-found'));
    await expect(consumers.quarantine('kubelet/worker-1', { ...asked, reason: ' ', dryRun: true })).rejects.toEqual(
      code('invalid', 'reason'),
    );
  });

  test('is for nobody who is a replica of this service', async () => {
    const { consumers, store } = await startConsumers(await open());
    const replica = { class: 'rotunda', name: 'this', rings: [], source: 'service', leaseMs: minuteMs } as const;
    await store.write((tx) => consumers.registerJoiner(tx, { ...replica, joinerIn: [], expiresAt: start + minuteMs }));
    for (const dryRun of [true, false])
      await expect(
        consumers.quarantine('rotunda/this', { reason: 'it is old', actor: operator, dryRun }),
      ).rejects.toEqual(code('invalid', 'name'));
    expect((await consumers.get('rotunda/this')).state).toBe('live');
  });

  test('ends when it has shown since that it holds the current bundle, and not before', async () => {
    const { consumers, claim, publish, clock } = await startConsumers(await open());
    const name = 'kubelet/w';
    const node = nodeIdentity('w');
    const beat = async (generation: number, at: number) => {
      clock.set(at);
      const loaded = await claim('kubernetes', generation);
      return consumers.heartbeat(
        name,
        report(at, [{ ring: 'kubernetes', loaded, delivered: { ...loaded, at: start - 2 } }], {
          process: { id: 'p', startedAt: start - 1 },
        }),
        node,
      );
    };
    await beat(1, start);
    clock.set(start + 1);
    await consumers.quarantine(name, { reason: 'silent', dryRun: false, actor: operator });
    await expect(consumers.unquarantine(name, operator)).rejects.toEqual(code('conflict', 'kubernetes'));
    await publish('kubernetes');
    await beat(1, start + 2);
    await expect(consumers.unquarantine(name, operator)).rejects.toEqual(code('conflict'));
    expect((await consumers.verifiers('kubernetes')).verifiers).toEqual([]);
    await beat(2, start + 3);
    expect(await consumers.unquarantine(name, operator)).toMatchObject({ state: 'live', quarantine: undefined });
    expect((await consumers.verifiers('kubernetes')).verifiers).toMatchObject([{ name, loaded: 2 }]);
    expect(await consumers.unquarantine(name, operator)).toMatchObject({ state: 'live' });
  });

  test('does not end by evidence that is too weak for its class', async () => {
    const { consumers, claim, clock } = await startConsumers(await open());
    await consumers.register({ name: 'etcd-member/main/m1' }, operator);
    await consumers.quarantine('etcd-member/main/m1', { reason: 'x', dryRun: false, actor: operator });
    clock.set(start + minuteMs);
    const etcd = await claim('etcd', 1);
    await consumers.acknowledge(acknowledgement('etcd-member/main/m1', 'etcd', etcd), operator);
    await expect(consumers.unquarantine('etcd-member/main/m1', operator)).rejects.toEqual(code('conflict'));
    const restart = { evidence: 'restart', deliveredAt: start, startedAt: start + 1 } as const;
    await consumers.acknowledge(acknowledgement('etcd-member/main/m1', 'etcd', etcd, restart), operator);
    expect((await consumers.unquarantine('etcd-member/main/m1', operator)).state).toBe('live');
  });

  test('is known to another replica', async () => {
    const { consumers, replica } = await startConsumers(await open());
    const other = await replica();
    await consumers.register({ name: 'kubelet/w' }, operator);
    await consumers.quarantine('kubelet/w', { reason: 'x', dryRun: false, actor: operator });
    await expect.poll(() => other.isQuarantined('kubelet/w')).toBe(true);
    expect((await replica()).isQuarantined('kubelet/w')).toBe(true);
    await consumers.delete('kubelet/w', operator);
    await expect.poll(() => other.isQuarantined('kubelet/w')).toBe(false);
  });
});
