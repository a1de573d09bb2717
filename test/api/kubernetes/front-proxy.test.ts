import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { headersOf, proxyClient, type ProxiedUser, type ProxyClient, ringLeaf } from '../../support/front-proxy.js';
import { exchange } from '../../support/raw-http.js';
import { startTestService, type TestService, type TlsCredential } from '../../support/service.js';
import { type Authority, makeAuthority, makeCredential, pemOf } from '../../identity/forge.js';

const whoami = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const alice: ProxiedUser = { user: 'alice', groups: ['dev', 'system:authenticated'] };
const day = 86_400_000;

type UserInfo = { username: string; uid?: string; groups: string[]; extra?: Record<string, string[]> };

let started: TestService;
let proxy: ProxyClient;
let leaf: TlsCredential;
const clients: ProxyClient[] = [];

beforeAll(async () => {
  started = await startTestService();
  leaf = await ringLeaf(started);
  proxy = open(leaf);
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await started.stop();
});

function open(credential?: TlsCredential, service = started, connections?: number): ProxyClient {
  const client = proxyClient(service, credential, connections);
  clients.push(client);
  return client;
}

/** Who the service takes this request for; its status where that is nobody. */
async function seenAs(
  client: ProxyClient,
  user: ProxiedUser,
  headers: readonly string[] = [],
): Promise<UserInfo | number> {
  const answer = await client.as(user, 'POST', whoami, {
    body: { kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1' },
    headers,
  });
  return answer.status === 201 ? answer.json<{ status: { userInfo: UserInfo } }>().status.userInfo : answer.status;
}

async function nameSeen(client: ProxyClient, user: ProxiedUser = alice, headers: readonly string[] = []) {
  const seen = await seenAs(client, user, headers);
  return typeof seen === 'number' ? seen : seen.username;
}

describe('what a front proxy says', () => {
  test('user, uid, groups and extra are as told', async () => {
    const told = {
      user: 'alice',
      uid: '7f',
      groups: ['dev', 'a, b', 'system:authenticated'],
      extra: { 'example.org/scopes': ['a,b', 'c'], 'authentication.kubernetes.io/credential-id': ['JTI=1'] },
    };
    expect(await seenAs(proxy, told)).toEqual({
      username: 'alice',
      uid: '7f',
      groups: ['dev', 'a, b', 'system:authenticated'],
      extra: told.extra,
    });
  });

  test('system:authenticated is added where no group says whether', async () => {
    expect(await seenAs(proxy, { user: 'bob' })).toEqual({ username: 'bob', groups: ['system:authenticated'] });
    expect(await seenAs(proxy, { user: 'bob', groups: ['dev'] })).toMatchObject({
      groups: ['dev', 'system:authenticated'],
    });
    const nobody = { user: 'system:anonymous', groups: ['system:unauthenticated'] };
    expect((await proxy.as(nobody, 'GET', collection)).status).toBe(200);
  });

  test('names are UTF-8, and what is none is refused', async () => {
    expect(await nameSeen(proxy, { user: 'zoë' })).toBe('zoë');
    expect(await nameSeen(proxy, {}, ['X-Remote-User', 'zo\xeb'])).toBe(401);
    expect(await nameSeen(proxy, alice, ['X-Remote-Group', '\xff'])).toBe(401);
  });

  test('extra keys are decoded, in lower case; what does not decode stays', async () => {
    const headers = [
      ...['X-Remote-Extra-Example.org%2FScopes', 'a'],
      ...['x-remote-extra-example.org%2fscopes', 'b'],
      ...['X-Remote-Extra-50%', 'c'],
      ...['X-Remote-Extra-__proto__', 'd'],
    ];
    const seen = await seenAs(proxy, alice, headers);
    expect(Object.entries((seen as UserInfo).extra ?? {})).toEqual([
      ['example.org/scopes', ['a', 'b']],
      ['50%', ['c']],
      ['__proto__', ['d']],
    ]);
  });

  test('thousands of groups are all there, or the request is refused whole', async () => {
    const groups = [...Array.from({ length: 3000 }, (_, i) => `group-${String(i)}`), 'system:authenticated'];
    expect(await seenAs(proxy, { user: 'alice', groups })).toMatchObject({ groups });
    expect(await nameSeen(proxy, { user: 'alice', groups: [...groups, ...groups] })).toBe(431);
  });

  test.each<[string, string[]]>([
    ['the user twice', ['X-Remote-User', 'alice', 'X-Remote-User', 'bob']],
    ['the user twice in other cases', ['X-Remote-User', 'alice', 'x-remote-USER', 'alice']],
    ['an empty user beside one', ['X-Remote-User', '', 'X-Remote-User', 'bob']],
    ['no user', ['X-Remote-Group', 'system:masters']],
    ['an empty user', ['X-Remote-User', '', 'X-Remote-Group', 'system:masters']],
    ['white space for a user', ['X-Remote-User', '  ', 'X-Remote-Group', 'system:masters']],
    ['underscores', ['X_Remote_User', 'root', 'X_Remote_Group', 'system:masters']],
    ['the uid twice', ['X-Remote-User', 'alice', 'X-Remote-Uid', '1', 'X-Remote-Uid', '2']],
  ])('%s is nobody', async (_title, headers) => {
    expect(await nameSeen(proxy, {}, headers)).toBe(401);
  });

  test('Connection takes no header away, and a token beside them does not count', async () => {
    const lines = ['Connection: X-Remote-User, X-Remote-Group', 'Authorization: Bearer abcdef.0123456789abcdef'];
    const [answer] = await exchange(started, leaf, [requestText(alice, lines)]);
    expect(answer?.status).toBe(201);
    expect(answer?.text).toContain('"username":"alice"');
  });

  test('its certificate alone is nobody', async () => {
    expect(await nameSeen(proxy, {})).toBe(401);
    const token = await started.service.context.tokens.create(
      { node: { name: 'n1', addresses: [], dnsNames: [] } },
      await started.service.context.authenticator.authenticate({}),
    );
    const headers = [
      'Authorization',
      `Bearer ${token.secret.length === 16 ? `${token.token.id}.${token.secret}` : token.secret}`,
    ];
    expect(await nameSeen(proxy, {}, headers)).toBe(`system:bootstrap:${token.token.id}`);
  });
});

function requestText(user: ProxiedUser, lines: readonly string[] = [], target = whoami): string {
  const body = JSON.stringify({ kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1' });
  const told = headersOf(user);
  const own = told.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${told[i + 1] ?? ''}`] : []));
  const fixed = ['Host: rotunda', 'Content-Type: application/json', `Content-Length: ${String(body.length)}`];
  return [`POST ${target} HTTP/1.1`, ...fixed, ...own, ...lines, '', body].join('\r\n');
}

describe('many users on one connection', () => {
  test('each request is its own user’s, whatever came before it', async () => {
    const single = open(leaf, started, 1);
    for (let round = 0; round < 5; round += 1) {
      const users = Array.from({ length: 40 }, (_, i) => `user-${String(round)}-${String(i)}`);
      const seen = await Promise.all(users.map((user) => nameSeen(single, { user, groups: [`of-${user}`] })));
      expect(seen).toEqual(users);
      expect(await nameSeen(single, {})).toBe(401);
    }
  });

  test('pipelined requests are told apart', async () => {
    const users = ['alice', 'bob', undefined, 'carol', 'alice'];
    const texts = users.map((user) => requestText(user === undefined ? {} : { user }));
    const answers = await exchange(started, leaf, texts);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 401, 201, 201]);
    expect(answers.map(({ text }) => /"username":"([^"]*)"/.exec(text)?.[1])).toEqual(users);
  });

  test('an absolute target is no way around', async () => {
    const texts = [
      requestText(alice, [], `https://elsewhere${whoami}`),
      requestText({}, [], `https://elsewhere${whoami}`),
    ];
    const [told, untold] = await exchange(started, leaf, texts);
    expect(told?.status).toBeLessThan(500);
    expect(told?.text).not.toContain('elsewhere"');
    expect(untold?.status).toBe(401);
  });
});

