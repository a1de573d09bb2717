import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { inProcess } from '../../cli/rotunda.js';
import { describeWithPeer, requirePeer } from '../../support/peers.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { csrFor, nodeCsr, nodeToken, problem } from './service.js';

const user = 'kubernetes.io/kube-apiserver-client';
const kubelet = 'kubernetes.io/kube-apiserver-client-kubelet';
const day = 86_400_000;

let service: TestService;
let admin: TestClient;
let anybody: TestClient;
let certificate: X509Certificate;
let serial: string;

type Info = { readonly suggestedWindow: { readonly start: string; readonly end: string }; explanationURL?: string };
type Rule = { readonly id: string; readonly start: string; readonly widthSeconds: number };

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
  anybody = service.client();
  const body = { name: 'alice', signerName: user, request: csrFor('alice') };
  await admin.send('POST', '/pki/v1/requests', { body });
  await admin.send('POST', '/pki/v1/requests/alice/approve');
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { items } = (await admin.send('GET', '/pki/v1/certificates?name=alice')).json<{
      items: { serial: string }[];
    }>();
    const [found] = items;
    if (found !== undefined) {
      serial = found.serial;
      break;
    }
    if (Date.now() > deadline) throw new Error('alice has no certificate');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const pem = await admin.send('GET', `/pki/v1/certificates/${serial}`, {
    headers: { accept: 'application/pem-certificate-chain' },
  });
  certificate = new X509Certificate(pem.text);
});
afterAll(async () => service.stop());

