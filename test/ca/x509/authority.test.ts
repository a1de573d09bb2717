import { X509Certificate, createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';

import { buildAuthorityCertificate } from '../../../src/ca/x509/authority.js';
import { certificateParts, readCertificate, toPem } from '../../../src/ca/x509/certificate.js';
import { x509 } from '../../../src/ca/x509/peculiar.js';
import { describeWithPeer, requirePeer } from '../../support/peers.js';
import { gnutlsVerify, nodeVerify, opensslVerify } from '../verifiers.js';
import { type CaKeyType, type TestAuthority, caKeyTypes, leafSpec, makeAuthority } from './leaves.js';
import { type TestKey, keyPair, spkiOf } from './requests.js';

const authorities = new Map<CaKeyType, TestAuthority>();

beforeAll(async () => {
  for (const keyType of caKeyTypes) authorities.set(keyType, await makeAuthority(keyType, 'root, O=system:masters'));
}, 120_000);

function authorityOf(keyType: CaKeyType): TestAuthority {
  const found = authorities.get(keyType);
  if (found === undefined) throw new Error(`no authority ${keyType}`);
  return found;
}

const leafKeys: readonly TestKey[] = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa-2048', 'rsa-3072'];
const everyPair = caKeyTypes.flatMap((ca) => leafKeys.map((leaf) => [ca, leaf] as const));

const chain = (ca: CaKeyType, leaf: TestKey): { leaf: string; anchors: string } => {
  const authority = authorityOf(ca);
  const der = authority.issue(leafSpec({ spki: spkiOf(keyPair(leaf).publicKey) }));
  return { leaf: toPem({ der }), anchors: toPem(authority.facts) };
};

describe.each(caKeyTypes)('an authority with a key of type %s', (keyType) => {
  test('says what an authority says, by two readers', () => {
    const { facts } = authorityOf(keyType);
    expect(facts).toMatchObject({
      isCa: true,
      keyUsages: ['digitalSignature', 'keyCertSign', 'cRLSign'],
      extendedKeyUsages: [],
      names: [],
      subject: [{ oid: '2.5.4.3', value: 'root, O=system:masters' }],
    });
    expect(facts.issuerDer.equals(facts.subjectDer)).toBe(true);
    expect(facts.authorityKeyId).toBe(facts.subjectKeyId);
    const bits = certificateParts(facts.der);
    expect(bits.signature.length).toBeGreaterThan(0);
    const certificate = new x509.X509Certificate(facts.der);
    const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
    expect(constraints).toMatchObject({ ca: true, pathLength: 1, critical: true });
    expect(certificate.getExtension(x509.KeyUsagesExtension)?.critical).toBe(true);
    expect(certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId).toBe(facts.subjectKeyId);
  });

  test('is signed by itself', () => {
    const certificate = new X509Certificate(authorityOf(keyType).facts.der);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(true);
  });
});

test('the key identifier is the SHA-1 of the key’s bits', () => {
  const { facts } = authorityOf('ec-p256');
  const point = facts.key.spki.subarray(-65);
  expect(facts.subjectKeyId).toBe(createHash('sha1').update(point).digest('hex'));
});

test('a serial or a validity that cannot be is refused', async () => {
  const { facts, sign } = authorityOf('ec-p256');
  const spec = {
    commonName: 'x',
    spki: facts.key.spki,
    keyType: 'ec-p256',
    serial: Buffer.from([1]),
    notBefore: 0,
    notAfter: 1000,
    sign,
  } as const;
  await expect(buildAuthorityCertificate({ ...spec, serial: Buffer.from([0x80]) })).rejects.toThrow(/serial/);
  await expect(buildAuthorityCertificate({ ...spec, serial: Buffer.alloc(21, 1) })).rejects.toThrow(/serial/);
  await expect(buildAuthorityCertificate({ ...spec, notBefore: 1000 })).rejects.toThrow(/validity/);
});

test('node verifies a leaf of every key type under every authority', () => {
  for (const [ca, leaf] of everyPair) expect(nodeVerify(chain(ca, leaf)), `${leaf} under ${ca}`).toBe(true);
});

test('certificates by others are read too', () => {
  const { facts } = authorityOf('rsa-2048');
  expect(readCertificate(Buffer.from(new X509Certificate(toPem(facts)).raw)).fingerprint).toBe(facts.fingerprint);
});

describeWithPeer('openssl', 'openssl verify -x509_strict', () => {
  test.each(everyPair)('%s over %s', (ca, leaf) => {
    expect(opensslVerify(requirePeer('openssl'), chain(ca, leaf))).toContain('OK');
  });
});

describeWithPeer('certtool', 'certtool --verify', () => {
  test.each(everyPair)('%s over %s', (ca, leaf) => {
    expect(gnutlsVerify(requirePeer('certtool'), chain(ca, leaf))).toContain('Verified. The certificate is trusted.');
  });
});
