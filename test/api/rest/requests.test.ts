import { createHash, X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { csrFor, newKey, nodeCsr, nodeToken, problem } from './service.js';

let service: TestService;
let admin: TestClient;
const kubelet = 'kubernetes.io/kube-apiserver-client-kubelet';
const user = 'kubernetes.io/kube-apiserver-client';

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
});
afterAll(async () => service.stop());

type RequestBody = {
  readonly name: string;
  readonly state: string;
  readonly certificate?: string;
  readonly ring?: string;
  readonly message?: string;
};

describe('a request that can be decided', () => {
  it('is answered with the certificate', async () => {
    const client = service.client(await nodeToken(admin, 'r1'));
    const key = newKey();
    const answer = await client.send('POST', '/pki/v1/requests', {
      body: { signerName: kubelet, request: nodeCsr('r1', key) },
    });
    expect(answer.status).toBe(201);
    const request = answer.json<RequestBody>();
    expect(request).toMatchObject({ state: 'issued', ring: 'kubernetes' });
    expect(answer.headers['location']).toBe(`/pki/v1/requests/${request.name}`);
    const certificate = new X509Certificate(request.certificate ?? '');
    expect(certificate.subject).toContain('CN=system:node:r1');
    expect(certificate.checkPrivateKey(key)).toBe(true);
    expect((await client.send('GET', `/pki/v1/requests/${request.name}`)).json()).toEqual(request);
  });

  it('is answered with PEM by Accept', async () => {
    const client = service.client(await nodeToken(admin, 'r2'));
    const answer = await client.send('POST', '/pki/v1/requests', {
      body: { signerName: kubelet, request: nodeCsr('r2') },
      headers: { accept: 'application/pem-certificate-chain' },
    });
    expect([answer.status, answer.headers['content-type']]).toEqual([201, 'application/pem-certificate-chain']);
    expect(new X509Certificate(answer.text).subject).toContain('system:node:r2');
  });

  it('is 403 with the reason when it is denied, and stays as denied', async () => {
    const client = service.client(await nodeToken(admin, 'r3'));
    const answer = await client.send('POST', '/pki/v1/requests', {
      body: { signerName: kubelet, request: nodeCsr('another'), name: 'denied-1' },
    });
    expect([answer.status, problem(answer).code]).toEqual([403, 'denied']);
    expect(answer.text).toContain('r3');
    expect(answer.json<{ instance: string }>().instance).toBe('/pki/v1/requests/denied-1');
    expect((await client.send('GET', '/pki/v1/requests/denied-1')).json()).toMatchObject({ state: 'denied' });
  });
});

