import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { requestClientCertificate } from '../support/kubelet.js';
import { csrPem, keyPem, newEcKey } from '../support/pkcs10.js';
import { certificateOf, startTestService, type TestClient, type TestService } from '../support/service.js';

const person = 'kubernetes.io/kube-apiserver-client';
const custom = 'example.org/backup';

let rotunda: TestService;
let admin: TestClient;

beforeAll(async () => {
  const profile = {
    signerName: custom,
    ring: 'kubernetes',
    organizations: ['backup'],
    commonName: { prefix: 'backup-' },
    names: { dns: true },
    usages: { required: ['digital signature', 'client auth'], optional: ['key encipherment'] },
    lifetime: { standard: '2h', longest: '4h' },
  };
  rotunda = await startTestService({ config: { profiles: [profile] } });
  admin = rotunda.client(rotunda.admin);
});

afterAll(() => rotunda.stop());

async function must<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await admin.send(method, path, body === undefined ? {} : { body });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${String(answer.status)} ${answer.text}`);
  return (answer.text === '' ? undefined : JSON.parse(answer.text)) as T;
}

async function ask(signerName: string, request: string, extra: object = {}): Promise<string> {
  return (await must<{ name: string }>('POST', '/pki/v1/requests', { signerName, request, ...extra })).name;
}

const csr = (commonName: string, organizations: readonly string[] = [], names: { dns?: string[] } = {}): string =>
  csrPem(newEcKey(), {
    subject: [...organizations.map((value) => ['O', value] as const), ['CN', commonName]],
    ...names,
  });

const events = (name: string): Promise<{ action: string; actor: string; outcome: string; detail: string }[]> =>
  rotunda.service.context.store.db
    .selectFrom('audit_events')
    .select(['action', 'actor', 'outcome', 'detail'])
    .where('name', '=', name)
    .orderBy('sequence')
    .execute();

const actions = async (name: string): Promise<string[]> => (await events(name)).map(({ action }) => action);

describe('the audit log', () => {
  it('has every decision over a request', async () => {
    const approved = await ask(person, csr('jane'));
    await must('POST', `/pki/v1/requests/${approved}/approve`, { message: 'seen her' });
    await certificateOf(admin, approved);
    expect(await actions(approved)).toEqual([
      'request.held',
      'request.approved',
      'request.issuing',
      'certificate.issued',
    ]);
    expect((await events(approved)).map(({ actor }) => actor)).toContain('admin');
    const denied = await ask(person, csr('joe'));
    await must('POST', `/pki/v1/requests/${denied}/deny`, {});
    await must('DELETE', `/pki/v1/requests/${denied}`);
    expect(await actions(denied)).toEqual(['request.held', 'request.denied', 'request.deleted']);
    const failed = await ask(person, csr('root', ['rotunda:admins']));
    await must('POST', `/pki/v1/requests/${failed}/approve`, {});
    await expect(certificateOf(admin, failed)).rejects.toThrow('failed');
    expect((await actions(failed)).at(-1)).toBe('request.failed');
  });

  it('has every change of nodes, tokens, clusters, members and certificates', async () => {
    const { token, id } = await must<{ token: string; id: string }>('POST', '/pki/v1/tokens', { node: { name: 'a1' } });
    const pair = await requestClientCertificate({ url: rotunda.url, ca: rotunda.ca, nodeName: 'a1', token });
    expect((await rotunda.client(pair).send('GET', '/pki/v1/whoami')).status).toBe(200);
    await must('PATCH', '/pki/v1/nodes/a1', { addresses: ['192.0.2.9'] });
    const serial = new X509Certificate(pair.cert).serialNumber.toLowerCase();
    await must('POST', `/pki/v1/certificates/${serial}/revoke`, { reason: 'superseded' });
    for (const verb of ['disable', 'enable', 'replace']) await must('POST', `/pki/v1/nodes/a1/${verb}`, {});
    await must('DELETE', '/pki/v1/nodes/a1');
    expect(await actions('a1')).toEqual([
      'node.enrolled',
      'node.joined',
      'node.updated',
      'node.disabled',
      'node.enabled',
      'node.replaced',
      'node.deleted',
    ]);
    expect(await actions(id)).toEqual(['token.created', 'token.used']);
    expect(await actions(serial)).toContain('certificate.revoked');
    const unbound = await must<{ id: string; token: string }>('POST', '/pki/v1/tokens', {});
    await must('DELETE', `/pki/v1/tokens/${unbound.id}`);
    expect(await actions(unbound.id)).toEqual(['token.created', 'token.revoked']);
    await must('POST', '/pki/v1/etcd-clusters', { name: 'c9', clientNames: [] });
    await must('PATCH', '/pki/v1/etcd-clusters/c9', { clientNames: ['reader'] });
    const urls = { peerUrls: ['https://192.0.2.8:2380'], clientUrls: [] };
    await must('POST', '/pki/v1/etcd-clusters/c9/members', { name: 'm9', ...urls });
    await must('PATCH', '/pki/v1/etcd-clusters/c9/members/m9', { peerUrls: ['https://192.0.2.10:2380'] });
    await must('DELETE', '/pki/v1/etcd-clusters/c9/members/m9');
    await must('DELETE', '/pki/v1/etcd-clusters/c9');
    expect(await actions('c9')).toEqual(['etcd-cluster.created', 'etcd-cluster.updated', 'etcd-cluster.deleted']);
    const member = await rotunda.service.context.store.db
      .selectFrom('audit_events')
      .select(['action', 'actor'])
      .where('action', 'like', 'etcd-member.%')
      .orderBy('sequence')
      .execute();
    expect(member.map(({ action }) => action)).toEqual([
      'etcd-member.enrolled',
      'etcd-member.updated',
      'etcd-member.removed',
    ]);
    expect(new Set(member.map(({ actor }) => actor))).toEqual(new Set(['admin']));
    const all = await rotunda.service.context.store.db.selectFrom('audit_events').select('detail').execute();
    for (const { detail } of all) {
      expect(detail).not.toContain(token.split('.')[1]);
      expect(detail).not.toContain(unbound.token.split('.')[1]);
    }
  });
});

describe('metrics', () => {
  const value = async (metric: string): Promise<number> => {
    const text = (await admin.send('GET', '/metrics')).text;
    const line = text.split('\n').find((one) => one.startsWith(`${metric} `));
    return line === undefined ? 0 : Number(line.split(' ').at(-1));
  };

  it('count decisions and certificates by profile, and tell when the first expires', async () => {
    const decided = (outcome: string): string =>
      `rotunda_requests_decided_total{profile="${person}",outcome="${outcome}"}`;
    const issued = `rotunda_certificates_issued_total{profile="${person}",ring="kubernetes"}`;
    const all = [
      decided('approved'),
      decided('denied'),
      decided('held'),
      decided('failed'),
      issued,
      'rotunda_requests_held',
    ];
    const read = (): Promise<number[]> => Promise.all(all.map(value));
    const before = await read();
    const approved = await ask(person, csr('m1'), { expirationSeconds: 1200 });
    const denied = await ask(person, csr('m2'));
    const failed = await ask(person, csr('m3', ['rotunda:admins']));
    await must('POST', `/pki/v1/requests/${approved}/approve`, {});
    await must('POST', `/pki/v1/requests/${denied}/deny`, {});
    await must('POST', `/pki/v1/requests/${failed}/approve`, {});
    const pem = await certificateOf(admin, approved);
    await expect(certificateOf(admin, failed)).rejects.toThrow('failed');
    const after = await read();
    expect(after.map((now, index) => now - (before[index] ?? 0))).toEqual([2, 1, 3, 1, 1, 0]);
    const left = (Date.parse(new X509Certificate(pem).validTo) - Date.now()) / 1000;
    const told = await value('rotunda_seconds_to_first_expiry');
    expect(Math.abs(told - left)).toBeLessThan(5);
    expect(await value('rotunda_certificates_expiring{ring="kubernetes",within="24h"}')).toBeGreaterThan(0);
    expect(await value(`rotunda_issue_duration_seconds_count{profile="${person}"}`)).toBeGreaterThan(0);
  });
});

describe('a profile of the configuration', () => {
  it('issues within its rules, and refuses beyond them', async () => {
    const held = await ask(custom, csr('backup-7', ['backup'], { dns: ['b7.example.org'] }));
    await must('POST', `/pki/v1/requests/${held}/approve`, {});
    const leaf = new X509Certificate(await certificateOf(admin, held));
    expect(leaf.subject).toBe('O=backup\nCN=backup-7');
    expect(leaf.subjectAltName).toBe('DNS:b7.example.org');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(leaf.checkIssued(new X509Certificate(rotunda.ca))).toBe(true);
    expect(Math.abs(Date.parse(leaf.validTo) - Date.now() - 2 * 3_600_000)).toBeLessThan(60_000);
    for (const [name, groups] of [
      ['restore-7', ['backup']],
      ['backup-7', ['other']],
    ] as const) {
      const refused = await ask(custom, csr(name, groups));
      await must('POST', `/pki/v1/requests/${refused}/approve`, {});
      await expect(certificateOf(admin, refused), name).rejects.toThrow('failed');
    }
  });
});

describe('certificates', () => {
  it('are found by every key', async () => {
    const key = newEcKey();
    const body = { node: { name: 'f1', addresses: ['192.0.2.77'], dnsNames: ['f1.example.org'] } };
    const { token } = await must<{ token: string }>('POST', '/pki/v1/tokens', body);
    const request = csrPem(key, {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'system:node:f1'],
      ],
    });
    const client = rotunda.client({ token });
    const first = await client.send('POST', '/pki/v1/requests', {
      body: { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', request },
    });
    const cert = first.json<{ certificate: string }>().certificate;
    const node = rotunda.client({ cert, key: keyPem(key) });
    const serving = csrPem(newEcKey(), {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'system:node:f1'],
      ],
      dns: ['f1.example.org'],
      ips: ['192.0.2.77'],
    });
    const second = await node.send('POST', '/pki/v1/requests', {
      body: { signerName: 'kubernetes.io/kubelet-serving', request: serving },
    });
    expect(second.status, second.text).toBe(201);
    const serial = new X509Certificate(second.json<{ certificate: string }>().certificate).serialNumber.toLowerCase();
    const found = async (query: string): Promise<string[]> =>
      (await must<{ items: { serial: string }[] }>('GET', `/pki/v1/certificates?${query}`)).items.map(
        (item) => item.serial,
      );
    const expiresBefore = new Date(Date.now() + 400 * 86_400_000).toISOString();
    for (const query of [
      'address=192.0.2.77',
      'address=::ffff:192.0.2.77',
      'name=f1.example.org',
      'name=F1.example.org',
      `serial=${serial}`,
      'node=f1&profile=kubernetes.io/kubelet-serving',
      'node=f1&ring=kubernetes&profile=kubernetes.io/kubelet-serving',
      `address=192.0.2.77&expiresBefore=${expiresBefore}`,
      'address=192.0.2.77&expiringWithin=60d',
    ])
      expect([query, await found(query)]).toEqual([query, [serial]]);
    expect(await found('name=system:node:f1')).toHaveLength(2);
    expect(await found('node=f1&limit=1')).toHaveLength(1);
    for (const query of ['address=192.0.2.78', 'name=example.org', 'address=192.0.2.77&expiringWithin=1h'])
      expect([query, await found(query)]).toEqual([query, []]);
  });
});
