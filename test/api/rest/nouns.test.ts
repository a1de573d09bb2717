import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { problem } from './service.js';

let service: TestService;
let admin: TestClient;

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
});
afterAll(async () => service.stop());

const pem = { accept: 'application/pem-certificate-chain' };

describe('rings and authorities', () => {
  it('are listed in pages', async () => {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? '' : `&continue=${cursor}`;
      const page = (await admin.send('GET', `/pki/v1/rings?limit=3${query}`)).json<{
        items: { name: string }[];
        continue?: string;
      }>();
      names.push(...page.items.map(({ name }) => name));
      cursor = page.continue;
    } while (cursor !== undefined);
    expect(names).toEqual(['etcd', 'front-proxy', 'kubernetes', 'rotunda']);
  });

  it('are shown one by one, authorities also as PEM', async () => {
    const ring = (await admin.send('GET', '/pki/v1/rings/etcd')).json<{ activeAuthority: string }>();
    const path = `/pki/v1/authorities/${ring.activeAuthority}`;
    const authority = (await admin.send('GET', path)).json<{ ring: string; state: string }>();
    expect(authority).toMatchObject({ ring: 'etcd', state: 'active' });
    const chain = await admin.send('GET', path, { headers: pem });
    expect(chain.headers['content-type']).toBe('application/pem-certificate-chain');
    expect(new X509Certificate(chain.text).ca).toBe(true);
    const listed = (await admin.send('GET', '/pki/v1/authorities?ring=etcd')).json<{ items: unknown[] }>();
    expect(listed.items).toEqual([authority]);
  });

  it('that are not there are not found', async () => {
    for (const path of ['rings/nope', 'authorities/00', 'rings/nope/bundle', 'rings/etcd/bundles/99']) {
      const answer = await admin.send('GET', `/pki/v1/${path}`);
      expect([path, answer.status, problem(answer).code]).toEqual([path, 404, 'not-found']);
    }
  });
});

describe('bundles', () => {
  it('are cached by ETag, for each representation its own', async () => {
    const path = '/pki/v1/rings/etcd/bundle';
    const asJson = await admin.send('GET', path);
    const asPem = await admin.send('GET', path, { headers: pem });
    expect(asJson.headers['etag']).not.toBe(asPem.headers['etag']);
    const again = await admin.send('GET', path, { headers: { 'if-none-match': String(asJson.headers['etag']) } });
    expect([again.status, again.text]).toEqual([304, '']);
    const other = await admin.send('GET', path, {
      headers: { ...pem, 'if-none-match': String(asJson.headers['etag']) },
    });
    expect(other.status).toBe(200);
    expect(
      asJson
        .json<{ anchors: { pem: string }[] }>()
        .anchors.map((anchor) => anchor.pem)
        .join(''),
    ).toBe(asPem.text);
  });

  it('are kept by generation', async () => {
    const current = (await admin.send('GET', '/pki/v1/rings/etcd/bundle')).json<{ generation: number }>();
    const kept = await admin.send('GET', `/pki/v1/rings/etcd/bundles/${current.generation}`);
    expect(kept.json()).toEqual(current);
    expect(kept.headers['cache-control']).toContain('immutable');
  });

  it('are not given in types that they do not have', async () => {
    const answer = await admin.send('GET', '/pki/v1/rings/etcd/bundle', { headers: { accept: 'image/png' } });
    expect([answer.status, problem(answer).code]).toEqual([406, 'not-acceptable']);
  });
});

