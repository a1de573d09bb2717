import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { gnutlsVerify, nodeVerify, opensslVerify } from '../ca/verifiers.js';
import {
  bootstrapBlocking,
  type KubeletOptions,
  requestClientCertificate,
  requestServingCertificate,
} from '../support/kubelet.js';
import { newEcKey, newRsaKey } from '../support/pkcs10.js';
import { peers } from '../support/peers.js';
import { startTestService, type TestService } from '../support/service.js';

let rotunda: TestService;

beforeAll(async () => {
  rotunda = await startTestService();
});

afterAll(async () => {
  await rotunda.stop();
});

type TokenAnswer = { token: string };

async function post<T>(path: string, body: unknown): Promise<T> {
  const answer = await rotunda.client(rotunda.admin).send('POST', path, { body });
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.text === '' ? (undefined as T) : answer.json<T>();
}

async function boundToken(name: string, extra: { addresses?: string[]; reusable?: boolean } = {}): Promise<string> {
  const { addresses = [], ...rest } = extra;
  return (await post<TokenAnswer>('/pki/v1/tokens', { node: { name, addresses }, ...rest })).token;
}

function kubelet(nodeName: string, extra: Partial<KubeletOptions>): KubeletOptions {
  return { url: rotunda.url, ca: rotunda.ca, nodeName, ...extra };
}

function expectNodeCertificate(pem: string, node: string): X509Certificate {
  const certificate = new X509Certificate(pem);
  expectVerified(pem);
  expect(certificate.subject).toBe(`O=system:nodes\nCN=system:node:${node}`);
  expect(certificate.verify(new X509Certificate(rotunda.ca).publicKey)).toBe(true);
  return certificate;
}

/** By every verifier that there is. */
function expectVerified(leaf: string): void {
  const chain = { leaf, anchors: rotunda.ca };
  expect(nodeVerify(chain)).toBe(true);
  if (peers.openssl !== undefined) expect(opensslVerify(peers.openssl, chain)).toContain('OK');
  if (peers.certtool !== undefined) expect(gnutlsVerify(peers.certtool, chain)).toContain('Verified.');
}

