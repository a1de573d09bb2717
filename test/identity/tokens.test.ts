import { expect, test } from 'vitest';

import { isTokenGroup, makeToken, parseToken } from '../../src/identity/token-format.js';
import type { TokenDraft } from '../../src/identity/types.js';
import { describeEachStore } from '../support/stores.js';
import {
  admin,
  auditActions,
  dayMs,
  hourMs,
  issueLeaf,
  issueNodeLeaf,
  operator,
  refusalOf,
  start,
  startRooms,
  subject,
  type Rooms,
} from './rooms.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const worker = { name: 'worker-1', addresses: ['10.0.0.1'], dnsNames: [] };
const kubeadmGroup = 'system:bootstrappers:kubeadm:default-node-token';

test('tokens have the form of Kubernetes and no other', () => {
  expect(parseToken('abcdef.0123456789abcdef')).toEqual({ id: 'abcdef', secret: '0123456789abcdef' });
  for (const bad of [
    '',
    'abcdef',
    'abcdef.0123456789abcde',
    'abcdef.0123456789abcdef\n',
    'Abcdef.0123456789abcdef',
    'abcdef:0123456789abcdef',
    ' abcdef.0123456789abcdef',
  ]) {
    expect(parseToken(bad)).toBeUndefined();
  }
  expect(isTokenGroup('system:bootstrappers:a')).toBe(true);
  for (const bad of [
    'system:bootstrappers',
    'system:bootstrappers:',
    'system:masters',
    'system:bootstrappers:a:',
    'system:bootstrappers:a\n',
    `system:bootstrappers:${'a'.repeat(257)}`,
  ]) {
    expect(isTokenGroup(bad)).toBe(false);
  }
});

test('made-up tokens drop the bytes that would favour some characters', () => {
  const stream = [
    ...Array.from({ length: 40 }, () => 252),
    255,
    254,
    253,
    ...Array.from({ length: 400 }, (_, i) => i % 252),
  ];
  const made = makeToken({ bytes: (count) => Buffer.from(stream.splice(0, count)) });
  expect(made.id).toBe('abcdef');
  expect(parseToken(`${made.id}.${made.secret}`)).toEqual(made);
});