describe('nodes', () => {
  it('are enrolled, changed, disabled, enabled, replaced and deleted', async () => {
    const created = await admin.send('POST', '/pki/v1/nodes', {
      body: { name: 'n1', addresses: ['10.0.0.1'], labels: { zone: 'a' } },
    });
    expect([created.status, created.headers['location']]).toEqual([201, '/pki/v1/nodes/n1']);
    const changed = await admin.send('PATCH', '/pki/v1/nodes/n1', { body: { addresses: ['10.0.0.2'] } });
    expect(changed.json()).toMatchObject({ addresses: ['10.0.0.2'], labels: { zone: 'a' }, state: 'expected' });
    const disabled = await admin.send('POST', '/pki/v1/nodes/n1/disable', { body: { reason: 'stolen' } });
    expect(disabled.json()).toMatchObject({ state: 'disabled', disabledAt: expect.stringMatching(/Z$/) as string });
    const enabled = await admin.send('POST', '/pki/v1/nodes/n1/enable');
    expect(enabled.status).toBe(200);
    const replaced = await admin.send('POST', '/pki/v1/nodes/n1/replace');
    expect(replaced.json()).toMatchObject({ state: 'expected' });
    expect((await admin.send('DELETE', '/pki/v1/nodes/n1')).status).toBe(204);
    expect((await admin.send('GET', '/pki/v1/nodes/n1')).status).toBe(404);
  });

  it('are listed in pages', async () => {
    for (const name of ['p1', 'p2', 'p3']) await admin.send('POST', '/pki/v1/nodes', { body: { name } });
    const first = (await admin.send('GET', '/pki/v1/nodes?limit=2')).json<{
      items: { name: string }[];
      continue?: string;
    }>();
    expect(first.items).toHaveLength(2);
    const second = await admin.send(
      'GET',
      `/pki/v1/nodes?limit=2&continue=${encodeURIComponent(first.continue ?? '')}`,
    );
    expect(second.json<{ items: { name: string }[] }>().items[0]?.name).not.toBe(first.items[0]?.name);
  });

  it('twice the same is refused', async () => {
    await admin.send('POST', '/pki/v1/nodes', { body: { name: 'twice' } });
    const answer = await admin.send('POST', '/pki/v1/nodes', { body: { name: 'twice' } });
    expect([answer.status, problem(answer).code]).toEqual([409, 'already-exists']);
  });

  it.each([
    [{}, 'name', 'FieldValueRequired'],
    [{ name: 7 }, 'name', 'FieldValueInvalid'],
    [{ name: 'n', colour: 'red' }, 'colour', 'FieldValueForbidden'],
    [{ name: 'Not A Name' }, 'name', 'FieldValueInvalid'],
    [{ name: 'n9', addresses: ['10.0.0.300'] }, 'addresses[0]', 'FieldValueInvalid'],
    [{ name: 'n9', addresses: Array.from({ length: 65 }, () => '10.0.0.1') }, 'addresses', 'FieldValueTooLong'],
  ])('%j breaks a rule that is named', async (body, field, rule) => {
    const answer = await admin.send('POST', '/pki/v1/nodes', { body });
    expect([answer.status, problem(answer).code]).toEqual([422, 'invalid']);
    expect(problem(answer).errors?.[0]).toMatchObject({ field, rule });
  });
});

describe('etcd clusters', () => {
  it('have members with the hosts of their URLs', async () => {
    expect((await admin.send('POST', '/pki/v1/etcd-clusters', { body: { name: 'main' } })).status).toBe(201);
    const urls = { peerUrls: ['https://10.1.0.1:2380'], clientUrls: ['https://m1.example.org:2379'] };
    const members = '/pki/v1/etcd-clusters/main/members';
    const member = await admin.send('POST', members, { body: { name: 'm1', ...urls } });
    expect([member.status, member.headers['location']]).toEqual([201, `${members}/m1`]);
    expect(member.json<{ addresses: string[] }>().addresses).toContain('10.1.0.1');
    expect(member.json<{ dnsNames: string[] }>().dnsNames).toContain('m1.example.org');
    expect((await admin.send('GET', members)).json<{ items: unknown[] }>().items).toEqual([member.json()]);
    const changed = await admin.send('PATCH', `${members}/m1`, { body: { addresses: ['10.1.0.9'] } });
    expect(changed.json<{ addresses: string[] }>().addresses).toContain('10.1.0.9');
    const clients = await admin.send('PATCH', '/pki/v1/etcd-clusters/main', { body: { clientNames: ['apiserver'] } });
    expect(clients.json()).toMatchObject({ clientNames: ['apiserver'] });
    expect((await admin.send('DELETE', '/pki/v1/etcd-clusters/main')).status).toBeGreaterThanOrEqual(400);
    expect((await admin.send('DELETE', `${members}/m1`)).status).toBe(204);
    expect((await admin.send('DELETE', '/pki/v1/etcd-clusters/main')).status).toBe(204);
  });

  it('are not found by other names', async () => {
    for (const path of ['nope', 'nope/members', 'nope/members/m']) {
      expect((await admin.send('GET', `/pki/v1/etcd-clusters/${path}`)).status).toBe(404);
    }
  });
});

