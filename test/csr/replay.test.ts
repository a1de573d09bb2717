import { expect, it } from 'vitest';

import { policyFrom } from '../../src/config/policy.js';
import type { Replay } from '../../src/csr/replay.js';
import { person } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';
import { newEcKey } from '../support/pkcs10.js';
import {
  administrator,
  apiserverClient,
  authenticated,
  draft,
  eventually,
  kubeletClient,
  kubeletServing,
  nodeIdentity,
  nodeSubject,
  type Service,
  startService,
} from './support.js';

const admin = person('admin', 'admin');
const dayMs = 86_400_000;

function policy(fields: Readonly<Record<string, unknown>> = {}): ReturnType<typeof policyFrom> {
  return policyFrom({ apiVersion: 'rotunda.dev/v1alpha1', ...fields });
}

const outcomes = ({ changes }: Replay): unknown[] =>
  changes.map(({ before, after, count, rules }) => ({
    before: before.outcome,
    after: after.outcome,
    count,
    rules: rules.map(({ rule }) => rule),
  }));

/** A bootstrap by an unbound token, a serving request that waits, and a person's request; everything then deleted. */
async function someRequests(service: Service): Promise<void> {
  const { requests, tokens, nodes } = service;
  const who = await authenticated(service, await tokens.create({}, admin));
  await requests.submit(who, draft(kubeletClient, nodeSubject('node-x')));
  await nodes.enrol({ name: 'node-a', addresses: ['10.0.0.1'] }, admin);
  const serving = { ...nodeSubject('node-a'), dns: ['node-a'], ips: ['10.0.0.1', '10.0.0.2'] };
  await requests.submit(nodeIdentity('node-a'), draft(kubeletServing, serving));
  const renewed = await requests.submit(nodeIdentity('node-a'), draft(kubeletClient, nodeSubject('node-a')));
  await renewed.settled;
  const asked = draft(apiserverClient, { subject: [['CN', 'jane']] }, { usages: ['client auth'] });
  const { request } = await requests.submit(administrator, asked);
  await requests.decide(request.metadata.name, 'Approved', { identity: administrator });
  await eventually(service, request.metadata.name, ({ status }) => status.certificate !== undefined);
}

async function deleteAll({ requests }: Service): Promise<void> {
  const { items } = await requests.list({});
  for (const text of items) {
    const { metadata } = JSON.parse(text) as { metadata: { name: string } };
    await requests.delete(metadata.name, { identity: administrator });
  }
}