describe('a request that waits', () => {
  it('is 202, explained, approved by a person, listed, deleted', async () => {
    const answer = await admin.send('POST', '/pki/v1/requests', {
      body: { signerName: user, request: csrFor('jane', ['developers']), name: 'jane' },
    });
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({
      state: 'pending',
      name: 'jane',
      message: expect.stringContaining('person') as string,
    });
    const asPem = await admin.send('GET', '/pki/v1/requests/jane', {
      headers: { accept: 'application/pem-certificate-chain' },
    });
    expect(asPem.status).toBe(406);
    const explained = (await admin.send('GET', '/pki/v1/requests/jane/explain')).json<{
      outcome: string;
      rules: unknown[];
    }>();
    expect(explained.outcome).toBe('hold');
    expect(explained.rules.length).toBeGreaterThan(3);
    const waiting = (await admin.send('GET', '/pki/v1/requests?state=pending&requester=admin')).json<{
      items: RequestBody[];
    }>();
    expect(waiting.items.map(({ name }) => name)).toEqual(['jane']);
    expect((await admin.send('GET', '/pki/v1/requests?state=held')).json<{ items: unknown[] }>().items).toEqual([]);
    const approved = await admin.send('POST', '/pki/v1/requests/jane/approve', {
      body: { reason: 'Known', message: 'seen her' },
    });
    expect(approved.status).toBe(200);
    await expect
      .poll(async () => (await admin.send('GET', '/pki/v1/requests/jane')).json<RequestBody>().state)
      .toBe('issued');
    const listed = (await admin.send('GET', `/pki/v1/requests?state=issued&signerName=${user}`)).json<{
      items: RequestBody[];
    }>();
    expect(listed.items.map(({ name }) => name)).toEqual(['jane']);
    expect((await admin.send('DELETE', '/pki/v1/requests/jane')).status).toBe(204);
    expect((await admin.send('GET', '/pki/v1/requests/jane')).status).toBe(404);
  });

  it('for facts is held with its reason, and issued once they are there', async () => {
    const token = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ token: string }>();
    const client = service.client(token);
    const answer = await client.send('POST', '/pki/v1/requests', {
      body: { signerName: kubelet, request: nodeCsr('late'), name: 'late' },
    });
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({
      state: 'held',
      retryAt: expect.stringMatching(/Z$/) as string,
      message: expect.stringContaining('late') as string,
    });
    const held = (await admin.send('GET', '/pki/v1/requests?state=held')).json<{ items: RequestBody[] }>();
    expect(held.items.map(({ name }) => name)).toEqual(['late']);
    await admin.send('POST', '/pki/v1/nodes', { body: { name: 'late' } });
    await expect
      .poll(async () => (await client.send('GET', '/pki/v1/requests/late')).json<RequestBody>().state, {
        timeout: 5000,
      })
      .toBe('issued');
  });

  it('is denied by a person, and by nobody else', async () => {
    await admin.send('POST', '/pki/v1/requests', { body: { signerName: user, request: csrFor('joe'), name: 'joe' } });
    const client = service.client(await nodeToken(admin, 'r4'));
    expect((await client.send('POST', '/pki/v1/requests/joe/approve', { body: {} })).status).toBe(403);
    const denied = await admin.send('POST', '/pki/v1/requests/joe/deny', { body: { message: 'unknown' } });
    expect(denied.json()).toMatchObject({ state: 'denied', message: 'unknown' });
  });
});

describe('a request that breaks a rule of its form', () => {
  const good = csrFor('x');
  it.each([
    ['nothing', {}, 'signerName'],
    ['no PEM', { signerName: user, request: 'hello' }, 'request'],
    ['two blocks', { signerName: user, request: good + good }, 'request'],
    ['text around', { signerName: user, request: `hello\n${good}` }, 'request'],
    ['another label', { signerName: user, request: good.replaceAll('CERTIFICATE REQUEST', 'BANANA') }, 'request'],
    ['a broken signature', { signerName: user, request: broken(good) }, 'request'],
    ['an unknown signer', { signerName: 'example.org/nope', request: good }, 'signerName'],
    ['unknown usages', { signerName: user, request: good, usages: ['flying'] }, undefined],
    ['a short life', { signerName: user, request: good, expirationSeconds: 5 }, 'expirationSeconds'],
    ['a name of its own', { signerName: user, request: good, name: 'a/b' }, 'name'],
  ])('%s is 4xx and names the field', async (_what, body, field) => {
    const answer = await admin.send('POST', '/pki/v1/requests', { body });
    expect(answer.status).toBe(422);
    expect(problem(answer).code).toBe('invalid');
    if (field !== undefined) expect(problem(answer).errors?.map((error) => error.field)).toContain(field);
  });
});

