import { type KeyObject, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';

import { buildAuthorityCertificate } from '../../../src/ca/x509/authority.js';
import { readCertificate } from '../../../src/ca/x509/certificate.js';
import { assembleCertificate, createLeafTemplate, type LeafTemplate } from '../../../src/ca/x509/template.js';
import type {
  AltName,
  CertificateFacts,
  IssuerInfo,
  KeyUsage,
  LeafSpec,
  NameAttribute,
} from '../../../src/ca/x509/types.js';
import { keyPair, spkiOf } from './requests.js';

export type CaKeyType = IssuerInfo['keyType'];
export const caKeyTypes: readonly CaKeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'];

export type TestAuthority = {
  readonly facts: CertificateFacts;
  readonly info: IssuerInfo;
  readonly template: LeafTemplate;
  readonly sign: (tbs: Buffer) => Buffer;
  readonly issue: (spec: LeafSpec) => Buffer;
};

export const day = 24 * 60 * 60 * 1000;

function generate(type: CaKeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  if (type === 'ed25519') return generateKeyPairSync('ed25519');
  if (type.startsWith('rsa-')) return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) });
  return generateKeyPairSync('ec', { namedCurve: type === 'ec-p256' ? 'P-256' : 'P-384' });
}

export async function makeAuthority(keyType: CaKeyType, commonName = `test ${keyType}`): Promise<TestAuthority> {
  const { privateKey, publicKey } = generate(keyType);
  const hash = keyType === 'ed25519' ? null : keyType === 'ec-p384' ? 'sha384' : 'sha256';
  const signTbs = (tbs: Buffer): Buffer => sign(hash, tbs, privateKey);
  const now = Date.now();
  const der = await buildAuthorityCertificate({
    commonName,
    spki: spkiOf(publicKey),
    keyType,
    serial: Buffer.from('01f1c8b7a69584736251403f2e1d0c0b', 'hex'),
    notBefore: now - day,
    notAfter: now + 3650 * day,
    sign: signTbs,
  });
  const facts = readCertificate(der);
  const info: IssuerInfo = {
    subjectDer: facts.subjectDer,
    ski: Buffer.from(facts.subjectKeyId ?? '', 'hex'),
    keyType,
    notAfter: facts.notAfter,
  };
  const template = createLeafTemplate(info);
  const issue = (spec: LeafSpec): Buffer => {
    const tbs = template.encodeTbs(spec);
    return assembleCertificate(tbs, signTbs(tbs), keyType);
  };
  return { facts, info, template, sign: signTbs, issue };
}

export const serverAuth = '1.3.6.1.5.5.7.3.1';
export const clientAuth = '1.3.6.1.5.5.7.3.2';

export function leafSpec(overrides: Partial<LeafSpec> = {}): LeafSpec {
  const now = Date.now();
  return {
    serial: Buffer.from('0a1b2c3d4e5f60718293a4b5c6d7e8f9', 'hex'),
    subject: [
      { oid: '2.5.4.10', value: 'system:nodes' },
      { oid: '2.5.4.3', value: 'system:node:a' },
    ],
    names: [
      { kind: 'dns', value: 'a.example.org' },
      { kind: 'ip', value: '10.0.0.1' },
    ],
    spki: spkiOf(keyPair('ec-p256').publicKey),
    notBefore: now - 5 * 60 * 1000,
    notAfter: now + 30 * day,
    keyUsages: ['digitalSignature', 'keyEncipherment'],
    extendedKeyUsages: [serverAuth, clientAuth],
    ...overrides,
  };
}

const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?$/);
const dnsName = fc
  .tuple(fc.boolean(), fc.array(label, { minLength: 2, maxLength: 4 }), fc.stringMatching(/^[a-z]{2,6}$/))
  .map(([wildcard, labels, top]): AltName => ({
    kind: 'dns',
    value: `${wildcard ? '*.' : ''}${[...labels, top].join('.')}`,
  }));
const ipv4 = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((o): AltName => ({ kind: 'ip', value: o.join('.') }));
/** Canonical only: four groups that are not zero, then a stretch of zeros, then one. */
const group = fc.integer({ min: 1, max: 0xffff }).map((n) => n.toString(16));
const ipv6 = fc.oneof(
  fc.array(group, { minLength: 8, maxLength: 8 }).map((g): AltName => ({ kind: 'ip', value: g.join(':') })),
  fc
    .tuple(fc.array(group, { minLength: 1, maxLength: 4 }), group)
    .map(([g, last]): AltName => ({ kind: 'ip', value: `${g.join(':')}::${last}` })),
);
const mailbox = fc
  .stringMatching(/^[a-z0-9]{1,10}$/)
  .map((local): AltName => ({ kind: 'email', value: `${local}@example.org` }));
const uri = fc
  .stringMatching(/^[a-z0-9]{1,10}$/)
  .map((path): AltName => ({ kind: 'uri', value: `spiffe://cluster.local/${path}` }));

export const altName = fc.oneof(dnsName, dnsName, ipv4, ipv6, mailbox, uri);

const attributeOid = fc.constantFrom(
  '2.5.4.3',
  '2.5.4.10',
  '2.5.4.11',
  '2.5.4.7',
  '2.5.4.8',
  '2.5.4.9',
  '2.5.4.17',
  '2.5.4.5',
);
const text = fc.oneof(
  fc.string({ minLength: 1, maxLength: 30 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }),
  fc.constantFrom(
    'a, O=system:masters',
    '#0c0561',
    'CN=x+O=y',
    '"quoted"',
    '\\2c',
    ' leading',
    'trailing ',
    'system:nodes',
    'a*b&c',
  ),
);
const attribute = fc.record({ oid: attributeOid, value: text }) satisfies fc.Arbitrary<NameAttribute>;

const keyUsage = fc.constantFrom<KeyUsage>(
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'encipherOnly',
  'decipherOnly',
);
const extendedKeyUsage = fc.constantFrom(
  serverAuth,
  clientAuth,
  '1.3.6.1.5.5.7.3.3',
  '1.3.6.1.4.1.311.10.3.3',
  '2.16.840.1.113730.4.1',
);
const serial = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((octets) => {
  const out = Buffer.from(octets);
  out[0] = (out[0] ?? 0) & 0x7f || 1;
  return out;
});
const leafKey = fc.constantFrom(
  'ec-p256' as const,
  'ec-p384' as const,
  'ec-p521' as const,
  'ed25519' as const,
  'rsa-2048' as const,
);

/** Everything that a leaf may say, on both sides of the year 2050. */
export const anyLeafSpec: fc.Arbitrary<LeafSpec> = fc
  .record({
    serial,
    subject: fc.array(attribute, { minLength: 1, maxLength: 6 }),
    names: fc.uniqueArray(altName, { maxLength: 8, selector: (n) => n.kind + n.value }),
    key: leafKey,
    notBefore: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2060, 0) }),
    lifetime: fc.integer({ min: 600_000, max: 400 * day }),
    keyUsages: fc.uniqueArray(keyUsage, { maxLength: 5 }),
    extendedKeyUsages: fc.uniqueArray(extendedKeyUsage, { minLength: 1, maxLength: 4 }),
  })
  .map(({ key, lifetime, ...rest }) => ({
    ...rest,
    spki: spkiOf(keyPair(key).publicKey),
    notAfter: rest.notBefore + lifetime,
  }));