describeEachStore('a replay', (open) => {
  it('finds nothing different under the policy that is on', async () => {
    const service = await startService(await open());
    await someRequests(service);
    const since = service.clock.now().getTime() - dayMs;
    const replay = await service.requests.replay({ policy: policy(), since, facts: 'recorded' });
    expect(replay).toMatchObject({ requests: 4, questions: 4, changed: 0, ofToday: 0, truncated: false });
    expect(replay.before).toEqual({ hold: 2, approve: 2 });
    expect(replay.after).toEqual(replay.before);
  });

  it('says who would have been answered otherwise and by which rule, also of requests that are deleted', async () => {
    const service = await startService(await open());
    await someRequests(service);
    const since = service.clock.now().getTime() - dayMs;
    const options = { policy: policy({ nodeApproval: 'upstream-any-node-name' }), since, facts: 'recorded' } as const;
    const live = await service.requests.replay(options);
    expect(outcomes(live)).toEqual([{ before: 'hold', after: 'approve', count: 1, rules: ['may-become-node'] }]);
    expect(live.changes[0]?.question).toMatchObject({ state: 'pending', spec: { signerName: kubeletClient } });
    await deleteAll(service);
    const revision = await service.store.revision();
    const past = await service.requests.replay(options);
    expect(outcomes(past)).toEqual(outcomes(live));
    expect(past).toMatchObject({ requests: 4, changed: 1, before: live.before, after: live.after });
    expect(await service.store.revision()).toBe(revision);
  });

  it('counts what was asked again and again as one question, and keeps one row of it a day', async () => {
    const service = await startService(await open());
    const who = await authenticated(
      service,
      await service.tokens.create({ node: { name: 'node-a', addresses: [], dnsNames: [] } }, admin),
    );
    for (let time = 0; time < 5; time += 1) {
      const asked = draft(kubeletClient, nodeSubject('node-b'), {}, newEcKey());
      const { request } = await service.requests.submit(who, asked);
      if (time > 1) await service.requests.delete(request.metadata.name, { identity: administrator });
    }
    const kept = await service.store.db.selectFrom('past_requests').select(['count', 'state', 'reason']).execute();
    expect(kept).toEqual([{ count: 3, state: 'denied', reason: 'NotEntitled' }]);
    const replay = await service.requests.replay({ policy: policy(), since: 0, facts: 'recorded' });
    expect(replay).toMatchObject({ requests: 5, questions: 1, before: { deny: 5 } });
  });

  it('looks at rings and lifetimes of what would be issued, and at what a person approved', async () => {
    const service = await startService(await open());
    await someRequests(service);
    const shorter = {
      signerName: kubeletClient,
      ring: 'kubernetes',
      approval: 'node-client',
      organizations: ['system:nodes'],
      commonName: { prefix: 'system:node:' },
      usages: { required: ['digital signature', 'client auth'], optional: ['key encipherment'] },
      lifetime: { standard: '1d', longest: '7d' },
    };
    const nobody = { signerName: apiserverClient, ring: 'kubernetes', usages: { required: ['server auth'] } };
    const replay = await service.requests.replay({
      policy: policy({ profiles: [shorter, nobody] }),
      since: 0,
      facts: 'recorded',
    });
    const [lifetime, failed] = ['approve', 'fail'].map((outcome) =>
      replay.changes.find((change) => change.after.outcome === outcome),
    );
    expect(lifetime).toMatchObject({ before: { lifetimeSeconds: 2_591_700 }, after: { lifetimeSeconds: 86_100 } });
    expect(failed).toMatchObject({
      before: { outcome: 'approve', message: 'approved by a person' },
      after: { outcome: 'fail', reason: 'SignerValidationFailure' },
      rules: [{ rule: 'usages' }],
    });
    expect(replay.changes).toHaveLength(2);
  });

  it('sees enrolment as it was recorded or as it is today, and a token always as it was', async () => {
    const service = await startService(await open());
    const { tokens, nodes, requests } = service;
    await nodes.enrol({ name: 'node-a' }, admin);
    const created = await tokens.create({}, admin);
    const who = await authenticated(service, created);
    await (
      await requests.submit(who, draft(kubeletClient, nodeSubject('node-a')))
    ).settled;
    await tokens.revoke(created.token.id, admin);
    await nodes.delete('node-a', admin);
    const recorded = await requests.replay({ policy: policy(), since: 0, facts: 'recorded' });
    expect(recorded.before).toEqual({ approve: 1 });
    const today = await requests.replay({ policy: policy(), since: 0, facts: 'today' });
    expect(today.before).toEqual({ hold: 1 });
  });

  it('looks back as far as it is told, and forgets what is kept for longer than configured', async () => {
    const service = await startService(await open());
    await someRequests(service);
    await deleteAll(service);
    const now = service.clock.now().getTime();
    const later = await service.requests.replay({ policy: policy(), since: now + 1, facts: 'recorded' });
    expect(later.requests).toBe(0);
    service.clock.set(now + 20 * dayMs);
    await service.requests.prunePast();
    const counted = async (): Promise<number> =>
      (await service.store.db.selectFrom('past_requests').select('digest').execute()).length;
    expect(await counted()).toBe(4);
    service.clock.set(now + 32 * dayMs);
    await service.requests.prunePast();
    expect(await counted()).toBe(0);
  });

  it('runs one at a time', async () => {
    const service = await startService(await open());
    await someRequests(service);
    const options = { policy: policy(), since: 0, facts: 'recorded' } as const;
    const first = service.requests.replay(options);
    await expect(service.requests.replay(options)).rejects.toMatchObject({ code: 'too-many-requests' });
    await first;
    await service.requests.replay(options);
  });
});