describe('the same headers from anybody else', () => {
  const masters: ProxiedUser = { user: 'root', groups: ['system:masters', 'rotunda:admins'] };

  test('without a certificate they are anonymous, or the token’s', async () => {
    const anonymous = open();
    expect((await anonymous.as(masters, 'GET', collection)).status).toBe(403);
    expect((await anonymous.as(masters, 'GET', collection)).text).toContain('system:anonymous');
    expect(await nameSeen(anonymous, masters, ['Authorization', 'Bearer abcdef.0123456789abcdef'])).toBe(401);
  });

  test('an administrator stays itself', async () => {
    expect(await nameSeen(open(started.admin), masters)).toBe('admin');
  });

  test.each<[string, Parameters<typeof ringLeaf>[1], string | number]>([
    ['a node', { ring: 'kubernetes', name: 'system:node:n1', organizations: ['system:nodes'] }, 'system:node:n1'],
    ['a user of that name in the kubernetes ring', { ring: 'kubernetes' }, 'front-proxy-client'],
    ['that name in the etcd ring', { ring: 'etcd' }, 401],
    ['that name in the service’s own ring', { ring: 'rotunda' }, 'front-proxy-client'],
    ['another name in the front-proxy ring', { name: 'front-proxy-client-2' }, 401],
    ['a serving certificate of the front-proxy ring', { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] }, 401],
  ])('%s', async (_title, change, seen) => {
    expect(await nameSeen(open(await ringLeaf(started, change)), masters)).toBe(seen);
  });

  test('a CA of the same name, and a certificate that signed itself', async () => {
    const window = { notBefore: Date.now() - day, notAfter: Date.now() + day };
    const { anchors } = started.service.context.ca.bundle('front-proxy');
    const name = anchors[0]?.subject.findLast(({ oid }) => oid === '2.5.4.3')?.value ?? '';
    const twin = await makeAuthority({ name, ...window });
    for (const issuer of [twin, { ...twin, name: 'front-proxy-client' }]) {
      const credential = await makeCredential({ name: 'front-proxy-client', ...window }, issuer);
      expect(await nameSeen(open(credential), masters)).toBe(401);
      const chained = { ...credential, cert: credential.cert + pemOf(twin.der) };
      expect(await nameSeen(open(chained), masters)).toBe(401);
    }
  });

  test('a front proxy is not believed from the moment that it is banned', async () => {
    const banned = await ringLeaf(started);
    const client = open(banned);
    expect(await nameSeen(client)).toBe('alice');
    await started.service.context.revocation.revoke(banned.issued.prepared.serial, {
      actor: await started.service.context.authenticator.authenticate({}),
    });
    expect(await nameSeen(client)).toBe(401);
    expect(await nameSeen(open(banned))).toBe(401);
  });
});

