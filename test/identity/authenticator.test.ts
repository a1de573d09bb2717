import { expect, test } from 'vitest';

import type { LeafOrder } from '../../src/ca/types.js';
import type { Topology } from '../../src/config/types.js';
import { createBans } from '../../src/identity/bans.js';
import type { Store } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';
import { altered, resigned } from './forge.js';
import {
  admin,
  auditActions,
  dayMs,
  issueLeaf,
  issueNodeLeaf,
  minuteMs,
  operator,
  refusalOf,
  start,
  startRooms,
  subject,
  topology,
} from './rooms.js';

const anonymous = {
  kind: 'anonymous',
  username: 'system:anonymous',
  uid: '',
  groups: ['system:unauthenticated'],
  extra: {},
  roles: ['anonymous'],
};
const person = { profile: 'kubernetes.io/kube-apiserver-client', node: '' };

describeEachStore('authentication', (open) => {
  test('a node by its certificate, as upstream reads one', async () => {
    const rooms = await startRooms(await open());
    const { der, fingerprint, prepared } = await issueLeaf(rooms);
    expect(await rooms.authenticator.authenticate({ certificate: der })).toEqual({
      kind: 'certificate',
      username: 'system:node:worker-1',
      uid: '',
      groups: ['system:nodes', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
      ring: 'kubernetes',
      certificate: { serial: prepared.serial, fingerprint, notAfter: prepared.order.notAfter },
      node: 'worker-1',
      roles: ['node', 'authenticated'],
    });
    expect((await rooms.ca.certificates.get(prepared.serial)).firstUsedAt).toBe(start);
  });

  test('people and programs of Kubernetes, and the service’s own', async () => {
    const rooms = await startRooms(await open());
    const who = async (order: Partial<LeafOrder>) => {
      const { der } = await issueLeaf(rooms, { ...person, ...order });
      const { username, groups, roles, node } = await rooms.authenticator.authenticate({ certificate: der });
      return { username, groups, roles, node };
    };
    expect(await who(subject('alice', 'dev', 'ops'))).toMatchObject({
      username: 'alice',
      groups: ['dev', 'ops', 'system:authenticated'],
      roles: ['authenticated'],
    });
    expect(await who(subject('system:node:x'))).toMatchObject({ roles: ['authenticated'], node: undefined });
    expect(await who(subject('system:node:', 'system:nodes'))).toMatchObject({
      roles: ['authenticated'],
      node: undefined,
    });
    expect(
      await who({ ...subject('root', 'system:masters'), profile: 'kubeadm.rotunda.dev/super-admin' }),
    ).toMatchObject({ roles: ['cluster-admin', 'authenticated'] });
    const own = { ring: 'rotunda', profile: 'rotunda.dev/client' };
    expect(await who({ ...own, ...subject('admin', 'rotunda:admins') })).toEqual({
      username: 'admin',
      groups: ['rotunda:admins', 'system:authenticated'],
      roles: ['admin', 'authenticated'],
      node: undefined,
    });
    expect(await who({ ...own, ...subject('o', 'rotunda:operators') })).toMatchObject({
      roles: ['operator', 'authenticated'],
    });
    expect(await who({ ...own, ...subject('v', 'rotunda:viewers') })).toMatchObject({
      roles: ['viewer', 'authenticated'],
    });
    expect(await who({ ...own, ...subject('n', 'rotunda:constructor') })).toMatchObject({ roles: ['authenticated'] });
    expect(await who({ ...own, ...subject('m', 'team') })).toMatchObject({
      groups: ['team', 'system:authenticated'],
      roles: ['authenticated'],
    });
  });

  test('the same name from another ring is nobody, whatever it says', async () => {
    // Makes the rings sign what their own rules refuse, as a mistaken or imported authority could.
    const rooms = await startRooms(await open(), { ca: { rotundaRing: 'kubernetes' } });
    const { authenticator } = rooms;
    const node = { ...subject('system:node:worker-1', 'system:nodes'), node: '' };
    for (const ring of ['etcd', 'front-proxy', 'rotunda']) {
      const { der } = await issueLeaf(rooms, { ...node, ring });
      expect(await refusalOf(authenticator.authenticate({ certificate: der })), ring).toMatch(
        /no member's|authenticates nobody|does not vouch/,
      );
    }
    const masters = await issueLeaf(rooms, { ...person, ...subject('alice', 'system:masters'), ring: 'rotunda' }).catch(
      (error: unknown) => error,
    );
    if (
      !(masters instanceof Error) &&
      typeof masters === 'object' &&
      masters !== null &&
      'der' in masters &&
      Buffer.isBuffer(masters.der)
    ) {
      expect(await authenticator.authenticate({ certificate: masters.der })).toMatchObject({
        groups: ['system:authenticated'],
        roles: ['authenticated'],
      });
    }
    const { der } = await issueLeaf(rooms, { ...person, ...subject('mallory', 'rotunda:admins', 'dev') });
    expect(await authenticator.authenticate({ certificate: der })).toMatchObject({
      groups: ['dev', 'system:authenticated'],
      roles: ['authenticated'],
    });
  });

  test('names that are given by other means are given by no certificate', async () => {
    const rooms = await startRooms(await open());
    for (const name of [
      'system:rotunda',
      'system:anonymous',
      'system:bootstrap:abcdef',
      'rotunda:etcd-member:main:e0',
    ]) {
      const { der } = await issueLeaf(rooms, { ...person, ...subject(name) });
      expect(await refusalOf(rooms.authenticator.authenticate({ certificate: der }))).toContain('gives the name');
    }
    const nameless = await issueLeaf(rooms, { ...person, ...subject('', 'dev') });
    expect(await refusalOf(rooms.authenticator.authenticate({ certificate: nameless.der }))).toContain(
      'no common name',
    );
  });

  test('an etcd member by the serial in the inventory, not by its name', async () => {
    const rooms = await startRooms(await open());
    const etcd = { ring: 'etcd', profile: 'etcd.rotunda.dev/peer', ...subject('anything'), node: '' };
    const member = await issueLeaf(rooms, { ...etcd, cluster: 'main', member: 'e0' });
    expect(await rooms.authenticator.authenticate({ certificate: member.der })).toMatchObject({
      username: 'rotunda:etcd-member:main:e0',
      groups: ['system:authenticated'],
      member: { cluster: 'main', name: 'e0' },
      roles: ['member', 'authenticated'],
    });
    const client = await issueLeaf(rooms, { ...etcd, ...subject('e0'), cluster: 'main' });
    expect(await refusalOf(rooms.authenticator.authenticate({ certificate: client.der }))).toContain('no member');
  });

  test('without the inventory’s row, as after a restore, names still count and members do not', async () => {
    const rooms = await startRooms(await open());
    const node = await issueLeaf(rooms);
    const own = await issueLeaf(rooms, {
      ring: 'rotunda',
      profile: 'rotunda.dev/client',
      ...subject('admin', 'rotunda:admins'),
    });
    const member = await issueLeaf(rooms, {
      ring: 'etcd',
      profile: 'etcd.rotunda.dev/peer',
      ...subject('e0'),
      node: '',
      cluster: 'main',
      member: 'e0',
    });
    await rooms.store.write(async (tx) => {
      await tx.db.deleteFrom('certificate_names').execute();
      await tx.db.deleteFrom('certificates').execute();
    });
    expect((await rooms.authenticator.authenticate({ certificate: node.der })).node).toBe('worker-1');
    expect((await rooms.authenticator.authenticate({ certificate: own.der })).roles).toContain('admin');
    expect(await refusalOf(rooms.authenticator.authenticate({ certificate: member.der }))).toContain('no member');
  });

  test('validity counts at every request, both ends included', async () => {
    const rooms = await startRooms(await open());
    const { authenticator, clock } = rooms;
    const { der } = await issueLeaf(rooms, { notBefore: start, notAfter: start + dayMs });
    for (const good of [start, start + dayMs, start + minuteMs]) {
      clock.set(good);
      await authenticator.authenticate({ certificate: der });
    }
    for (const bad of [start - 1000, start + dayMs + 1000]) {
      clock.set(bad);
      expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('is valid from');
      expect(await refusalOf(authenticator.authenticate({ certificate: Buffer.from(der) }))).toContain('is valid from');
    }
    clock.set(start);
    await authenticator.authenticate({ certificate: der });
  });

  test('foreign and altered certificates', async () => {
    const rooms = await startRooms(await open());
    const { authenticator } = rooms;
    const { der } = await issueLeaf(rooms);
    await authenticator.authenticate({ certificate: der });
    expect(await refusalOf(authenticator.authenticate({ certificate: resigned(der) }))).toContain('no current anchor');
    expect(
      await refusalOf(authenticator.authenticate({ certificate: altered(der, 'worker-1', 'worker-2') })),
    ).toContain('no current anchor');
    const server = await issueLeaf(rooms, { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] });
    expect(await refusalOf(authenticator.authenticate({ certificate: server.der }))).toContain('not for client');
    expect(await refusalOf(authenticator.authenticate({ certificate: Buffer.from('x') }))).toContain('cannot be read');
    const anchor = rooms.ca.bundle('kubernetes').anchors[0];
    expect(await refusalOf(authenticator.authenticate({ certificate: anchor?.der ?? Buffer.alloc(0) }))).toContain(
      'CA certificate',
    );
    const elsewhere = await startRooms(await open());
    const foreign = await issueLeaf(elsewhere);
    expect(await refusalOf(authenticator.authenticate({ certificate: foreign.der }))).toContain('no current anchor');
  });

  test('revoking counts at once, on the same connection', async () => {
    const rooms = await startRooms(await open());
    const { authenticator, revocation, store } = rooms;
    const { der, prepared } = await issueLeaf(rooms);
    const other = await issueLeaf(rooms);
    await authenticator.authenticate({ certificate: der });
    await authenticator.authenticate({ certificate: der });
    const serial = prepared.serial.toUpperCase().replace(/..(?=.)/g, '$&:');
    await revocation.revoke(serial, { actor: operator, reason: 'keyCompromise' });
    expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('keyCompromise');
    expect(await refusalOf(authenticator.authenticate({ certificate: Buffer.from(der) }))).toContain('keyCompromise');
    await authenticator.authenticate({ certificate: other.der });
    expect(await rooms.ca.certificates.get(prepared.serial)).toMatchObject({
      revokedAt: start,
      revocationReason: 'keyCompromise',
    });
    await revocation.revoke(prepared.serial, { actor: operator });
    expect((await auditActions(store)).filter((action) => action === 'certificate.revoked')).toHaveLength(1);
    await expect(revocation.revoke('00', { actor: operator })).rejects.toMatchObject({ code: 'not-found' });
    await expect(revocation.revoke(prepared.serial, { actor: operator, reason: 'whim' })).rejects.toMatchObject({
      code: 'invalid',
    });
    // A fresh process reads the bans that are stored.
    const again = await createBans({ store });
    expect(again.isBanned('kubernetes', prepared.serial, '')).toMatchObject({
      reason: 'keyCompromise',
      createdBy: 'olga',
    });
    expect(again.isBanned('etcd', prepared.serial, '')).toBeUndefined();
  });

  test('another replica hears of bans by the change feed', async () => {
    const rooms = await startRooms(await open());
    const replica = await createBans({ store: rooms.store });
    await rooms.nodes.enrol({ name: 'worker-1' }, operator);
    const isBanned = () => replica.isBanned('kubernetes', '01', 'system:node:worker-1') !== undefined;
    for (let round = 0; round < 3; round += 1) {
      await rooms.nodes.disable('worker-1', { actor: operator });
      await expect.poll(isBanned).toBe(true);
      await rooms.nodes.enable('worker-1', operator);
      await expect.poll(isBanned).toBe(false);
    }
  });

  test('a late echo of a ban does not undo that it was lifted', async () => {
    const { store } = await startRooms(await open());
    const late: (() => void)[] = [];
    const subscribe: Store['feed']['subscribe'] = (options, listener) =>
      store.feed.subscribe(options, (change) => {
        late.push(() => {
          listener(change);
        });
      });
    const bans = await createBans({ store: { ...store, feed: { ...store.feed, subscribe } } });
    const ban = {
      kind: 'identity',
      ring: 'kubernetes',
      value: 'eve',
      reason: 'x',
      createdAt: 0,
      createdBy: 'x',
    } as const;
    await store.write((tx) => bans.add(tx, ban));
    expect(bans.isBanned('kubernetes', '', 'eve')).toEqual(ban);
    await store.write((tx) => bans.remove(tx, 'identity', 'kubernetes', 'eve'));
    await expect.poll(() => late.length).toBe(2);
    late[0]?.();
    expect(bans.isBanned('kubernetes', '', 'eve')).toBeUndefined();
  });

  test('a ban whose write fails is no ban', async () => {
    const rooms = await startRooms(await open());
    const ban = { kind: 'serial', ring: 'kubernetes', value: '01', reason: 'x', createdAt: 0, createdBy: 'x' } as const;
    const failing = rooms.store.write(async (tx) => {
      await rooms.bans.add(tx, ban);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(rooms.bans.isBanned('kubernetes', '01', '')).toBeUndefined();
  });

  test('certificate and token: any good one counts, a bad one alone is an error', async () => {
    const rooms = await startRooms(await open());
    const { authenticator, tokens } = rooms;
    const { token, secret } = await tokens.create({}, operator);
    const good = `Bearer ${token.id}.${secret}`;
    const bad = `Bearer ${token.id}.aaaaaaaaaaaaaaaa`;
    const { der } = await issueLeaf(rooms);
    const forged = resigned(der);
    const who = async (certificate: Buffer | undefined, authorization: string | undefined) => {
      const credentials = {
        ...(certificate && { certificate }),
        ...(authorization !== undefined && { authorization }),
      };
      return (await authenticator.authenticate(credentials)).username;
    };
    const node = 'system:node:worker-1';
    const bootstrap = `system:bootstrap:${token.id}`;
    expect(await authenticator.authenticate({})).toEqual(anonymous);
    expect(await who(der, undefined)).toBe(node);
    expect(await who(der, good)).toBe(node);
    expect(await who(der, bad)).toBe(node);
    expect(await who(undefined, good)).toBe(bootstrap);
    expect(await who(undefined, `  bEaReR ${token.id}.${secret} more `)).toBe(bootstrap);
    expect(await who(forged, good)).toBe(bootstrap);
    for (const none of ['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer ', '', 'nonsense'])
      expect(await who(undefined, none)).toBe('system:anonymous');
    for (const [certificate, authorization] of [
      [forged, undefined],
      [forged, bad],
      [undefined, bad],
      [undefined, 'Bearer x'],
      [forged, 'Basic x'],
    ] as const) {
      const credentials = {
        ...(certificate && { certificate }),
        ...(authorization !== undefined && { authorization }),
      };
      await expect(authenticator.authenticate(credentials)).rejects.toMatchObject({
        code: 'unauthorized',
        message: 'Unauthorized',
      });
    }
  });

  test('a renewal of a disabled node is refused before it can be asked for', async () => {
    const rooms = await startRooms(await open());
    const { tokens, nodes, authenticator } = rooms;
    const { token } = await tokens.create({ node: { name: 'worker-1', addresses: [], dnsNames: [] } }, operator);
    const first = await issueNodeLeaf(rooms, 'worker-1', token.id);
    await authenticator.authenticate({ certificate: first.der });
    const renewed = await issueLeaf(rooms, { requester: 'system:node:worker-1' });
    await nodes.disable('worker-1', { actor: admin });
    for (const leaf of [first, renewed])
      expect(await refusalOf(authenticator.authenticate({ certificate: leaf.der }))).toContain('disabled');
  });

  test('rings that are one serve every purpose they have', async () => {
    const shared: Topology = {
      ...topology,
      etcdPeer: 'kubernetes',
      etcdServer: 'kubernetes',
      etcdClient: 'kubernetes',
      frontProxy: 'kubernetes',
    };
    const rooms = await startRooms(await open(), { topology: shared });
    const node = await issueLeaf(rooms);
    const member = await issueLeaf(rooms, { ...subject('e0'), node: '', cluster: 'main', member: 'e0' });
    expect((await rooms.authenticator.authenticate({ certificate: node.der })).roles).toEqual([
      'node',
      'authenticated',
    ]);
    expect((await rooms.authenticator.authenticate({ certificate: member.der })).roles).toEqual([
      'member',
      'authenticated',
    ]);
  });
});