/** The name of a certificate as openssl tells its parts. */
function ariName(x509: X509Certificate): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-ari-'));
  try {
    const file = path.join(directory, 'leaf.pem');
    writeFileSync(file, x509.toString());
    const text = execFileSync(
      requirePeer('openssl'),
      ['x509', '-in', file, '-noout', '-serial', '-ext', 'authorityKeyIdentifier'],
      {
        encoding: 'utf8',
      },
    );
    const aki = /([0-9A-F]{2}(:[0-9A-F]{2}){19})/.exec(text)?.[1]?.replaceAll(':', '') ?? '';
    const number = /serial=([0-9A-F]+)/.exec(text)?.[1] ?? '';
    return [aki, number].map((hex) => Buffer.from(hex, 'hex').toString('base64url')).join('.');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describeWithPeer('openssl', 'renewal-info', () => {
  it('tells anybody the window of a certificate, within its life, and when to ask again', async () => {
    const answer = await anybody.send('GET', `/pki/v1/renewal-info/${ariName(certificate)}`);
    expect(answer.status).toBe(200);
    const { suggestedWindow, explanationURL } = answer.json<Info>();
    const [begin, end] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    const share = (time: string): number => (Date.parse(time) - begin) / (end - begin);
    expect(share(suggestedWindow.start)).toBeGreaterThanOrEqual(0.5);
    expect(share(suggestedWindow.end)).toBeLessThanOrEqual(0.85);
    expect(Date.parse(suggestedWindow.end) - Date.parse(suggestedWindow.start)).toBe(600_000);
    expect(explanationURL).toBeUndefined();
    expect(answer.headers).toMatchObject({ 'retry-after': '21600', 'cache-control': 'public, max-age=300' });
    const bySerial = await anybody.send(
      'GET',
      `/pki/v1/renewal-info/${serial.toUpperCase().replace(/(..)(?=.)/g, '$1:')}`,
    );
    expect(bySerial.json()).toEqual(answer.json());
    const shown = (await admin.send('GET', `/pki/v1/certificates/${serial}`)).json<{ renewal: unknown }>();
    expect(shown.renewal).toEqual(suggestedWindow);
  });

  it('is cached by ETag, and tells again when to ask', async () => {
    const name = `/pki/v1/renewal-info/${serial}`;
    const first = await anybody.send('GET', name);
    const again = await anybody.send('GET', name, { headers: { 'if-none-match': String(first.headers['etag']) } });
    expect([again.status, again.text, again.headers['retry-after']]).toEqual([304, '', '21600']);
  });

  it('refuses what is no certificate, and what is not one of this service', async () => {
    const [authority = '', number = ''] = ariName(certificate).split('.');
    const other = Buffer.alloc(20, 1).toString('base64url');
    for (const name of [`${other}.${number}`, '00', `${authority}.${Buffer.alloc(16, 7).toString('base64url')}`]) {
      const answer = await anybody.send('GET', `/pki/v1/renewal-info/${name}`);
      expect([answer.status, problem(answer).code]).toEqual([404, 'not-found']);
    }
    for (const name of ['x', `${authority}.`, `${authority}==.${number}`, '%00', 'a.b.c', "'%20or%201=1"]) {
      const answer = await anybody.send('GET', `/pki/v1/renewal-info/${name}`);
      expect([name, answer.status]).toSatisfy(([, status]: [string, number]) => status === 400 || status === 422);
    }
  });

  it('is shown by the command line, without a credential', async () => {
    const caFile = path.join(service.dataDir, 'renewal-ca.crt');
    writeFileSync(caFile, service.ca);
    const at = ['--server', service.url, '--ca', caFile];
    const shown = await inProcess(['cert', 'renewal-info', serial, ...at, '-o', 'json']);
    expect(shown.err).toBe('');
    const answer = await anybody.send('GET', `/pki/v1/renewal-info/${serial}`);
    expect(JSON.parse(shown.out)).toEqual(answer.json());
    const wide = await inProcess([
      'cert',
      'list',
      '--name',
      'alice',
      '--kubeconfig',
      service.kubeconfig,
      '--server',
      service.url,
      '-o',
      'wide',
    ]);
    expect(wide.out).toMatch(/RENEWAL[\s\S]+ in 1\dd|RENEWAL[\s\S]+ in 2\dd/);
  });
});

describe('renewal-rules', () => {
  it('are made and deleted by administrators, and read by anybody', async () => {
    expect((await anybody.send('GET', '/pki/v1/renewal-rules')).json()).toMatchObject({
      rules: [],
      retryAfterSeconds: 21_600,
    });
    const body = { ring: 'kubernetes', profile: user, reason: 'compromise', widthSeconds: 3600 };
    const created = await admin.send('POST', '/pki/v1/renewal-rules', { body });
    expect(created.status).toBe(201);
    const rule = created.json<Rule>();
    expect(created.headers['location']).toBe(`/pki/v1/renewal-rules/${rule.id}`);
    const list = await anybody.send('GET', '/pki/v1/renewal-rules');
    expect(list.json<{ rules: Rule[] }>().rules).toEqual([rule]);
    expect((await anybody.send('GET', `/pki/v1/renewal-rules/${rule.id}`)).json()).toEqual(rule);
    const etag = String(list.headers['etag']);
    expect((await anybody.send('GET', '/pki/v1/renewal-rules', { headers: { 'if-none-match': etag } })).status).toBe(
      304,
    );

    // The holder's own slot, computed as the list says, is what renewal-info tells.
    const digits = execFileSync('sh', ['-c', 'printf %s "$1/$2" | sha256sum | cut -c1-12', 'sh', serial, rule.id], {
      encoding: 'utf8',
    });
    const slot = Date.parse(rule.start) + (rule.widthSeconds * 1000 * parseInt(digits, 16)) / 2 ** 48;
    const info = (await anybody.send('GET', `/pki/v1/renewal-info/${serial}`)).json<Info>();
    expect(Math.abs(Date.parse(info.suggestedWindow.start) - slot)).toBeLessThan(2000);
    expect(info.explanationURL).toMatch(new RegExp(`^https://.+:\\d+/pki/v1/renewal-rules/${rule.id}$`));

    expect((await admin.send('DELETE', `/pki/v1/renewal-rules/${rule.id}`)).status).toBe(204);
    expect((await admin.send('DELETE', `/pki/v1/renewal-rules/${rule.id}`)).status).toBe(404);
    expect((await anybody.send('GET', `/pki/v1/renewal-rules/${rule.id}`)).status).toBe(404);
    const after = await anybody.send('GET', '/pki/v1/renewal-rules', { headers: { 'if-none-match': etag } });
    expect([after.status, after.json<{ rules: Rule[] }>().rules]).toEqual([200, []]);
  });

  it('are nobody else’s to make', async () => {
    const token = service.client(await nodeToken(admin, 'rules-node'));
    const body = { ring: 'kubernetes', reason: 'compromise' };
    for (const [client, status] of [
      [anybody, 401],
      [token, 403],
    ] as const) {
      expect((await client.send('POST', '/pki/v1/renewal-rules', { body })).status).toBe(status);
      expect((await client.send('DELETE', '/pki/v1/renewal-rules/x')).status).toBe(status);
    }
    expect((await token.send('GET', '/pki/v1/renewal-rules')).status).toBe(200);
  });

  it.each([
    [{ reason: 'rotation' }, 'ring'],
    [{ ring: 'nope', reason: 'rotation' }, 'ring'],
    [{ ring: 'etcd', reason: 'boredom' }, 'reason'],
    [{ ring: 'etcd', reason: 'rotation', authority: '00' }, 'authority'],
    [{ ring: 'etcd', reason: 'rotation', profile: 'x/y' }, 'profile'],
    [{ ring: 'etcd', reason: 'rotation', widthSeconds: 0 }, 'widthSeconds'],
    [{ ring: 'etcd', reason: 'rotation', start: 'soon' }, 'start'],
    [{ ring: 'etcd', reason: 'rotation', extra: 1 }, 'extra'],
  ])('%j says which field is wrong', async (body, field) => {
    const answer = await admin.send('POST', '/pki/v1/renewal-rules', { body });
    expect([answer.status, problem(answer).errors?.[0]?.field]).toEqual([422, field]);
  });

  it('are made, shown and deleted by the command line', async () => {
    const as = ['--kubeconfig', service.kubeconfig, '--server', service.url];
    const made = await inProcess([
      'renewal',
      'create',
      '--ring',
      'etcd',
      '--reason',
      'rotation',
      '--over',
      '2h',
      ...as,
      '-o',
      'json',
    ]);
    expect(made.err).toBe('');
    const { id } = JSON.parse(made.out) as Rule;
    expect((await inProcess(['renewal', 'list', ...as])).out).toMatch(new RegExp(`${id} +etcd +rotation +\\S+ +2h`));
    expect(await inProcess(['renewal', 'delete', id, ...as])).toEqual({ code: 0, out: '', err: '' });
    expect((await inProcess(['renewal', 'list', ...as])).err).toBe('no renewal found\n');
  });
});

describe('a service that steers kubelets', () => {
  it('shortens lives that nobody has asked for, and honours those that somebody has', async () => {
    const steering = await startTestService({ config: { renewal: { steerKubelets: true } } });
    try {
      const by = steering.client(steering.admin);
      const lives = new Set<number>();
      const lifeOf = async (node: string, expirationSeconds?: number): Promise<number> => {
        const client = steering.client(await nodeToken(by, node));
        const body = { signerName: kubelet, request: nodeCsr(node), ...(expirationSeconds && { expirationSeconds }) };
        const issued = (await client.send('POST', '/pki/v1/requests', { body })).json<{ certificate: string }>();
        const { validFrom, validTo } = new X509Certificate(issued.certificate);
        return Date.parse(validTo) - Date.parse(validFrom);
      };
      for (let i = 0; i < 8; i += 1) {
        const life = await lifeOf(`steered-${String(i)}`);
        expect(life).toBeGreaterThanOrEqual(0.77 * 30 * day);
        expect(life).toBeLessThanOrEqual(30 * day);
        lives.add(life);
      }
      expect(lives.size).toBeGreaterThan(1);
      expect(await lifeOf('asked', 20 * 86_400)).toBe(20 * day);
    } finally {
      await steering.stop();
    }
  });
});
