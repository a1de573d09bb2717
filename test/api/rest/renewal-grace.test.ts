import { type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { inProcess } from '../../cli/rotunda.js';
import { publishing } from '../../support/publishing.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../../support/service.js';
import { csrFor, newKey, nodeCsr, nodeToken } from './service.js';

const kubelet = 'kubernetes.io/kube-apiserver-client-kubelet';
const day = 86_400_000;
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

const time = { offset: 0 };
const clock = { now: () => new Date(Date.now() + time.offset) };

type Holder = {
  readonly node: string;
  readonly key: KeyObject;
  readonly client: TestClient;
  readonly certificate: string;
  readonly serial: string;
};
type Issued = { readonly state: string; readonly certificate: string };

let service: TestService;
let admin: TestClient;

async function start(config: Readonly<Record<string, unknown>>): Promise<void> {
  time.offset = 0;
  service = await startTestService({ config, overrides: { clock } });
  admin = service.client(service.admin);
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function clientWith(certificate: string, key: KeyObject): TestClient {
  return service.client({ cert: certificate, key: pemOf(key) });
}

/** A node with a certificate of 30 days that it has used. */
async function join(node: string, use = true): Promise<Holder> {
  time.offset = 0;
  const key = newKey();
  const token = service.client(await nodeToken(admin, node));
  const answer = await token.send('POST', '/pki/v1/requests', {
    body: { signerName: kubelet, request: nodeCsr(node, key) },
  });
  const { certificate } = answer.json<Issued>();
  const client = clientWith(certificate, key);
  if (use) expect((await client.send('GET', '/pki/v1/whoami')).status).toBe(200);
  return { node, key, client, certificate, serial: new X509Certificate(certificate).serialNumber.toLowerCase() };
}

function renew(
  { client, node, key }: Pick<Holder, 'client' | 'node' | 'key'>,
  change: Record<string, unknown> = {},
): Promise<TestAnswer> {
  const body = { signerName: kubelet, request: nodeCsr(node, key), ...change };
  return client.send('POST', '/pki/v1/requests', { body });
}

describe('an expired certificate', () => {
  beforeAll(() => start({ renewal: { grace: '7d' } }));
  afterAll(() => service.stop());
  beforeEach(() => {
    time.offset = 0;
  });

  it('renews itself, once, with the key that it has', async () => {
    const holder = await join('g1');
    time.offset = 31 * day;
    const answer = await renew(holder);
    expect(answer.status).toBe(201);
    const { certificate } = answer.json<Issued>();
    expect(new X509Certificate(certificate).checkPrivateKey(holder.key)).toBe(true);
    const renewed = clientWith(certificate, holder.key);
    expect((await renewed.send('GET', '/pki/v1/whoami')).json()).toMatchObject({
      node: 'g1',
      roles: ['node', 'authenticated'],
    });
    expect((await renew(holder)).status).toBe(401);
    // What is not the node's own any more does not come back after its end.
    time.offset = 62 * day;
    expect((await renew(holder)).status).toBe(401);
    expect((await renew({ ...holder, client: renewed })).status).toBe(201);
  });

  it('authenticates for nothing else', async () => {
    const { client, node, key } = await join('g2');
    time.offset = 31 * day;
    const body = { signerName: kubelet, request: nodeCsr(node, key) };
    const object = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'expired' },
      spec: {
        signerName: kubelet,
        request: Buffer.from(body.request).toString('base64'),
        usages: ['digital signature', 'client auth'],
      },
    };
    for (const [method, path, sent] of [
      ['GET', '/pki/v1/whoami'],
      ['GET', '/pki/v1/requests'],
      ['GET', '/pki/v1/rings/kubernetes/bundle'],
      ['POST', '/pki/v1/requests/explain', body],
      ['POST', '/pki/v1/requests/', body],
      ['POST', '/pki/v1//requests', body],
      ['PUT', '/pki/v1/requests', body],
      ['POST', '/pki/v1/tokens', {}],
      ['POST', collection, object],
      ['GET', collection],
      ['GET', `/api/v1/nodes/${node}`],
      ['GET', '/livez'],
      ['GET', '/metrics'],
    ] as const) {
      const answer = await client.send(method, path, sent === undefined ? {} : { body: sent });
      expect([method, path, answer.status]).toEqual([method, path, 401]);
    }
    expect((await client.send('POST', '/pki/v1/requests?x=1', { body })).status).not.toBe(500);
  });

  it('is good for its own key, profile and node only', async () => {
    const holder = await join('g3');
    await join('g4');
    time.offset = 31 * day;
    const serving = 'kubernetes.io/kubelet-serving';
    const named = csrFor('system:node:g3', ['system:nodes'], [{ kind: 'dns', value: 'g3' }], holder.key);
    for (const change of [
      { request: nodeCsr('g3') },
      { request: nodeCsr('g4', holder.key) },
      { signerName: serving, request: named },
      { signerName: 'kubernetes.io/kube-apiserver-client' },
      {
        signerName: 'kubernetes.io/kube-apiserver-client',
        request: csrFor('root', ['system:masters'], [], holder.key),
      },
      { signerName: 'rotunda.dev/client', request: csrFor('x', ['rotunda:admins'], [], holder.key) },
    ]) {
      const answer = await renew(holder, change);
      expect([change.signerName, answer.status]).toEqual([change.signerName, 403]);
    }
    expect((await renew(holder, { signerName: 'example.org/unknown' })).status).toBe(422);
    // None of that was kept: it still renews itself.
    expect((await renew(holder)).status).toBe(201);
  });

  it('waits for no longer than it may', async () => {
    const holder = await join('g5');
    time.offset = 37 * day - 400_000;
    expect((await renew(holder, { name: 'g5-in-time' })).status).toBe(201);
    const late = await join('g6');
    time.offset = 37 * day + 60_000;
    expect((await renew(late)).status).toBe(401);
  });

  it('is nobody’s who has lost its place', async () => {
    const disabled = await join('g7');
    const revoked = await join('g8');
    const gone = await join('g9');
    const replaced = await join('g10');
    const unused = await join('g11', false);
    await admin.send('POST', '/pki/v1/nodes/g7/disable', { body: { reason: 'stolen' } });
    await admin.send('POST', `/pki/v1/certificates/${revoked.serial}/revoke`, { body: {} });
    await admin.send('DELETE', '/pki/v1/nodes/g9');
    await admin.send('POST', '/pki/v1/nodes/g10/replace');
    time.offset = 31 * day;
    for (const holder of [disabled, revoked, gone, replaced, unused])
      expect([holder.node, (await renew(holder)).status]).toEqual([holder.node, 401]);
  });

  it('is not one that was renewed in time', async () => {
    const first = await join('g12');
    time.offset = 20 * day;
    const key = newKey();
    const answer = await renew(first, { request: nodeCsr('g12', key) });
    expect(answer.status).toBe(201);
    // Whoever finds the old key has nothing, whether or not the new certificate was ever used here.
    time.offset = 31 * day;
    expect((await renew(first)).status).toBe(401);
    const second = { node: 'g12', key, client: clientWith(answer.json<Issued>().certificate, key), serial: '' };
    time.offset = 51 * day;
    expect((await renew(second)).status).toBe(201);
  });

  it('that is good renews with a new key as ever', async () => {
    const holder = await join('g13');
    time.offset = 25 * day;
    expect((await renew(holder, { request: nodeCsr('g13') })).status).toBe(201);
  });

  it('renews itself by the command line too, which is told the bundle that it may not read', async () => {
    const { node, key, certificate } = await join('by-cli');
    time.offset = 31 * day;
    const { generation } = await publishing(service.service.context).addAuthority('kubernetes', { raiseFloor: true });
    const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-'));
    const file = (name: string, content?: string): string => {
      const at = path.join(directory, name);
      if (content !== undefined) writeFileSync(at, content, { mode: 0o600 });
      return at;
    };
    const args = [
      ...['cert', 'issue', '--signer', kubelet, '--csr', '-', '--server', service.url, '--ca', file('ca', service.ca)],
      ...['--cert', file('crt', certificate), '--key', file('key', pemOf(key)), '--bundle-file', file('held.crt')],
    ];
    const issued = await inProcess(args, { input: nodeCsr(node, key) });
    expect([issued.code, issued.err]).toEqual([0, expect.stringContaining('asks for bundle') as string]);
    expect(new X509Certificate(issued.out).checkPrivateKey(key)).toBe(true);
    expect(readFileSync(file('held.crt'), 'utf8')).toContain(`kubernetes ${String(generation)} `);
    rmSync(directory, { recursive: true });
  });
});

describe('without grace', () => {
  beforeAll(() => start({}));
  afterAll(() => service.stop());

  it('an expired certificate is nothing', async () => {
    const holder = await join('n1');
    time.offset = 30 * day + 60_000;
    expect((await renew(holder)).status).toBe(401);
  });
});
