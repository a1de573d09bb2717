import { X509Certificate as NodeCertificate } from 'node:crypto';

import type { X509Certificate } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { dns, email, ip, uri } from '../../ca/x509/requests.js';
import { refusals } from './signers/refusals.js';
import { type Asked, nodeA, otherName, requestOf, signers, subjectKeyId, type Subject } from './signers/requests.js';
import { signed, type Signed } from './signers/signing.js';

const hour = 3600;
const day = 24 * hour;
const year = 365 * day;
const backdate = 300;
const clientAuth = ['digital signature', 'client auth'];
const serverAuth = ['digital signature', 'server auth'];
const jane: Subject = [['CN', 'jane']];

type Running = { service: TestService; client: TestClient };

function running(config: Readonly<Record<string, unknown>>): () => TestClient {
  let current: Running | undefined;
  beforeAll(async () => {
    const service = await startTestService({ config });
    current = { service, client: service.client(service.admin) };
  });
  afterAll(async () => current?.service.stop());
  return () => {
    if (current === undefined) throw new Error('not started');
    return current.client;
  };
}

/** Seconds from the approval to the certificate's end, and from its beginning to the approval. */
function validityOf({ object, certificate }: Signed): { ends: number; begins: number } {
  const approved = object.status.conditions?.find(({ type }) => type === 'Approved');
  const at = Date.parse(approved?.lastUpdateTime ?? '') / 1000;
  const time = (date: Date | undefined): number => (date?.getTime() ?? Number.NaN) / 1000;
  return { ends: time(certificate?.notAfter) - at, begins: at - time(certificate?.notBefore) };
}

async function expectValidity(client: TestClient, asked: Asked, ends: number): Promise<void> {
  const result = await signed(client, asked);
  expect(result.failed).toBeUndefined();
  const validity = validityOf(result);
  // The signer reads the clock again after the approval, by whole seconds.
  expect(validity.ends).toBeGreaterThanOrEqual(ends);
  expect(validity.ends).toBeLessThan(ends + 30);
  expect(validity.ends + validity.begins).toBe(ends + backdate);
}

/** Asked for, and how long after the approval the certificate ends: from eight hours on the backdating is taken off. */
const durations = [
  [600, 600],
  [1800, 1800],
  [hour, hour],
  [8 * hour - 1, 8 * hour - 1],
  [8 * hour, 8 * hour - backdate],
  [day, day - backdate],
  [year, year - backdate],
] as const;

describe('how long certificates live under `lifetimes: upstream`', () => {
  const client = running({ lifetimes: 'upstream' });

  it.each(durations)('%i seconds asked for end after %i', async (expirationSeconds, ends) => {
    await expectValidity(
      client(),
      { signerName: signers.client, der: requestOf(jane), usages: clientAuth, expirationSeconds },
      ends,
    );
  });

  it.each([signers.client, signers.kubelet])('nothing asked of %s gives a year', async (signerName) => {
    const der = requestOf(nodeA);
    await expectValidity(client(), { signerName, der, usages: clientAuth }, year - backdate);
  });

  it('more than a year gives a year, and unlike upstream says so', async () => {
    const asked = { signerName: signers.client, der: requestOf(jane), usages: clientAuth, expirationSeconds: year + 1 };
    await expectValidity(client(), asked, year - backdate);
    const { created } = await signed(client(), asked);
    expect(created.headers['warning']).toBe(
      '299 - "spec.expirationSeconds: kubernetes.io/kube-apiserver-client gives at most 31536000 seconds, not 31536001"',
    );
  });

  it.each([-60, 0, 599])('%i seconds are refused at create', async (expirationSeconds) => {
    const asked = signed(client(), {
      signerName: signers.client,
      der: requestOf(jane),
      usages: clientAuth,
      expirationSeconds,
    });
    await expect(asked).rejects.toThrow('may not specify a duration less than 600 seconds (10 minutes)');
  });
});

