import { expect, test } from 'vitest';

import type { AttestationDraft } from '../../../src/fleet/consumers/types.js';
import { auditActions, dayMs, operator, start } from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import { acknowledgement, code, startConsumers } from './support.js';

const draft = (change: Partial<AttestationDraft>): AttestationDraft => ({
  ...{ ring: 'kubernetes', statement: 'absent', ttlMs: dayMs, reason: 'looked at it' },
  ...change,
});

describeEachStore('attestations', (open) => {
  test('are made by name, hold until they end, and can be taken back', async () => {
    const { consumers, clock, store } = await startConsumers(await open());
    const made = await consumers.attest(draft({ class: 'kube-scheduler' }), operator);
    expect(made).toMatchObject({ class: 'kube-scheduler', by: 'olga', expiresAt: start + dayMs, state: 'live' });
    const classOf = async (name: string) =>
      (await consumers.verifiers('kubernetes')).classes.find((known) => known.class === name);
    expect(await classOf('kube-scheduler')).toMatchObject({
      registered: 0,
      attestation: { id: made.id, statement: 'absent', by: 'olga', expiresAt: start + dayMs },
    });
    expect(await consumers.attestation(made.id)).toEqual(made);
    expect(await consumers.attestations({ ring: 'etcd' })).toEqual([]);
    expect((await consumers.revokeAttestation(made.id, operator)).state).toBe('revoked');
    expect((await consumers.revokeAttestation(made.id, operator)).revokedAt).toBe(start);
    expect((await classOf('kube-scheduler'))?.attestation).toBeUndefined();
    const second = await consumers.attest(draft({ class: 'kube-scheduler' }), operator);
    clock.set(start + dayMs);
    expect((await classOf('kube-scheduler'))?.attestation).toBeUndefined();
    expect((await consumers.attestations()).map(({ state }) => state).sort()).toEqual(['expired', 'revoked']);
    expect((await consumers.attestation(second.id)).state).toBe('expired');
    await expect(consumers.attestation('nope')).rejects.toEqual(code('not-found'));
    await expect(consumers.revokeAttestation('nope', operator)).rejects.toEqual(code('not-found'));
    expect((await auditActions(store)).filter((action) => action.startsWith('attestation'))).toEqual([
      'attestation.created',
      'attestation.revoked',
      'attestation.created',
    ]);
  });

  test('that say nothing, too much or for ever are refused', async () => {
    const { consumers } = await startConsumers(await open());
    await consumers.register({ name: 'kubeconfig/alice' }, operator);
    const refused = async (change: Partial<AttestationDraft>, field: string) => {
      await expect(consumers.attest(draft(change), operator)).rejects.toMatchObject({
        code: 'invalid',
        details: { causes: [expect.objectContaining({ field }) as unknown] },
      });
    };
    await refused({ class: 'pod', ttlMs: 0 }, 'ttlSeconds');
    await refused({ class: 'pod', ttlMs: -1 }, 'ttlSeconds');
    await refused({ class: 'pod', ttlMs: Infinity }, 'ttlSeconds');
    await refused({ class: 'pod', ttlMs: 366 * dayMs }, 'ttlSeconds');
    await refused({ class: 'pod', reason: ' ' }, 'reason');
    await refused({}, 'class');
    await refused(
      { class: 'kubeconfig', consumer: 'kubeconfig/alice', statement: 'loaded', generation: 1 },
      'consumer',
    );
    await refused({ consumer: 'kubeconfig/alice' }, 'consumer');
    await refused({ class: 'pod', statement: 'loaded' }, 'generation');
    await refused({ class: 'pod', generation: 1 }, 'generation');
    await refused({ class: 'pod', statement: 'loaded', generation: 2 }, 'generation');
    await refused({ class: 'etcd-member' }, 'class');
    await refused({ class: 'nonsense' }, 'class');
    await refused({ class: 'pod', ring: 'nope' }, 'ring');
    await refused({ consumer: 'kubeconfig/alice', ring: 'etcd', statement: 'loaded', generation: 1 }, 'consumer');
    await expect(
      consumers.attest(draft({ consumer: 'kubeconfig/bob', statement: 'loaded', generation: 1 }), operator),
    ).rejects.toEqual(code('not-found'));
    expect(await consumers.attestations()).toEqual([]);
  });

  test('do not stand in for evidence that a class needs, nor say that there is none of what there is', async () => {
    const { consumers } = await startConsumers(await open());
    await consumers.register({ name: 'kubelet/w' }, operator);
    await expect(
      consumers.attest(draft({ class: 'kubelet', statement: 'loaded', generation: 1 }), operator),
    ).rejects.toEqual(code('invalid', 'restart'));
    await expect(
      consumers.attest(draft({ consumer: 'kubelet/w', statement: 'loaded', generation: 1 }), operator),
    ).rejects.toEqual(code('invalid'));
    await expect(consumers.attest(draft({ class: 'kubelet' }), operator)).rejects.toEqual(
      code('conflict', '1 consumers'),
    );
    await consumers.quarantine('kubelet/w', { reason: 'x', dryRun: false, actor: operator });
    expect((await consumers.attest(draft({ class: 'kubelet' }), operator)).state).toBe('live');
  });

  test('raise what consumers of a class that may be attested have loaded', async () => {
    const { consumers, publish, clock, claim } = await startConsumers(await open());
    const generation = await publish('kubernetes');
    for (const name of ['alice', 'bob']) await consumers.register({ class: 'kubeconfig', name }, operator);
    clock.set(start + 1);
    const facts = async () =>
      Object.fromEntries(
        (await consumers.verifiers('kubernetes')).verifiers.map((one) => [
          one.name,
          [one.loaded, one.evidence, one.clean],
        ]),
      );
    const one = await consumers.attest(
      draft({ consumer: 'kubeconfig/alice', statement: 'loaded', generation: 1 }),
      operator,
    );
    expect(await facts()).toEqual({
      'kubeconfig/alice': [1, 'attestation', true],
      'kubeconfig/bob': [0, undefined, false],
    });
    await consumers.attest(draft({ class: 'kubeconfig', statement: 'loaded', generation }), operator);
    expect(await facts()).toMatchObject({
      'kubeconfig/alice': [1, 'attestation', true],
      'kubeconfig/bob': [2, 'attestation', true],
    });
    await consumers.revokeAttestation(one.id, operator);
    expect(await facts()).toMatchObject({ 'kubeconfig/alice': [2, 'attestation', true] });
    // Who came since is not meant, and what was shown since is the truth.
    clock.set(start + 2);
    await consumers.register({ class: 'kubeconfig', name: 'carol' }, operator);
    await consumers.acknowledge(
      acknowledgement('kubeconfig/bob', 'kubernetes', await claim('kubernetes', 1)),
      operator,
    );
    expect(await facts()).toMatchObject({
      'kubeconfig/carol': [0, undefined, false],
      'kubeconfig/bob': [1, 'self-report', true],
    });
  });

  test('that streams have ended are for a class or one of it', async () => {
    const { consumers, clock } = await startConsumers(await open());
    await consumers.register({ name: 'kube-apiserver/a' }, operator);
    await consumers.register({ name: 'kube-apiserver/b' }, operator);
    clock.set(start + 5);
    await consumers.attest(draft({ consumer: 'kube-apiserver/a', statement: 'streams-ended' }), operator);
    const first = await consumers.verifiers('kubernetes');
    expect(first.verifiers.map((one) => [one.name, one.streamsSince])).toEqual(
      expect.arrayContaining([
        ['kube-apiserver/a', start + 5],
        ['kube-apiserver/b', undefined],
      ]),
    );
    clock.set(start + 9);
    await consumers.attest(draft({ class: 'kube-apiserver', statement: 'streams-ended' }), operator);
    const known = (await consumers.verifiers('kubernetes')).classes.find((one) => one.class === 'kube-apiserver');
    expect(known).toMatchObject({ streams: true, streamsEndedAt: start + 9, attestation: undefined });
  });
});
