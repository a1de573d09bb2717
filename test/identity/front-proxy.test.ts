import { expect, test } from 'vitest';

import { createFrontProxies, type FrontProxies } from '../../src/identity/front-proxy.js';
import { type FrontProxyTrust, readCaBundle, standardHeaderNames } from '../../src/identity/front-proxy-source.js';
import { createProxiedIdentities, type ProxiedIdentities } from '../../src/identity/proxied-identity.js';
import type { ClaimedUser } from '../../src/identity/request-headers.js';
import { logger } from '../ca/support.js';
import { describeEachStore } from '../support/stores.js';
import { type Authority, crossSigned, makeAuthority, makeLeaf, pemOf } from './forge.js';
import {
  admin,
  auditActions,
  dayMs,
  hourMs,
  issueLeaf,
  issueNodeLeaf,
  type Rooms,
  start,
  startRooms,
  subject,
  topology,
} from './rooms.js';

const window = { notBefore: start - dayMs, notAfter: start + dayMs };
const alice = ['Host', 'rotunda', 'X-Remote-User', 'alice'];
const otherRings = ['kubernetes', 'etcd', 'rotunda'];

function trustIn(cas: readonly Buffer[], change: Partial<FrontProxyTrust> = {}): FrontProxyTrust {
  return {
    origin: 'test',
    cas: readCaBundle(cas.map(pemOf).join(''), 'test'),
    allowedNames: ['front-proxy-client'],
    headerNames: standardHeaderNames,
    ...change,
  };
}

function proxiesFor(rooms: Rooms, sources: readonly (() => FrontProxyTrust | undefined)[]): FrontProxies {
  const ports = sources.map((current) => ({ current }));
  return createFrontProxies({ ...rooms, sources: ports, ring: 'front-proxy', otherRings, logger });
}

async function speaks(
  proxies: FrontProxies,
  certificate: Buffer,
  { raw = alice, chain = [] }: { raw?: readonly string[]; chain?: readonly Buffer[] } = {},
): Promise<string | undefined> {
  return (await proxies.userOf({ certificate, chain, rawHeaders: raw }))?.username;
}

const leafOf = (issuer: Authority, name = 'front-proxy-client'): Promise<Buffer> =>
  makeLeaf({ name, ...window }, issuer);