/** Unlike upstream's year: short enough that revocation is rarely needed. Whatever is asked for is as upstream. */
describe('how long certificates live by default', () => {
  const client = running({});

  it.each([
    [signers.client, jane, clientAuth],
    [signers.kubelet, nodeA, clientAuth],
  ] as const)('nothing asked of %s gives 30 days', async (signerName, subject, usages) => {
    await expectValidity(client(), { signerName, der: requestOf(subject), usages }, 30 * day - backdate);
  });

  it.each(durations)('%i seconds asked for end after %i', async (expirationSeconds, ends) => {
    await expectValidity(
      client(),
      { signerName: signers.kubelet, der: requestOf(nodeA), usages: clientAuth, expirationSeconds },
      ends,
    );
  });
});

describe('the rules of the signers', () => {
  const client = running({ lifetimes: 'upstream' });
  const kubeletUsages = 'usages did not match [client auth digital signature key encipherment]';
  const servingUsages = 'usages did not match [digital signature key encipherment server auth]';
  const names = [dns('node-a.example.com'), ip('0a000001')];
  const noNodes = 'subject organization is not system:nodes';
  const noPrefix = 'subject common name does not begin with system:node:';
  const named = (cn: string, ...organizations: string[]): Subject => [
    ...organizations.map((organization) => ['O', organization] as const),
    ['CN', cn],
  ];

  it.each<[string, string, Buffer, readonly string[]]>([
    ['client auth alone', signers.client, requestOf(jane), ['client auth']],
    ['all three usages', signers.client, requestOf(jane), [...clientAuth, 'key encipherment']],
    [
      'any names',
      signers.client,
      requestOf(jane, { names: [...names, email('a@example.com'), uri('spiffe://a/b')] }),
      clientAuth,
    ],
    ['a group of the cluster', signers.client, requestOf(named('jane', 'system:viewers')), clientAuth],
    [
      'a kubelet with an RSA key',
      signers.kubelet,
      requestOf(nodeA, { key: 'rsa-2048' }),
      [...clientAuth, 'key encipherment'],
    ],
    ['a kubelet on P-521', signers.kubelet, requestOf(nodeA, { key: 'ec-p521' }), clientAuth],
    ['a kubelet with Ed25519', signers.kubelet, requestOf(nodeA, { key: 'ed25519' }), clientAuth],
    ['a node without a name', signers.kubelet, requestOf(named('system:node:', 'system:nodes')), clientAuth],
    ['a node with capitals', signers.kubelet, requestOf(named('system:node:Node-A', 'system:nodes')), clientAuth],
    ['serving an address only', signers.serving, requestOf(nodeA, { names: [ip('0a000001')] }), serverAuth],
    ['serving a wildcard', signers.serving, requestOf(nodeA, { names: [dns('*.example.com')] }), serverAuth],
    [
      'serving with key encipherment',
      signers.serving,
      requestOf(nodeA, { names }),
      [...serverAuth, 'key encipherment'],
    ],
  ])('as upstream let pass: %s', async (_what, signerName, der, usages) => {
    const { certificate, failed } = await signed(client(), { signerName, der, usages });
    expect(failed).toBeUndefined();
    expect(certificate).toBeDefined();
  });

  it.each<[string, Buffer, readonly string[], string]>([
    [
      signers.client,
      requestOf(jane),
      ['digital signature'],
      'missing required usage for client certificate: client auth',
    ],
    [
      signers.client,
      requestOf(jane),
      [...clientAuth, 'server auth'],
      'invalid usage for client certificate: server auth',
    ],
    [signers.client, requestOf(jane), ['client auth', 'any'], 'invalid usage for client certificate: any'],
    [signers.kubelet, requestOf(named('system:node:a')), clientAuth, noNodes],
    [signers.kubelet, requestOf(named('system:node:a', 'system:nodes', 'dev')), clientAuth, noNodes],
    [signers.kubelet, requestOf(named('system:node:a', 'system:nodes', 'system:nodes')), clientAuth, noNodes],
    [signers.kubelet, requestOf(named('node-a', 'system:nodes')), clientAuth, noPrefix],
    [signers.kubelet, requestOf(named('System:Node:a', 'system:nodes')), clientAuth, noPrefix],
    [
      signers.kubelet,
      requestOf(nodeA, { names: [dns('a.example.com')] }),
      clientAuth,
      'DNS subjectAltNames are not allowed',
    ],
    [signers.kubelet, requestOf(nodeA, { names: [ip('0a000001')] }), clientAuth, 'IP subjectAltNames are not allowed'],
    [
      signers.kubelet,
      requestOf(nodeA, { names: [email('a@example.com')] }),
      clientAuth,
      'Email subjectAltNames are not allowed',
    ],
    [
      signers.kubelet,
      requestOf(nodeA, { names: [uri('spiffe://a/b')] }),
      clientAuth,
      'URI subjectAltNames are not allowed',
    ],
    [signers.kubelet, requestOf(nodeA), ['client auth'], kubeletUsages],
    [signers.kubelet, requestOf(nodeA), [...clientAuth, 'server auth'], kubeletUsages],
    [signers.serving, requestOf(nodeA), serverAuth, 'DNS or IP subjectAltName is required'],
    [signers.serving, requestOf(named('system:node:a'), { names }), serverAuth, noNodes],
    [signers.serving, requestOf(named('node-a', 'system:nodes'), { names }), serverAuth, noPrefix],
    [
      signers.serving,
      requestOf(nodeA, { names: [...names, email('a@example.com')] }),
      serverAuth,
      'Email subjectAltNames are not allowed',
    ],
    [
      signers.serving,
      requestOf(nodeA, { names: [...names, uri('spiffe://a/b')] }),
      serverAuth,
      'URI subjectAltNames are not allowed',
    ],
    [
      signers.serving,
      requestOf(nodeA, { names: [uri('spiffe://a/b')] }),
      serverAuth,
      'DNS or IP subjectAltName is required',
    ],
    [signers.serving, requestOf(nodeA, { names }), clientAuth, servingUsages],
    [signers.serving, requestOf(nodeA, { names }), ['server auth'], servingUsages],
    // Several rules broken: the first in upstream's order speaks.
    [signers.serving, requestOf(named('a')), clientAuth, noNodes],
    [signers.kubelet, requestOf(named('a', 'system:nodes'), { names }), ['any'], 'DNS subjectAltNames are not allowed'],
  ])('as upstream fail at %s, row %#', async (signerName, der, usages, message) => {
    const { certificate, failed } = await signed(client(), { signerName, der, usages });
    expect(failed).toBe(`SignerValidationFailure: ${message}`);
    expect(certificate).toBeUndefined();
  });

  it.each(refusals)('unlike upstream refuse $what', async (refusal) => {
    const { certificate, failed } = await signed(client(), refusal);
    expect(failed).toBe(`SignerValidationFailure: ${refusal.failed}`);
    expect(certificate).toBeUndefined();
  });

  it('refuse cluster administrators at create', async () => {
    const asked = signed(client(), {
      signerName: signers.client,
      der: requestOf(named('jane', 'system:masters')),
      usages: clientAuth,
    });
    await expect(asked).rejects.toThrow(
      /403 .*use of kubernetes\.io\/kube-apiserver-client signer with system:masters group is not allowed/,
    );
  });
});