describeEachStore('tokens', (open) => {
  test('a bound token enrols its node and authenticates as its bootstrap user', async () => {
    const { tokens, nodes, store, changed } = await startRooms(await open());
    const { token, secret } = await tokens.create({ node: worker }, operator);
    expect(token).toMatchObject({
      kind: 'node',
      node: 'worker-1',
      groups: [],
      usages: ['authentication'],
      state: 'active',
      expiresAt: start + hourMs,
      createdBy: 'olga',
    });
    expect((await nodes.get('worker-1')).addresses).toEqual(['10.0.0.1']);
    expect(changed).toEqual([{ node: 'worker-1' }]);
    expect(await tokens.authenticate(token.id, secret)).toEqual({
      kind: 'token',
      username: `system:bootstrap:${token.id}`,
      uid: '',
      groups: ['system:bootstrappers', 'system:authenticated'],
      extra: {},
      token: { id: token.id, kind: 'node', node: 'worker-1', reusable: false, state: 'active', claims: {} },
      roles: ['bootstrapper', 'authenticated'],
    });
    const rows = JSON.stringify([
      await store.db.selectFrom('tokens').selectAll().execute(),
      await store.db.selectFrom('audit_events').selectAll().execute(),
    ]);
    expect(rows).not.toContain(secret);
    expect(JSON.stringify(await tokens.list())).not.toContain(secret);
  });

  test('an unbound token is what kubeadm makes: a day, its group, both usages; groups sorted as upstream does', async () => {
    const { tokens } = await startRooms(await open());
    const plain = await tokens.create({ token: 'abcdef.0123456789abcdef' }, operator);
    expect(plain).toMatchObject({
      secret: '0123456789abcdef',
      token: { id: 'abcdef', kind: 'unbound', expiresAt: start + dayMs },
    });
    expect((await tokens.authenticate('abcdef', '0123456789abcdef'))?.groups).toEqual([
      'system:bootstrappers',
      kubeadmGroup,
      'system:authenticated',
    ]);
    expect(await tokens.signers()).toEqual([{ id: 'abcdef', secret: '0123456789abcdef' }]);
    await expect(tokens.create({ token: 'abcdef.aaaaaaaaaaaaaaaa' }, operator)).rejects.toEqual(code('already-exists'));

    const groups = ['system:bootstrappers:z', 'system:bootstrappers:a', 'system:bootstrappers:z'];
    const { token, secret } = await tokens.create({ groups, usages: ['authentication'] }, operator);
    expect((await tokens.authenticate(token.id, secret))?.groups).toEqual([
      'system:bootstrappers',
      'system:bootstrappers:a',
      'system:bootstrappers:z',
      'system:authenticated',
    ]);
    const signing = await tokens.create({ usages: ['signing'] }, operator);
    expect(await tokens.authenticate(signing.token.id, signing.secret)).toBeUndefined();
    await tokens.revoke('abcdef', operator);
    expect((await tokens.signers()).map((signer) => signer.id)).toEqual([signing.token.id]);
  });

  test('drafts that break a rule', async () => {
    const { tokens, nodes } = await startRooms(await open());
    const invalid: TokenDraft[] = [
      { node: { ...worker, name: 'Worker' } },
      { node: worker, controlPlane: 'cp-1' },
      { node: worker, ttlMs: 0 },
      { node: worker, ttlMs: -1 },
      { node: worker, ttlMs: 366 * dayMs },
      { node: worker, ttlMs: 0.5 },
      { controlPlane: 'CP' },
      { controlPlane: 'cp-1', reusable: true },
      { controlPlane: 'cp-1', ttlMs: 0 },
      { reusable: true },
      { groups: ['system:masters'] },
      { usages: [] },
      { token: 'abcdef.short' },
      { description: 'a\nb' },
    ];
    for (const draft of invalid)
      await expect(tokens.create(draft, admin), JSON.stringify(draft)).rejects.toEqual(code('invalid'));
    await expect(tokens.create({ controlPlane: 'cp-1' }, operator)).rejects.toEqual(code('forbidden'));
    await expect(tokens.create({ etcdMember: { cluster: 'main', name: 'e0' } }, operator)).rejects.toEqual(
      code('not-found'),
    );
    expect(await tokens.list()).toEqual([]);
    expect((await nodes.list({ limit: 10 })).items).toEqual([]);
    expect(await tokens.create({ node: worker, ttlMs: 0, reusable: true }, operator)).toMatchObject({
      token: { expiresAt: undefined },
    });
    expect(await tokens.create({ ttlMs: 0 }, operator)).toMatchObject({ token: { expiresAt: undefined } });
    expect(await tokens.create({ controlPlane: 'cp-1' }, admin)).toMatchObject({
      token: { kind: 'control-plane', node: 'cp-1' },
    });
  });

  test('a wrong, unknown, revoked or expired token is nobody, whichever way the clock jumps', async () => {
    const { tokens, clock, authenticator } = await startRooms(await open());
    const { token, secret } = await tokens.create({ node: worker }, operator);
    const wrong = secret.startsWith('a') ? `b${secret.slice(1)}` : `a${secret.slice(1)}`;
    expect(await tokens.authenticate(token.id, wrong)).toBeUndefined();
    expect(await tokens.authenticate('zzzzzz', secret)).toBeUndefined();
    expect(await refusalOf(authenticator.authenticate({ authorization: `Bearer ${token.id}.${wrong}` }))).toContain(
      'not valid',
    );
    clock.set(start + hourMs - 1);
    expect(await tokens.authenticate(token.id, secret)).toBeDefined();
    clock.set(start + hourMs);
    expect(await tokens.authenticate(token.id, secret)).toBeUndefined();
    expect(await tokens.facts(token.id)).toBeUndefined();
    expect((await tokens.get(token.id)).state).toBe('expired');
    clock.set(start - dayMs);
    expect(await tokens.authenticate(token.id, secret)).toBeDefined();
    clock.set(start);
    await tokens.revoke(token.id, operator);
    expect(await tokens.authenticate(token.id, secret)).toBeUndefined();
    expect((await tokens.revoke(token.id, operator)).state).toBe('revoked');
    await expect(tokens.revoke('zzzzzz', operator)).rejects.toEqual(code('not-found'));
    await expect(tokens.get('zzzzzz')).rejects.toEqual(code('not-found'));
  });

  test('one row cannot carry the hash of another', async () => {
    const { tokens, store } = await startRooms(await open());
    const good = await tokens.create({ token: 'aaaaaa.0123456789abcdef' }, operator);
    await tokens.create({ token: 'bbbbbb.bbbbbbbbbbbbbbbb' }, operator);
    const { secret_hash: stolen } = await store.db
      .selectFrom('tokens')
      .select('secret_hash')
      .where('id', '=', 'aaaaaa')
      .executeTakeFirstOrThrow();
    await store.write((tx) =>
      tx.db.updateTable('tokens').set({ secret_hash: stolen }).where('id', '=', 'bbbbbb').execute(),
    );
    expect(await tokens.authenticate('aaaaaa', good.secret)).toBeDefined();
    expect(await tokens.authenticate('bbbbbb', good.secret)).toBeUndefined();
  });

  test('used up when its certificate first authenticates, and not before', async () => {
    const rooms = await startRooms(await open());
    const { tokens, authenticator, nodes, store } = rooms;
    const { token, secret } = await tokens.create({ node: worker }, operator);
    const first = await issueNodeLeaf(rooms, 'worker-1', token.id);
    // The kubelet still watches its own request with the token.
    expect(await tokens.authenticate(token.id, secret)).toMatchObject({
      token: { claims: { 'kubernetes.io/kube-apiserver-client-kubelet': { serial: first.prepared.serial, count: 1 } } },
    });
    const second = await issueNodeLeaf(rooms, 'worker-1', token.id);
    expect(await refusalOf(authenticator.authenticate({ certificate: first.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: second.der });
    expect(await tokens.authenticate(token.id, secret)).toBeUndefined();
    expect(await tokens.facts(token.id)).toMatchObject({ state: 'used' });
    expect((await nodes.get('worker-1')).state).toBe('joined');
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id)).rejects.toThrow('used up');
    await authenticator.authenticate({ certificate: second.der });
    const actions = await auditActions(store);
    expect(actions.filter((action) => action === 'token.used')).toHaveLength(1);
    expect(actions.filter((action) => action === 'token.certificate-replaced')).toHaveLength(1);
    expect(actions.filter((action) => action === 'node.joined')).toHaveLength(1);
  });

  test('at most five replacements', async () => {
    const rooms = await startRooms(await open());
    const { tokens, authenticator } = rooms;
    const { token } = await tokens.create({ node: worker }, operator);
    const given = [];
    for (let i = 0; i < 6; i += 1) given.push(await issueNodeLeaf(rooms, 'worker-1', token.id));
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id)).rejects.toThrow('5 times');
    const [last, ...banned] = given.toReversed();
    for (const leaf of banned)
      expect(await refusalOf(authenticator.authenticate({ certificate: leaf.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: last?.der ?? Buffer.alloc(0) });
  });

  test('a claim needs a live token', async () => {
    const rooms = await startRooms(await open());
    const { tokens, clock } = rooms;
    const { token } = await tokens.create({ node: worker }, operator);
    clock.set(start + 2 * hourMs);
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id)).rejects.toThrow('expired');
    const revoked = await tokens.create({ node: worker }, operator);
    await tokens.revoke(revoked.token.id, operator);
    await expect(issueNodeLeaf(rooms, 'worker-1', revoked.token.id)).rejects.toThrow('revoked');
    await expect(issueNodeLeaf(rooms, 'worker-1', 'zzzzzz')).rejects.toThrow('does not exist');
    const disabled = await tokens.create({ node: worker }, operator);
    await rooms.nodes.disable('worker-1', { actor: operator });
    await expect(issueNodeLeaf(rooms, 'worker-1', disabled.token.id)).rejects.toThrow('disabled');
  });

  test('claims and a first use at once: whichever comes first, one certificate is left and it counts', async () => {
    const rooms = await startRooms(await open());
    const { tokens, authenticator } = rooms;
    for (let round = 0; round < 5; round += 1) {
      const { token } = await tokens.create({ node: { ...worker, name: `worker-${String(round)}` } }, operator);
      const first = await issueNodeLeaf(rooms, `worker-${String(round)}`, token.id);
      const [used, replaced] = await Promise.allSettled([
        authenticator.authenticate({ certificate: first.der }),
        issueNodeLeaf(rooms, `worker-${String(round)}`, token.id),
      ]);
      const firstWorks =
        (await Promise.allSettled([authenticator.authenticate({ certificate: Buffer.from(first.der) })]))[0].status ===
        'fulfilled';
      expect([used.status, replaced.status].sort()).toEqual(['fulfilled', 'rejected']);
      expect(firstWorks).toBe(used.status === 'fulfilled');
    }
  });

  test('a reusable token goes on, and bans only what was never used', async () => {
    const rooms = await startRooms(await open());
    const { tokens, authenticator } = rooms;
    const { token, secret } = await tokens.create({ node: worker, reusable: true }, operator);
    const first = await issueNodeLeaf(rooms, 'worker-1', token.id);
    await authenticator.authenticate({ certificate: first.der });
    const lost = await issueNodeLeaf(rooms, 'worker-1', token.id);
    const third = await issueNodeLeaf(rooms, 'worker-1', token.id);
    await authenticator.authenticate({ certificate: first.der });
    expect(await refusalOf(authenticator.authenticate({ certificate: lost.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: third.der });
    expect(await tokens.authenticate(token.id, secret)).toBeDefined();
    for (let i = 0; i < 7; i += 1) await issueNodeLeaf(rooms, 'worker-1', token.id);
  });

  test('a member token is used up profile by profile', async () => {
    const rooms = await startRooms(await open());
    const { tokens, authenticator, etcd, store, ca } = rooms;
    await etcd.create({ name: 'main' }, operator);
    await etcd.addMember('main', { name: 'e0', peerUrls: ['https://e0:2380'], clientUrls: [] }, operator);
    const { token, secret } = await tokens.create({ etcdMember: { cluster: 'main', name: 'e0' } }, operator);
    expect(token).toMatchObject({ kind: 'etcd-member', cluster: 'main', member: 'e0' });
    const issueMember = async (rooms_: Rooms, profile: string) => {
      const leaf = await issueLeaf(rooms_, {
        ring: 'etcd',
        profile,
        ...subject('e0'),
        node: '',
        cluster: 'main',
        member: 'e0',
        tokenId: token.id,
      });
      await store.write((tx) =>
        tokens.claim(tx, { tokenId: token.id, profile, serial: leaf.prepared.serial, now: start }),
      );
      return leaf;
    };
    const peer = await issueMember(rooms, 'etcd.rotunda.dev/peer');
    await authenticator.authenticate({ certificate: peer.der });
    await expect(issueMember(rooms, 'etcd.rotunda.dev/peer')).rejects.toThrow('used up');
    expect(await tokens.authenticate(token.id, secret)).toMatchObject({ token: { state: 'active' } });
    const server = await issueMember(rooms, 'etcd.rotunda.dev/server');
    const again = await issueMember(rooms, 'etcd.rotunda.dev/server');
    expect(await refusalOf(authenticator.authenticate({ certificate: server.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: again.der });
    await authenticator.authenticate({ certificate: peer.der });
    expect((await ca.certificates.get(server.prepared.serial)).revocationReason).toBe('superseded');
    expect((await tokens.get(token.id)).usedAt).toBe(start);
  });
});