describeEachStore('front proxies', (open) => {
  test('are those of every source, each with its own names and headers', async () => {
    const rooms = await startRooms(await open());
    const [ca, other] = [await makeAuthority({ name: 'a', ...window }), await makeAuthority({ name: 'b', ...window })];
    const headerNames = { ...standardHeaderNames, username: ['X-User'] };
    const proxies = proxiesFor(rooms, [
      () => trustIn([ca.der], { allowedNames: ['first'] }),
      () => undefined,
      () => trustIn([ca.der, other.der], { allowedNames: ['second'], headerNames }),
    ]);
    const both = [...alice, 'X-User', 'bob'];
    expect(await speaks(proxies, await leafOf(ca, 'first'), { raw: both })).toBe('alice');
    expect(await speaks(proxies, await leafOf(ca, 'second'), { raw: both })).toBe('bob');
    expect(await speaks(proxies, await leafOf(other, 'second'), { raw: both })).toBe('bob');
    expect(await speaks(proxies, await leafOf(other, 'first'), { raw: both })).toBeUndefined();
    expect(await speaks(proxies, await leafOf(ca, 'third'), { raw: both })).toBeUndefined();
  });

  test('follow their source on connections that are open', async () => {
    const rooms = await startRooms(await open());
    const [ca, next] = [await makeAuthority({ name: 'a', ...window }), await makeAuthority({ name: 'b', ...window })];
    let trust: FrontProxyTrust | undefined;
    const proxies = proxiesFor(rooms, [() => trust]);
    const [before, after] = [await leafOf(ca), await leafOf(next)];
    const seen = () => Promise.all([speaks(proxies, before), speaks(proxies, after)]);
    expect(await seen()).toEqual([undefined, undefined]);
    trust = trustIn([ca.der]);
    expect(await seen()).toEqual(['alice', undefined]);
    trust = trustIn([ca.der, next.der]);
    expect(await seen()).toEqual(['alice', 'alice']);
    trust = trustIn([next.der], { allowedNames: [] });
    expect(await seen()).toEqual([undefined, undefined]);
    trust = trustIn([next.der]);
    expect(await seen()).toEqual([undefined, 'alice']);
    rooms.clock.set(window.notAfter + 1000);
    expect(await seen()).toEqual([undefined, undefined]);
  });

  test('are none of another ring, whichever way its CA comes into a source or a chain', async () => {
    const rooms = await startRooms(await open());
    const der = (ring: string): Buffer[] => rooms.ca.bundle(ring).anchors.map((anchor) => anchor.der);
    const own = await issueLeaf(rooms, { ...subject('front-proxy-client'), ring: 'front-proxy' });
    const corporate = await makeAuthority({ name: 'root', ...window });
    const chain = [await crossSigned(der('front-proxy')[0] ?? own.der, window, corporate)];
    expect(await speaks(proxiesFor(rooms, [() => trustIn([corporate.der])]), own.der, { chain })).toBe('alice');
    for (const ring of otherRings) {
      const { der: leaf } = await issueLeaf(rooms, { ...subject('front-proxy-client'), ring });
      expect(await speaks(proxiesFor(rooms, [() => trustIn(der(ring))]), leaf)).toBeUndefined();
      const root = await makeAuthority({ name: 'root', ...window });
      const [anchor = Buffer.alloc(0)] = der(ring);
      const crossed = await crossSigned(anchor, window, root);
      expect(await speaks(proxiesFor(rooms, [() => trustIn([root.der])]), leaf, { chain: [crossed] })).toBeUndefined();
      const mixed = proxiesFor(rooms, [() => trustIn([root.der, ...der(ring)])]);
      expect(await speaks(mixed, leaf, { chain: der(ring) })).toBeUndefined();
      expect(await speaks(mixed, await leafOf(root))).toBeUndefined();
    }
  });

  test('of the service’s own ring can be banned, from wherever its CA was learnt, and use their token up', async () => {
    const rooms = await startRooms(await open());
    const published = trustIn(rooms.ca.bundle('front-proxy').anchors.map((anchor) => anchor.der));
    const proxies = proxiesFor(rooms, [() => published]);
    const { token } = await rooms.tokens.create({ controlPlane: 'cp1' }, admin);
    const profile = 'kubeadm.rotunda.dev/front-proxy-client';
    const { der, prepared } = await issueLeaf(rooms, {
      ...subject('front-proxy-client'),
      ...{ ring: 'front-proxy', profile, tokenId: token.id },
    });
    const claim = { tokenId: token.id, profile, serial: prepared.serial, now: start };
    await rooms.store.write((tx) => rooms.tokens.claim(tx, claim));
    expect(await speaks(proxies, der)).toBe('alice');
    expect(await auditActions(rooms.store)).toContain('token.used');
    await rooms.revocation.revoke(prepared.serial, { actor: admin });
    expect(await speaks(proxies, der)).toBeUndefined();
  });
});

const credential = (fingerprint: string): ClaimedUser['extra'] => ({
  'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`],
});

function user(username: string, groups: readonly string[], extra: ClaimedUser['extra'] = {}): ClaimedUser {
  return { username, uid: '', groups, extra };
}