describe('certificates', () => {
  it('are found by what they say, and revoked', async () => {
    const client = service.client(await nodeToken(admin, 'c1'));
    const key = newKey();
    const issued = (
      await client.send('POST', '/pki/v1/requests', { body: { signerName: kubelet, request: nodeCsr('c1', key) } })
    ).json<RequestBody>();
    const leaf = new X509Certificate(issued.certificate ?? '');
    const serial = leaf.serialNumber.toLowerCase();
    const queries = [
      `serial=${leaf.serialNumber}`,
      'node=c1',
      'name=system:node:c1',
      `node=c1&profile=${kubelet}&ring=kubernetes`,
      'node=c1&expiringWithin=60d',
      'node=c1&expiresBefore=2099-01-01T00:00:00Z',
    ];
    for (const query of queries) {
      const found = (await admin.send('GET', `/pki/v1/certificates?${query}`)).json<{ items: { serial: string }[] }>();
      expect([query, found.items.map((item) => item.serial)]).toEqual([query, [serial]]);
    }
    for (const query of ['node=c1&expiringWithin=1h', 'node=c1&ring=etcd', 'address=10.9.9.9']) {
      expect((await admin.send('GET', `/pki/v1/certificates?${query}`)).json<{ items: unknown[] }>().items).toEqual([]);
    }
    const colons = leaf.serialNumber.replace(/..(?=.)/g, '$&:');
    const one = (await admin.send('GET', `/pki/v1/certificates/${colons}`)).json<{
      fingerprint: string;
      certificate: string;
    }>();
    expect(one.fingerprint).toBe(createHash('sha256').update(leaf.raw).digest('hex'));
    const node = service.client({
      cert: issued.certificate ?? '',
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    });
    expect((await node.send('GET', '/pki/v1/whoami')).json()).toMatchObject({ node: 'c1' });
    const revoked = await admin.send('POST', `/pki/v1/certificates/${serial}/revoke`, {
      body: { reason: 'keyCompromise' },
    });
    expect(revoked.json()).toMatchObject({
      revocationReason: 'keyCompromise',
      revokedAt: expect.stringMatching(/Z$/) as string,
    });
    expect((await node.send('GET', '/pki/v1/whoami')).status).toBe(401);
    expect((await admin.send('POST', `/pki/v1/certificates/${serial}/revoke`, { body: {} })).status).toBe(200);
  });

  it('that are not there are not found, and reasons are those of RFC 5280', async () => {
    expect((await admin.send('GET', '/pki/v1/certificates/0102')).status).toBe(404);
    expect((await admin.send('POST', '/pki/v1/certificates/0102/revoke', { body: {} })).status).toBe(404);
    const reason = await admin.send('POST', '/pki/v1/certificates/0102/revoke', { body: { reason: 'boredom' } });
    expect(problem(reason).errors?.[0]).toMatchObject({ field: 'reason', rule: 'FieldValueNotSupported' });
  });
});

describe('an etcd member', () => {
  it('gets its certificates with its token, and learns its own names', async () => {
    await admin.send('POST', '/pki/v1/etcd-clusters', { body: { name: 'e', clientNames: ['reader'] } });
    for (const [name, host] of [
      ['m1', '10.3.0.1'],
      ['m2', '10.3.0.2'],
    ] as const) {
      const urls = { peerUrls: [`https://${host}:2380`], clientUrls: [`https://${host}:2379`] };
      await admin.send('POST', '/pki/v1/etcd-clusters/e/members', { body: { name, ...urls } });
    }
    const created = await admin.send('POST', '/pki/v1/tokens', { body: { etcdMember: { cluster: 'e', name: 'm1' } } });
    const member = service.client({ token: created.json<{ token: string }>().token });
    const self = (await member.send('GET', '/pki/v1/etcd-clusters/e/members/m1')).json<{ addresses: string[] }>();
    expect(self.addresses).toContain('10.3.0.1');
    expect((await member.send('GET', '/pki/v1/etcd-clusters/e/members/m2')).status).toBe(403);
    const names = [{ kind: 'ip', value: '10.3.0.1' }] as const;
    for (const profile of ['peer', 'server']) {
      const body = { signerName: `etcd.rotunda.dev/${profile}`, request: csrFor('m1', [], names) };
      const answer = await member.send('POST', '/pki/v1/requests', { body });
      expect([profile, answer.status]).toEqual([profile, 201]);
      expect(answer.json<RequestBody>().ring).toBe('etcd');
    }
    const other = {
      signerName: 'etcd.rotunda.dev/peer',
      request: csrFor('m1', [], [{ kind: 'ip', value: '10.3.0.2' }]),
    };
    expect((await member.send('POST', '/pki/v1/requests', { body: other })).status).toBe(403);
  });
});

/** The same request with one bit of its signature turned. */
function broken(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  return `-----BEGIN CERTIFICATE REQUEST-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}
