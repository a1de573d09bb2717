import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { clients, problem } from './service.js';

let service: TestService;
let by: Record<'admin' | 'anonymous' | 'bootstrapper', TestClient>;

beforeAll(async () => {
  service = await startTestService();
  by = await clients(service);
});
afterAll(async () => service.stop());

const reads = [
  'rings',
  'rings/etcd',
  'authorities',
  'requests',
  'certificates',
  'tokens',
  'nodes',
  'nodes/n',
  'etcd-clusters',
  'etcd-clusters/c',
  'etcd-clusters/c/members',
  'etcd-clusters/c/members/m',
  'whoami',
];
const writes = [
  ['POST', 'nodes'],
  ['POST', 'node-imports'],
  ['PATCH', 'nodes/n'],
  ['DELETE', 'nodes/n'],
  ['POST', 'nodes/n/disable'],
  ['POST', 'nodes/n/enable'],
  ['POST', 'nodes/n/replace'],
  ['POST', 'tokens'],
  ['DELETE', 'tokens/abcdef'],
  ['POST', 'etcd-clusters'],
  ['PATCH', 'etcd-clusters/c'],
  ['DELETE', 'etcd-clusters/c'],
  ['POST', 'etcd-clusters/c/members'],
  ['PATCH', 'etcd-clusters/c/members/m'],
  ['DELETE', 'etcd-clusters/c/members/m'],
  ['POST', 'certificates/01/revoke'],
  ['POST', 'requests/r/approve'],
  ['POST', 'requests/r/deny'],
  ['DELETE', 'requests/r'],
] as const;

describe('anonymous callers', () => {
  it.each(reads)('are not told about %s', async (path) => {
    const answer = await by.anonymous.send('GET', `/pki/v1/${path}`);
    expect(answer.status).toBe(401);
    expect(problem(answer).code).toBe('unauthorized');
    expect(answer.headers['www-authenticate']).toContain('Bearer');
  });

  it.each([...writes, ['POST', 'requests'] as const])('may not %s %s', async (method, path) => {
    const answer = await by.anonymous.send(method, `/pki/v1/${path}`, { body: {} });
    expect(answer.status).toBe(401);
  });

  it('read bundles', async () => {
    for (const ring of ['kubernetes', 'etcd', 'front-proxy', 'rotunda']) {
      const answer = await by.anonymous.send('GET', `/pki/v1/rings/${ring}/bundle`);
      expect(answer.status).toBe(200);
      expect(answer.json<{ ring: string }>().ring).toBe(ring);
    }
  });
});

describe('a bootstrap token', () => {
  it.each(reads.filter((path) => path !== 'requests' && path !== 'whoami'))('may not read %s', async (path) => {
    const answer = await by.bootstrapper.send('GET', `/pki/v1/${path}`);
    expect(answer.status).toBe(403);
    expect(problem(answer)).toMatchObject({ code: 'forbidden', hint: expect.stringContaining('whoami') as string });
  });

  it.each(writes)('may not %s %s', async (method, path) => {
    const answer = await by.bootstrapper.send(method, `/pki/v1/${path}`, { body: {} });
    expect(answer.status).toBe(403);
  });

  it('that is wrong is refused and not taken for nobody', async () => {
    const wrong = service.client({ token: 'abcdef.0123456789abcdef' });
    for (const path of ['rings', 'whoami', 'rings/etcd/bundle']) {
      expect((await wrong.send('GET', `/pki/v1/${path}`)).status).toBe(401);
    }
  });
});

it('tells callers who they are', async () => {
  const admin = (await by.admin.send('GET', '/pki/v1/whoami')).json();
  expect(admin).toMatchObject({
    username: 'admin',
    ring: 'rotunda',
    kind: 'certificate',
    roles: expect.arrayContaining(['admin']) as unknown,
  });
  const token = (await by.bootstrapper.send('GET', '/pki/v1/whoami')).json<{ username: string; token: string }>();
  expect(token.username).toBe(`system:bootstrap:${token.token}`);
});