describe('a kubelet with a bound token', () => {
  it.each([
    { wire: 'protobuf', read: 'watch-list' },
    { wire: 'json', read: 'list-watch' },
    { wire: 'protobuf', read: 'list-watch' },
    { wire: 'json', read: 'watch-list' },
  ] as const)('gets its client certificate: $wire, $read', async ({ wire, read }) => {
    const node = `node-${wire}-${read}`;
    const token = await boundToken(node);
    const obtained = await requestClientCertificate(kubelet(node, { token, wire, read }));
    expectNodeCertificate(obtained.cert, node);
    expect(obtained.name).toMatch(/^csr-[a-z0-9]{5}$/);
  });

  it('gets it with an RSA key too', async () => {
    const token = await boundToken('node-rsa');
    const obtained = await requestClientCertificate(kubelet('node-rsa', { token, key: newRsaKey() }));
    expect(expectNodeCertificate(obtained.cert, 'node-rsa').publicKey.asymmetricKeyType).toBe('rsa');
  });

  it('goes on with the certificate: renews, and gets its serving certificate', async () => {
    const token = await boundToken('node-whole', { addresses: ['192.0.2.7'] });
    const first = await requestClientCertificate(kubelet('node-whole', { token }));
    const second = await requestClientCertificate(kubelet('node-whole', { credential: first }));
    expectNodeCertificate(second.cert, 'node-whole');
    const serving = await requestServingCertificate({
      ...kubelet('node-whole', { credential: second }),
      dns: ['node-whole'],
      ips: ['192.0.2.7'],
    });
    const certificate = expectNodeCertificate(serving.cert, 'node-whole');
    expect(certificate.subjectAltName).toBe('DNS:node-whole, IP Address:192.0.2.7');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('has used its token up once its certificate has authenticated', async () => {
    const token = await boundToken('node-once');
    const first = await requestClientCertificate(kubelet('node-once', { token }));
    await requestClientCertificate(kubelet('node-once', { credential: first }));
    await expect(requestClientCertificate(kubelet('node-once', { token }))).rejects.toThrow(/^401 /);
  });

  it('that died before it wrote its certificate asks again, and the lost certificate is refused', async () => {
    const token = await boundToken('node-lost');
    const lost = await requestClientCertificate(kubelet('node-lost', { token }));
    const kept = await requestClientCertificate(kubelet('node-lost', { token }));
    await expect(requestClientCertificate(kubelet('node-lost', { credential: lost }))).rejects.toThrow(/^401 /);
    await requestClientCertificate(kubelet('node-lost', { credential: kept }));
  });

  it('is denied another name, told both, and keeps its token', async () => {
    const token = await boundToken('node-own');
    await expect(requestClientCertificate(kubelet('node-other', { token }))).rejects.toThrow(
      /denied.*node-(own|other).*node-(own|other)/s,
    );
    await requestClientCertificate(kubelet('node-own', { token }));
  });
});

describe('the blocking bootstrap', () => {
  it('names its request after the key and takes it up again', async () => {
    const token = await boundToken('node-blocking');
    const key = newEcKey();
    const first = await bootstrapBlocking(kubelet('node-blocking', { token, key }));
    expect(first.name).toMatch(/^node-csr-[A-Za-z0-9_-]{43}$/);
    const again = await bootstrapBlocking(kubelet('node-blocking', { token, key }));
    expect(again.cert).toBe(first.cert);
  });
});

describe('a kubelet that must wait', () => {
  it('is held until it is enrolled, and approved at once then', async () => {
    const { token } = await post<TokenAnswer>('/pki/v1/tokens', { description: 'as kubeadm makes them' });
    await expect(requestClientCertificate(kubelet('node-unknown', { token, waitMs: 300 }))).rejects.toThrow();
    const waiting = requestClientCertificate(kubelet('node-unknown', { token }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await post('/pki/v1/nodes', { name: 'node-unknown' });
    expectNodeCertificate((await waiting).cert, 'node-unknown');
  });

  it('gets its serving certificate when the missing address is enrolled', async () => {
    const token = await boundToken('node-serving', { addresses: ['192.0.2.8'] });
    const credential = await requestClientCertificate(kubelet('node-serving', { token }));
    const waiting = requestServingCertificate({
      ...kubelet('node-serving', { credential }),
      dns: ['node-serving'],
      ips: ['192.0.2.8', '192.0.2.9'],
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const admin = rotunda.client(rotunda.admin);
    const body = { addresses: ['192.0.2.8', '192.0.2.9'] };
    const changed = await admin.send('PATCH', '/pki/v1/nodes/node-serving', { body });
    expect(changed.status, changed.text).toBe(200);
    expect(new X509Certificate((await waiting).cert).subjectAltName).toContain('192.0.2.9');
  });
});

describe('a disabled node', () => {
  it('is refused at once, with the certificate it has and with every renewal', async () => {
    const token = await boundToken('node-banned', { reusable: true });
    const credential = await requestClientCertificate(kubelet('node-banned', { token }));
    await requestClientCertificate(kubelet('node-banned', { credential }));
    await post('/pki/v1/nodes/node-banned/disable', {});
    const listed = await rotunda.client(rotunda.admin).send('GET', '/pki/v1/certificates?node=node-banned');
    const { items } = listed.json<{ items: { banned?: string }[] }>();
    expect(items.length).toBeGreaterThan(0);
    for (const item of items) expect(item.banned).toBeDefined();
    await expect(requestClientCertificate(kubelet('node-banned', { credential }))).rejects.toThrow(/^401 /);
    await expect(requestClientCertificate(kubelet('node-banned', { token }))).rejects.toThrow(/denied|^40[13] /);
  });
});