describe('a file of CAs', () => {
  let directory: string;
  let file: string;
  let ours: Authority;
  let service: TestService;
  const window = { notBefore: Date.now() - day, notAfter: Date.now() + day };

  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'rotunda-front-proxy-'));
    file = path.join(directory, 'front-proxy-ca.crt');
    ours = await makeAuthority({ name: 'front-proxy-ca', ...window });
    writeFileSync(file, `# kubeadm\n${pemOf(ours.der)}`);
    const frontProxy = { clientCAFile: file, allowedNames: ['aggregator', 'front-proxy-client'] };
    service = await startTestService({ config: { frontProxy } });
  });

  afterAll(async () => {
    await service.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const credential = (change: Partial<Parameters<typeof makeCredential>[0]> = {}, issuer = ours) =>
    makeCredential({ name: 'front-proxy-client', ...window, ...change }, issuer);

  test('its certificates of these names are believed, and the ring’s no longer', async () => {
    expect(await nameSeen(open(await credential(), service))).toBe('alice');
    expect(await nameSeen(open(await credential({ name: 'aggregator' }), service))).toBe('alice');
    expect(await nameSeen(open(await ringLeaf(service), service))).toBe(401);
    expect(await nameSeen(open(await credential(), service), {})).toBe(401);
  });

  test.each<[string, Partial<Parameters<typeof makeCredential>[0]>]>([
    ['another name', { name: 'Front-Proxy-Client' }],
    ['no name', { name: '' }],
    ['no usage', { extendedKeyUsages: [] }],
    ['for serving only', { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] }],
    ['expired', { notBefore: window.notBefore, notAfter: Date.now() - 1000 }],
    ['not valid yet', { notBefore: Date.now() + 60_000 }],
    ['a CA itself', { ca: true }],
  ])('not %s', async (_title, change) => {
    expect(await nameSeen(open(await credential(change), service))).toBe(401);
  });

  test('one intermediate may lie between', async () => {
    const between = await makeAuthority({ name: 'between', ...window }, ours);
    const below = await credential({}, between);
    expect(await nameSeen(open(below, service))).toBe(401);
    expect(await nameSeen(open({ ...below, cert: below.cert + pemOf(between.der) }, service))).toBe('alice');
  });

  test('it follows the file, keeps the last good one, and looks again on open connections', async () => {
    const next = await makeAuthority({ name: 'front-proxy-ca-2', ...window });
    const [before, after] = [open(await credential(), service), open(await credential({}, next), service)];
    const replace = async (text: string): Promise<void> => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
      await new Promise((resolve) => setTimeout(resolve, 1100));
    };
    expect([await nameSeen(before), await nameSeen(after)]).toEqual(['alice', 401]);
    await replace(pemOf(ours.der) + pemOf(next.der));
    expect([await nameSeen(before), await nameSeen(after)]).toEqual(['alice', 'alice']);
    for (const garbage of ['', 'garbage', pemOf(next.der).replace('MII', 'AAA'), (await credential()).cert]) {
      await replace(garbage);
      expect([await nameSeen(before), await nameSeen(after)]).toEqual(['alice', 'alice']);
    }
    await replace(pemOf(next.der));
    expect([await nameSeen(before), await nameSeen(after)]).toEqual([401, 'alice']);
    await replace(pemOf(ours.der));
    expect([await nameSeen(before), await nameSeen(after)]).toEqual(['alice', 401]);
  });

  test('a CA that signs other clients too makes no front proxy', async () => {
    const { anchors } = service.service.context.ca.bundle('kubernetes');
    const shared = await ringLeaf(service, { ring: 'kubernetes' });
    const client = open(shared, service);
    writeFileSync(`${file}.new`, anchors.map(({ der }) => pemOf(der)).join(''));
    renameSync(`${file}.new`, file);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await nameSeen(client, { user: 'root', groups: ['system:masters'] })).toBe('front-proxy-client');
  });

  test('a file that is not there stops the start, and says which', async () => {
    const frontProxy = { clientCAFile: path.join(directory, 'none.crt') };
    await expect(startTestService({ config: { frontProxy } })).rejects.toThrow(/frontProxy\.clientCAFile: .*none\.crt/);
  });
});

test('with a shared CA no header is believed', async () => {
  const topology = { frontProxy: 'kubernetes' };
  const service = await startTestService({ config: { topology, allowInsecureSharedCA: true } });
  try {
    const client = open(await ringLeaf(service, { ring: 'kubernetes' }), service);
    expect(await nameSeen(client)).toBe('front-proxy-client');
  } finally {
    await service.stop();
  }
});