const extensionNames: Readonly<Record<string, string>> = {
  '2.5.29.15': 'keyUsage',
  '2.5.29.37': 'extKeyUsage',
  '2.5.29.19': 'basicConstraints',
  '2.5.29.35': 'authorityKeyIdentifier',
  '2.5.29.17': 'subjectAltName',
};

function extensionsOf(certificate: X509Certificate | undefined): string[] {
  return (certificate?.extensions ?? []).map(
    ({ type, critical }) => `${extensionNames[type] ?? type}${critical ? ' critical' : ''}`,
  );
}

const extensionHex = (certificate: X509Certificate | undefined, type: string): string =>
  Buffer.from(certificate?.getExtension(type)?.value ?? new ArrayBuffer(0)).toString('hex');

describe('the content of certificates', () => {
  const client = running({ lifetimes: 'upstream' });
  const standard = ['keyUsage critical', 'extKeyUsage', 'basicConstraints critical', 'authorityKeyIdentifier'];

  it('is upstream’s: order of the extensions, one certificate, a serial of 128 bits, no key identifier of its own', async () => {
    const der = requestOf(nodeA, { names: [dns('a.example.com')], extensions: [subjectKeyId] });
    const { object, certificate } = await signed(client(), { signerName: signers.serving, der, usages: serverAuth });
    expect(extensionsOf(certificate)).toEqual([...standard, 'subjectAltName']);
    expect(extensionHex(certificate, '2.5.29.19')).toBe('3000');
    const pem = Buffer.from(object.status.certificate ?? '', 'base64').toString();
    expect(pem.match(/-----BEGIN/g)).toHaveLength(1);
    expect(pem).toMatch(/^-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n$/);
    const { serialNumber, ca } = new NodeCertificate(pem);
    expect(serialNumber).toMatch(/^[0-9A-F]{31,32}$/);
    expect(ca).toBe(false);
  });

  it('has a critical name where the subject is empty', async () => {
    const der = requestOf([], { names: [dns('a.example.com')] });
    const { certificate } = await signed(client(), { signerName: signers.client, der, usages: clientAuth });
    expect(extensionsOf(certificate)).toEqual([...standard, 'subjectAltName critical']);
  });

  it('has the subject in Go’s order, with the last of several common names', async () => {
    const der = requestOf([
      ['CN', 'first'],
      ['emailAddress', 'a@example.com'],
      ['OU', 'unit'],
      ['O', 'b'],
      ['O', 'a'],
      ['C', 'DE'],
      ['CN', 'last'],
    ]);
    const { certificate } = await signed(client(), { signerName: signers.client, der, usages: clientAuth });
    expect(certificate?.subject).toBe('C=DE, O=a+O=b, OU=unit, CN=last');
  });

  it('has names of all kinds, other extensions of the request are dropped', async () => {
    const der = requestOf(jane, {
      names: [dns('a.example.com'), ip('0a000001'), email('a@example.com'), uri('spiffe://a/b')],
      extensions: [subjectKeyId],
    });
    const { certificate } = await signed(client(), { signerName: signers.client, der, usages: clientAuth });
    expect(extensionsOf(certificate)).toEqual([...standard, 'subjectAltName']);
    // Go writes DNS names, then mailboxes, addresses and URIs.
    expect(extensionHex(certificate, '2.5.29.17')).toMatch(/^30..82.*81.*87040a000001860c/);
  });

  it('has no key usage when client authentication is all that is asked for', async () => {
    const { certificate } = await signed(client(), {
      signerName: signers.client,
      der: requestOf(jane),
      usages: ['client auth'],
    });
    expect(extensionsOf(certificate)).toEqual(standard.slice(1));
  });

  it.each([
    [clientAuth, '03020780'],
    [['key encipherment', 'digital signature', 'client auth'], '030205a0'],
  ])('has the key usages of %j', async (usages, bits) => {
    const { certificate } = await signed(client(), { signerName: signers.client, der: requestOf(jane), usages });
    expect(extensionHex(certificate, '2.5.29.15')).toBe(bits);
    expect(extensionHex(certificate, '2.5.29.37')).toBe('300a06082b06010505070302');
  });

  it('has text beyond ASCII as it was', async () => {
    const { certificate } = await signed(client(), {
      signerName: signers.client,
      der: requestOf([['CN', 'zoë ☸']]),
      usages: clientAuth,
    });
    expect(certificate?.subject).toBe('CN=zoë ☸');
  });

  it('never leaves out a name that was asked for', async () => {
    const der = requestOf(nodeA, { names: [otherName, dns('a.example.com')] });
    const { failed } = await signed(client(), { signerName: signers.serving, der, usages: serverAuth });
    expect(failed).toMatch(/^SignerValidationFailure: subjectAltName\[0\]/);
  });
});