describeEachStore('users of an API server', (open) => {
  const opened = async (): Promise<{ rooms: Rooms; identities: ProxiedIdentities }> => {
    const rooms = await startRooms(await open());
    return { rooms, identities: createProxiedIdentities({ ...rooms, topology }) };
  };
  const node = ['system:nodes', 'system:authenticated'];
  const bootstrappers = ['system:bootstrappers', 'system:authenticated'];

  test('never have a role or a group of this service', async () => {
    const { identities } = await opened();
    const groups = ['rotunda:admins', 'rotunda:operators', 'system:masters'];
    const told = await identities.identityOf(user('admin', groups));
    expect(told).toMatchObject({ kind: 'user', groups: ['system:masters', 'system:authenticated'] });
    expect(told.roles).toEqual(['proxied', 'proxied-admin', 'authenticated']);
    expect(told.proxied).toEqual({ rings: ['kubernetes'] });
    for (const name of ['system:rotunda', 'rotunda:x'])
      await expect(identities.identityOf(user(name, []))).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('are what a certificate of the ring says, when the API server names it', async () => {
    const { rooms, identities } = await opened();
    const { token } = await rooms.tokens.create({ node: { name: 'n1', addresses: [], dnsNames: [] } }, admin);
    const { fingerprint, prepared } = await issueNodeLeaf(rooms, 'n1', token.id);
    const told = await identities.identityOf(user('system:node:n1', node, credential(fingerprint)));
    expect(told).toMatchObject({
      node: 'n1',
      ring: 'kubernetes',
      certificate: { serial: prepared.serial, fingerprint },
    });
    expect((await rooms.tokens.get(token.id)).state).toBe('used');
    await rooms.revocation.revoke(prepared.serial, { actor: admin });
    await expect(identities.identityOf(user('system:node:n1', node, credential(fingerprint)))).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining(`certificate ${prepared.serial} of system:node:n1 is banned`) as string,
    });
  });

  test('are not what somebody else’s certificate says, nor one that is not named properly', async () => {
    const { rooms, identities } = await opened();
    const { token } = await rooms.tokens.create({ node: { name: 'n1', addresses: [], dnsNames: [] } }, admin);
    const { fingerprint } = await issueNodeLeaf(rooms, 'n1', token.id);
    const key = 'authentication.kubernetes.io/credential-id';
    const { fingerprint: etcds } = await issueLeaf(rooms, {
      ...subject('system:node:n1', 'system:nodes'),
      ring: 'etcd',
    });
    for (const [name, extra] of [
      ['system:node:n2', credential(fingerprint)],
      ['system:node:n1', credential(fingerprint.toUpperCase())],
      ['system:node:n1', { [key]: [`X509SHA256=${fingerprint}`, 'x'] }],
      ['system:node:n1', { [key]: [] }],
      ['system:node:n1', credential(etcds)],
    ] as const) {
      const told = await identities.identityOf(user(name, node, extra));
      expect(told.certificate).toBeUndefined();
    }
    expect((await rooms.tokens.get(token.id)).state).toBe('active');
  });

  test('are tokens by their id, as long as these live', async () => {
    const { rooms, identities } = await opened();
    const { token } = await rooms.tokens.create(
      { ttlMs: hourMs, node: { name: 'n1', addresses: [], dnsNames: [] } },
      admin,
    );
    const bootstrap = user(`system:bootstrap:${token.id}`, bootstrappers);
    expect(await identities.identityOf(bootstrap)).toMatchObject({
      kind: 'token',
      groups: bootstrappers,
      token: { id: token.id, kind: 'node', node: 'n1' },
      roles: ['proxied', 'bootstrapper', 'authenticated'],
    });
    expect(await identities.identityOf(user(bootstrap.username, ['system:authenticated']))).toMatchObject({
      kind: 'user',
    });
    expect(await identities.identityOf(user('system:bootstrap:ABCDEF', bootstrappers))).toMatchObject({ kind: 'user' });
    const unknown = await identities.identityOf(user('system:bootstrap:zzzzzz', bootstrappers));
    expect(unknown.token).toEqual({
      ...{ id: 'zzzzzz', kind: 'unbound', reusable: true, state: 'active', claims: {} },
      foreign: true,
    });
    // The API server still has the right to authenticate that was taken here.
    const signs = (await rooms.tokens.create({ usages: ['authentication', 'signing'] }, admin)).token;
    await rooms.tokens.change(signs.id, (now) => ({ ...now.token, usages: ['signing'] }), admin, { dryRun: false });
    await expect(identities.identityOf(user(`system:bootstrap:${signs.id}`, bootstrappers))).rejects.toThrow(
      'does not authenticate',
    );
    rooms.clock.set(start + 2 * hourMs);
    await expect(identities.identityOf(bootstrap)).rejects.toThrow(`bootstrap token ${token.id} has expired`);
  });
});
