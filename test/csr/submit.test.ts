import { X509Certificate } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { admin, auditActions, minuteMs, startRooms } from '../identity/rooms.js';
import type { Store } from '../../src/store/types.js';
import { newEcKey, publicDer } from '../support/pkcs10.js';
import { describeEachStore } from '../support/stores.js';
import {
  administrator,
  apiserverClient,
  authenticated,
  clientUsages,
  conditionOf,
  draft,
  eventually,
  kubeletClient,
  kubeletServing,
  memberIdentity,
  nodeIdentity,
  nodeSubject,
  type Service,
  startService,
  stored,
} from './support.js';

const bound = (service: Service, name: string) =>
  service.tokens.create({ node: { name, addresses: [], dnsNames: [] } }, admin);
const serving = (node: string, ...ips: string[]) => ({ ...nodeSubject(node), dns: [node], ips });

describeEachStore('submit', (open) => {
  it('gives a bound token the client certificate of its node, in two writes', async () => {
    const store = await open();
    const service = await startService(store);
    const key = newEcKey();
    const who = await authenticated(service, await bound(service, 'node-a'));
    const before = await store.revision();
    const submitted = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a'), {}, key));
    expect(submitted.request.status).toEqual({});
    expect(JSON.parse(submitted.text)).toEqual(submitted.request);
    const settled = await submitted.settled;
    const certificate = new X509Certificate(Buffer.from(settled.request.status.certificate ?? '', 'base64'));
    expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:node-a');
    expect(certificate.publicKey.export({ format: 'der', type: 'spki' })).toEqual(publicDer(key));
    expect(conditionOf(settled.request, 'Approved')).toEqual({
      reason: 'AutoApproved',
      message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
    });
    expect(settled.text).toBe(await service.requests.get(submitted.request.metadata.name));
    expect(await store.revision()).toBe(before + 2);
    const record = await service.ca.certificates.get(settled.issued?.prepared.serial ?? '');
    expect(record).toMatchObject({
      node: 'node-a',
      profile: kubeletClient,
      ring: 'kubernetes',
      tokenId: who.token?.id,
    });
    expect((await auditActions(store)).slice(-2)).toEqual(['request.approved', 'certificate.issued']);
  });

  it('denies a bound token another node, with both names, and does not use it up', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await bound(service, 'node-a'));
    const denied = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-b')));
    const condition = conditionOf(denied.request, 'Denied');
    expect(condition?.reason).toBe('NotEntitled');
    expect(condition?.message).toContain('"node-a"');
    expect(condition?.message).toContain('"node-b"');
    const again = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    expect((await again.settled).issued).toBeDefined();
  });

  it('gives two at once with the same token two certificates, and bans the first', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await bound(service, 'node-a'));
    const both = await Promise.all(
      [1, 2].map(() => service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a'), {}, newEcKey()))),
    );
    const serials = await Promise.all(both.map(async (one) => (await one.settled).issued?.prepared.serial ?? ''));
    const banned = serials.filter((serial) => service.bans.isBanned('kubernetes', serial, '') !== undefined);
    expect(new Set(serials).size).toBe(2);
    expect(banned).toHaveLength(1);
  });

  it('denies what the token is refused in the transaction that would use it', async () => {
    const service = await startService(await open());
    const created = await bound(service, 'node-a');
    const who = await authenticated(service, created);
    await service.tokens.revoke(created.token.id, admin);
    const late = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    expect(conditionOf(late.request, 'Denied')?.message).toContain('revoked');
    expect((await late.settled).issued).toBeUndefined();
    const ledger = await service.store.db
      .selectFrom('ledger')
      .selectAll()
      .where('request_name', 'is not', null)
      .execute();
    expect(ledger).toEqual([]);
  });

  it('holds an unbound token for a node that is not enrolled, and approves as soon as it is', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await service.tokens.create({}, admin));
    const held = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-x')));
    expect(held.request.status).toEqual({});
    expect(held.request.metadata.annotations).toEqual({
      'rotunda.dev/hold-reason': expect.stringContaining('"node-x" is not enrolled') as string,
      'rotunda.dev/retry-at': '2026-11-23T12:01:00Z',
    });
    await service.nodes.enrol({ name: 'node-x' }, admin);
    await service.requests.reconsider({ node: 'node-x' });
    const { name } = held.request.metadata;
    await expect.poll(async () => (await stored(service, name)).status.certificate).toBeDefined();
    expect((await stored(service, name)).metadata.annotations).toBeUndefined();
  });

  it('issues once although many look at the same request at once', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await service.tokens.create({}, admin));
    const held = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-x')));
    const { name } = held.request.metadata;
    await service.nodes.enrol({ name: 'node-x' }, admin);
    await Promise.all(Array.from({ length: 8 }, () => service.requests.reconsider({ node: 'node-x' })));
    await expect.poll(async () => (await stored(service, name)).status.certificate).toBeDefined();
    const ledger = await service.store.db
      .selectFrom('ledger')
      .select('state')
      .where('request_name', '=', name)
      .execute();
    expect(ledger).toEqual([{ state: 'issued' }]);
    expect(await service.store.db.selectFrom('bans').selectAll().execute()).toEqual([]);
  });

  it('looks at a held request again when its time has come, and waits longer each time', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await service.tokens.create({}, admin));
    const { request } = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-x')));
    const retryAt = async () =>
      (await stored(service, request.metadata.name)).metadata.annotations?.['rotunda.dev/retry-at'];
    await service.requests.reconsider({ due: true });
    expect(await retryAt()).toBe('2026-11-23T12:01:00Z');
    service.clock.set(service.clock.now().getTime() + 10 * minuteMs);
    await service.requests.reconsider({ due: true });
    await expect.poll(retryAt).toBe('2026-11-23T12:20:00Z');
  });

  it('lets a node renew itself, and refuses it another name before it is stored', async () => {
    const service = await startService(await open());
    const renewal = await service.requests.submit(nodeIdentity('node-a'), draft(kubeletClient, nodeSubject('node-a')));
    const { request } = await renewal.settled;
    expect(conditionOf(request, 'Approved')?.message).toBe(
      'Auto approving self kubelet client certificate after SubjectAccessReview.',
    );
    const foreign = service.requests.submit(nodeIdentity('node-a'), draft(kubeletClient, nodeSubject('node-b')));
    await expect(foreign).rejects.toMatchObject({
      code: 'forbidden',
      message: 'can only create a node CSR with CN=system:node:node-a',
    });
  });

  it('denies a node that is disabled its renewal', async () => {
    const service = await startService(await open());
    await service.nodes.enrol({ name: 'node-a' }, admin);
    await service.nodes.disable('node-a', { actor: admin });
    const { request } = await service.requests.submit(
      nodeIdentity('node-a'),
      draft(kubeletClient, nodeSubject('node-a')),
    );
    expect(conditionOf(request, 'Denied')?.message).toContain('system:node:node-a is banned');
  });

  it('approves serving names that are enrolled, holds others with their names, and approves once they are enrolled', async () => {
    const service = await startService(await open());
    await service.nodes.enrol({ name: 'node-a', addresses: ['10.0.0.1'] }, admin);
    const who = nodeIdentity('node-a');
    const good = await (
      await service.requests.submit(who, draft(kubeletServing, serving('node-a', '10.0.0.1')))
    ).settled;
    expect(good.issued?.prepared.order.names).toEqual([
      { kind: 'dns', value: 'node-a' },
      { kind: 'ip', value: '10.0.0.1' },
    ]);
    const held = await service.requests.submit(who, draft(kubeletServing, serving('node-a', '10.0.0.1', '10.0.0.2')));
    expect(held.request.metadata.annotations?.['rotunda.dev/hold-reason']).toBe(
      'not enrolled for the node "node-a": IP 10.0.0.2 (rotunda node update node-a --add-address 10.0.0.2)',
    );
    await service.nodes.update('node-a', { addresses: ['10.0.0.1', '10.0.0.2'] }, admin);
    await service.requests.reconsider({ node: 'node-a' });
    const { name } = held.request.metadata;
    await expect.poll(async () => (await stored(service, name)).status.certificate).toBeDefined();
  });

  it('approves what is enrolled between the look at the facts and the write', async () => {
    const store = await open();
    const rooms = await startRooms(store);
    let enrolled = false;
    const racing: Store = {
      ...store,
      write: async (work) => {
        if (!enrolled) {
          enrolled = true;
          await rooms.nodes.enrol({ name: 'node-a', addresses: ['10.0.0.1'] }, admin);
        }
        return store.write(work);
      },
    };
    const service = await startService(racing, { rooms });
    const asked = draft(kubeletServing, serving('node-a', '10.0.0.1'));
    const { request } = await service.requests.submit(nodeIdentity('node-a'), asked);
    expect(request.metadata.annotations?.['rotunda.dev/hold-reason']).toContain('is not enrolled');
    const issued = await eventually(service, request.metadata.name, (seen) => seen.status.certificate !== undefined);
    expect(issued.metadata.annotations).toBeUndefined();
  });

  it('gives an etcd member its certificates within its names, and none of another member', async () => {
    const service = await startService(await open());
    await service.etcd.create({ name: 'main', clientNames: ['app'] }, admin);
    for (const [name, ip] of [
      ['m1', '10.1.0.1'],
      ['m2', '10.1.0.2'],
    ] as const) {
      await service.etcd.addMember(
        'main',
        { name, peerUrls: [`https://${ip}:2380`], clientUrls: [`https://${ip}:2379`] },
        admin,
      );
    }
    const who = await authenticated(
      service,
      await service.tokens.create({ etcdMember: { cluster: 'main', name: 'm1' } }, admin),
    );
    const usages = ['digital signature', 'server auth', 'client auth'];
    const own = { subject: [['CN', 'm1']] as const, dns: ['localhost'], ips: ['10.1.0.1'] };
    for (const profile of ['peer', 'server']) {
      const { issued } = await (
        await service.requests.submit(who, draft(`etcd.rotunda.dev/${profile}`, own, { usages }))
      ).settled;
      expect(issued?.prepared.order).toMatchObject({ ring: 'etcd', cluster: 'main', member: 'm1' });
    }
    const client = await (
      await service.requests.submit(who, draft('etcd.rotunda.dev/client', { subject: [['CN', 'app']] }))
    ).settled;
    expect(client.issued?.prepared.order).toMatchObject({ cluster: 'main' });
    expect(client.issued?.prepared.order.member).toBeUndefined();
    const foreign = await service.requests.submit(
      memberIdentity('main', 'm1'),
      draft('etcd.rotunda.dev/peer', { ...own, ips: ['10.1.0.2'] }, { usages }),
    );
    expect(conditionOf(foreign.request, 'Denied')?.message).toContain('belong to the etcd member "main/m2"');
  });

  it('stores what a person asks for exactly as upstream, and never signs for signers that it does not serve', async () => {
    const service = await startService(await open());
    for (const signer of ['example.com/custom', apiserverClient, kubeletClient]) {
      const { request, settled, warnings } = await service.requests.submit(
        administrator,
        draft(signer, nodeSubject('node-a')),
      );
      expect(request).toEqual({
        metadata: {
          name: request.metadata.name,
          uid: request.metadata.uid,
          resourceVersion: request.metadata.resourceVersion,
          creationTimestamp: '2026-11-23T12:00:00Z',
        },
        spec: {
          request: request.spec.request,
          signerName: signer,
          usages: clientUsages,
          username: 'admin',
          groups: ['rotunda:admins', 'system:authenticated'],
        },
        status: {},
      });
      expect(warnings).toEqual([]);
      expect((await settled).issued).toBeUndefined();
    }
  });

  it('refuses system:masters, taken names and bad requests before anything is stored', async () => {
    const service = await startService(await open());
    const masters = draft(apiserverClient, {
      subject: [
        ['O', 'system:masters'],
        ['CN', 'eve'],
      ],
    });
    await expect(service.requests.submit(administrator, masters)).rejects.toMatchObject({
      code: 'forbidden',
      message: 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    });
    const first = draft('example.com/custom', nodeSubject('node-a'));
    await service.requests.submit(administrator, first);
    await expect(service.requests.submit(administrator, first)).rejects.toMatchObject({ code: 'already-exists' });
    await expect(service.requests.submit(administrator, first, { dryRun: true })).rejects.toMatchObject({
      code: 'already-exists',
    });
    await expect(service.requests.submit(administrator, { ...first, spec: {} })).rejects.toMatchObject({
      code: 'invalid',
    });
  });

  it('makes names up as upstream does', async () => {
    const service = await startService(await open());
    const generated = {
      ...draft('example.com/custom', nodeSubject('node-a')),
      metadata: { generateName: `csr-${'x'.repeat(70)}` },
    };
    const { request } = await service.requests.submit(administrator, generated);
    expect(request.metadata.name).toMatch(new RegExp(`^csr-${'x'.repeat(54)}[bcdfghjklmnpqrstvwxz2456789]{5}$`));
    expect(request.metadata.generateName).toBe(generated.metadata.generateName);
  });

  it('a dry run stores nothing', async () => {
    const service = await startService(await open());
    const { request, text } = await service.requests.submit(
      nodeIdentity('node-a'),
      draft(kubeletClient, nodeSubject('node-a')),
      { dryRun: true },
    );
    expect(text).not.toContain('resourceVersion');
    await expect(service.requests.get(request.metadata.name)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describeEachStore('approval by a person', (open) => {
  it('issues behind the answer, fact rules overridden and recorded with the names', async () => {
    const service = await startService(await open());
    const { request } = await service.requests.submit(
      administrator,
      draft(kubeletServing, serving('node-q', '10.9.9.9')),
    );
    const { name } = request.metadata;
    const approved = JSON.parse(
      await service.requests.decide(name, 'Approved', { identity: administrator, message: 'I know it' }),
    ) as typeof request;
    expect(conditionOf(approved, 'Approved')).toEqual({ reason: 'RotundaApprove', message: 'I know it' });
    expect(approved.status.certificate).toBeUndefined();
    const issued = await eventually(service, name, ({ status }) => status.certificate !== undefined);
    expect(issued.status.conditions).toHaveLength(1);
    const rows = await service.store.db
      .selectFrom('audit_events')
      .selectAll()
      .where('name', '=', name)
      .orderBy('sequence')
      .execute();
    expect(rows.map((row) => [row.action, row.actor])).toEqual([
      ['request.held', 'admin'],
      ['request.approved', 'admin'],
      ['request.issuing', 'admin'],
      ['certificate.issued', 'system:rotunda'],
    ]);
    const detail = JSON.parse(rows[2]?.detail ?? '{}') as { names: string[]; overridden: string[] };
    expect(detail.names).toEqual(['dns:node-q', 'ip:10.9.9.9']);
    expect(detail.overridden.join()).toContain('names-enrolled');
  });

  it.each([
    [
      kubeletClient,
      { subject: [['CN', 'system:node:node-a']] as const },
      clientUsages,
      'subject organization is not system:nodes',
    ],
    [
      kubeletClient,
      nodeSubject('node-a'),
      ['client auth'],
      'usages did not match [client auth digital signature key encipherment]',
    ],
    [
      kubeletServing,
      nodeSubject('node-a'),
      ['digital signature', 'server auth'],
      'DNS or IP subjectAltName is required',
    ],
    [
      apiserverClient,
      { subject: [['CN', 'bob']] as const },
      ['digital signature'],
      'missing required usage for client certificate: client auth',
    ],
    [
      'rotunda.dev/client',
      {
        subject: [
          ['O', 'dev'],
          ['CN', 'bob'],
        ] as const,
      },
      ['client auth'],
      'subject organization is not exactly one of "rotunda:admins", "rotunda:operators", "rotunda:viewers"',
    ],
  ])('a hard rule of %s stands: Failed', async (signer, content, usages, message) => {
    const service = await startService(await open());
    const { request } = await service.requests.submit(administrator, draft(signer, content, { usages }));
    await service.requests.decide(request.metadata.name, 'Approved', { identity: administrator });
    const failed = await eventually(service, request.metadata.name, ({ status }) => status.conditions?.length === 2);
    expect(conditionOf(failed, 'Failed')).toEqual({ reason: 'SignerValidationFailure', message });
    expect(failed.status.certificate).toBeUndefined();
  });

  it('a banned node gets nothing by approval either', async () => {
    const service = await startService(await open());
    await service.nodes.enrol({ name: 'node-a' }, admin);
    await service.nodes.disable('node-a', { actor: admin });
    const { request } = await service.requests.submit(administrator, draft(kubeletClient, nodeSubject('node-a')));
    await service.requests.decide(request.metadata.name, 'Approved', { identity: administrator });
    const failed = await eventually(service, request.metadata.name, ({ status }) => status.conditions?.length === 2);
    expect(conditionOf(failed, 'Failed')?.message).toContain('banned');
  });

  it('only administrators give the service its own clients, and etcd its root', async () => {
    const service = await startService(await open());
    const olga = {
      ...administrator,
      username: 'olga',
      groups: ['rotunda:operators'],
      roles: ['operator', 'authenticated'] as const,
    };
    const root = { subject: [['CN', 'root']] as const };
    const viewer = {
      subject: [
        ['O', 'rotunda:viewers'],
        ['CN', 'vera'],
      ] as const,
    };
    for (const [signer, content] of [
      ['etcd.rotunda.dev/client', root],
      ['rotunda.dev/client', viewer],
    ] as const) {
      const { request } = await service.requests.submit(administrator, draft(signer, content));
      await expect(
        service.requests.decide(request.metadata.name, 'Approved', { identity: olga }),
      ).rejects.toMatchObject({ code: 'forbidden' });
      await service.requests.decide(request.metadata.name, 'Approved', { identity: administrator });
      await eventually(service, request.metadata.name, ({ status }) => status.certificate !== undefined);
    }
  });

  it('a signer that is not served stays approved without a certificate', async () => {
    const service = await startService(await open());
    const { request } = await service.requests.submit(
      administrator,
      draft('example.com/custom', nodeSubject('node-a')),
    );
    await service.requests.decide(request.metadata.name, 'Approved', { identity: administrator });
    await service.requests.reconsider();
    expect((await stored(service, request.metadata.name)).status.certificate).toBeUndefined();
  });
});

describe('truncation', () => {
  describeEachStore('is said', (open) => {
    it('in a warning, in the condition and in the record', async () => {
      const service = await startService(await open());
      const submitted = await service.requests.submit(
        nodeIdentity('node-a'),
        draft(kubeletClient, nodeSubject('node-a'), { expirationSeconds: 34_560_000 }),
      );
      expect(submitted.warnings).toEqual([
        'spec.expirationSeconds: kubernetes.io/kube-apiserver-client-kubelet gives at most 31536000 seconds, not 34560000',
      ]);
      const { request } = await submitted.settled;
      expect(conditionOf(request, 'Approved')?.message).toContain('were cut to 31536000 s');
      const row = await service.store.db
        .selectFrom('audit_events')
        .select('detail')
        .where('action', '=', 'certificate.issued')
        .executeTakeFirstOrThrow();
      expect(row.detail).toContain('were cut to 31536000 s');
    });
  });
});