describe('tokens', () => {
  it('show their secret once', async () => {
    const created = await admin.send('POST', '/pki/v1/tokens', {
      body: { node: { name: 't1', addresses: ['10.2.0.1'] }, ttlSeconds: 600 },
    });
    expect(created.status).toBe(201);
    expect(created.headers['cache-control']).toBe('no-store');
    const { token, id } = created.json<{ token: string; id: string }>();
    expect(token).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    expect(token.startsWith(`${id}.`)).toBe(true);
    const secret = token.slice(7);
    for (const path of ['tokens', `tokens/${id}`]) {
      expect((await admin.send('GET', `/pki/v1/${path}`)).text).not.toContain(secret);
    }
    expect((await admin.send('GET', '/pki/v1/nodes/t1')).json()).toMatchObject({ addresses: ['10.2.0.1'] });
    expect((await service.client({ token }).send('GET', '/pki/v1/whoami')).status).toBe(200);
    expect((await admin.send('DELETE', `/pki/v1/tokens/${id}`)).json()).toMatchObject({ state: 'revoked' });
    expect((await service.client({ token }).send('GET', '/pki/v1/whoami')).status).toBe(401);
  });

  it('are bound to one thing that is there', async () => {
    const two = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: 'a' }, controlPlane: 'b' } });
    expect([two.status, problem(two).code]).toEqual([422, 'invalid']);
    const member = await admin.send('POST', '/pki/v1/tokens', { body: { etcdMember: { cluster: 'no', name: 'm' } } });
    expect(member.status).toBe(404);
    expect((await admin.send('GET', '/pki/v1/tokens/zzzzzz')).status).toBe(404);
  });
});

describe('what is not there', () => {
  it('is 404, and 405 with Allow where the path has other methods', async () => {
    const missing = await admin.send('GET', '/pki/v1/nope');
    expect([missing.status, problem(missing).code]).toEqual([404, 'not-found']);
    const method = await admin.send('PUT', '/pki/v1/nodes/n1', { body: {} });
    expect([method.status, problem(method).code, method.headers['allow']]).toEqual([
      405,
      'method-not-allowed',
      'DELETE, GET, HEAD, PATCH',
    ]);
  });

  it.each([
    [{ raw: '{', headers: { 'content-type': 'application/json' } }, 400, 'bad-request'],
    [{ raw: 'name: n', headers: { 'content-type': 'text/plain' } }, 415, 'unsupported-media-type'],
    [{ raw: '{"__proto__":{"x":1}}', headers: { 'content-type': 'application/json' } }, 400, 'bad-request'],
    [
      { raw: JSON.stringify({ name: 'a'.repeat(70_000) }), headers: { 'content-type': 'application/json' } },
      413,
      'too-large',
    ],
    [{ raw: '[]', headers: { 'content-type': 'application/json' } }, 422, 'invalid'],
  ])('%j as a body is refused', async (body, status, code) => {
    const answer = await admin.send('POST', '/pki/v1/nodes', body);
    expect([answer.status, problem(answer).code]).toEqual([status, code]);
  });

  it('in a query is refused by name', async () => {
    const answer = await admin.send('GET', '/pki/v1/certificates?rnig=etcd');
    expect(answer.status).toBe(422);
    expect(problem(answer).errors?.[0]).toMatchObject({ field: 'rnig', rule: 'FieldValueForbidden' });
  });
});
