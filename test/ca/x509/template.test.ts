import { webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';

import { certificateParts, readCertificate } from '../../../src/ca/x509/certificate.js';
import { orderNames } from '../../../src/ca/x509/general-names.js';
import { lintLeaf } from '../../../src/ca/x509/lint.js';
import { decodeName, rebuildSubject } from '../../../src/ca/x509/name.js';
import { x509 } from '../../../src/ca/x509/peculiar.js';
import type { AltName, DistinguishedName, KeyUsage, LeafSpec } from '../../../src/ca/x509/types.js';
import { type TestAuthority, anyLeafSpec, day, leafSpec, makeAuthority } from './leaves.js';
import { tlv } from './requests.js';

let authority: TestAuthority;

beforeAll(async () => {
  // Outlives every generated leaf, also those of 2061.
  const made = await makeAuthority('ec-p256');
  authority = { ...made, info: { ...made.info, notAfter: Date.UTC(2070, 0) } };
});

const wholeSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000) * 1000;

/** What the library calls the kinds of names. */
const typeOf = { dns: 'dns', ip: 'ip', email: 'email', uri: 'url' } as const satisfies Record<AltName['kind'], string>;

const flagOf: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: 1,
  nonRepudiation: 2,
  keyEncipherment: 4,
  dataEncipherment: 8,
  keyAgreement: 16,
  keyCertSign: 32,
  cRLSign: 64,
  encipherOnly: 128,
  decipherOnly: 256,
};
const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
};

/** Values of one type share an RDN, and the library's JSON has one object per RDN. */
function asLibraryJson(subject: DistinguishedName): Record<string, string[]>[] {
  const out: Record<string, string[]>[] = [];
  for (const { oid, value } of rebuildSubject(subject)) {
    const key = shortNames[oid] ?? oid;
    const last = out.at(-1);
    if (last?.[key] === undefined) out.push({ [key]: [value] });
    else last[key].push(value);
  }
  return out;
}

function readByLibrary(der: Buffer): Record<string, unknown> {
  const certificate = new x509.X509Certificate(der);
  return {
    serial: certificate.serialNumber,
    issuer: Buffer.from(certificate.issuerName.toArrayBuffer()).toString('hex'),
    subject: certificate.subjectName.toJSON(),
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
    spki: Buffer.from(certificate.publicKey.rawData).toString('hex'),
    names: certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [],
    keyUsages: certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0,
    extendedKeyUsages: [...(certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
    authorityKeyId: certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
    ca: certificate.getExtension(x509.BasicConstraintsExtension)?.ca,
    extensions: certificate.extensions.map((e) => `${e.type} ${String(e.critical)}`),
  };
}

function expected(spec: LeafSpec): Record<string, unknown> {
  const keyUsage = spec.keyUsages.length > 0 ? ['2.5.29.15 true'] : [];
  const names = spec.names.length > 0 ? [`2.5.29.17 ${String(rebuildSubject(spec.subject).length === 0)}`] : [];
  return {
    serial: spec.serial.toString('hex'),
    issuer: authority.facts.subjectDer.toString('hex'),
    subject: asLibraryJson(spec.subject),
    notBefore: wholeSeconds(spec.notBefore),
    notAfter: wholeSeconds(spec.notAfter),
    spki: spec.spki.toString('hex'),
    names: orderNames(spec.names).map(({ kind, value }) => ({ type: typeOf[kind], value })),
    keyUsages: spec.keyUsages.reduce((sum, usage) => sum + flagOf[usage], 0),
    extendedKeyUsages: [...spec.extendedKeyUsages],
    authorityKeyId: authority.facts.subjectKeyId,
    ca: false,
    extensions: [...keyUsage, '2.5.29.37 false', '2.5.29.19 true', '2.5.29.35 false', ...names],
  };
}

test('an independent reader, our own and the lint find every field as it was asked for', () => {
  fc.assert(
    fc.property(anyLeafSpec, (spec) => {
      const der = authority.issue(spec);
      expect(readByLibrary(der)).toEqual(expected(spec));
      lintLeaf(certificateParts(der).tbs, spec, authority.info);
      const facts = readCertificate(der);
      expect(facts).toMatchObject({
        serial: spec.serial.toString('hex'),
        subject: rebuildSubject(spec.subject),
        names: orderNames(spec.names),
        notBefore: wholeSeconds(spec.notBefore),
        notAfter: wholeSeconds(spec.notAfter),
        isCa: false,
        extendedKeyUsages: spec.extendedKeyUsages,
        authorityKeyId: authority.facts.subjectKeyId,
        subjectKeyId: undefined,
      });
      expect(new Set(facts.keyUsages)).toEqual(new Set(spec.keyUsages));
      expect(facts.key.spki.equals(spec.spki)).toBe(true);
      expect(facts.publicKey.export({ format: 'der', type: 'spki' }).equals(spec.spki)).toBe(true);
    }),
    { numRuns: 2000 },
  );
}, 120_000);

const oidOf = (type: string): string => Object.keys(shortNames).find((oid) => shortNames[oid] === type) ?? type;

/** Literal text: a bare string would be interpreted. */
const typedValue = (value: string): x509.JsonAttributeObject =>
  /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? { printableString: value } : { utf8String: value };

/** A named bit list of up to nine bits, the first in the lowest place of `flags`, without trailing zeros. */
function namedBits(flags: number): Buffer {
  const bits = flags.toString(2).split('').reverse().join('');
  const padded = bits.padEnd(bits.length > 8 ? 16 : 8, '0');
  const octets = padded.match(/.{8}/g)?.map((octet) => Number.parseInt(octet, 2)) ?? [];
  return tlv(0x03, Buffer.from([padded.length - bits.length, ...octets]));
}

/** The same leaf by the library's generator, its to-be-signed part. */
async function tbsByLibrary(spec: LeafSpec, keys: webcrypto.CryptoKeyPair): Promise<Buffer> {
  const rdns: x509.JsonNameParams = asLibraryJson(spec.subject).map((rdn) =>
    Object.fromEntries(Object.entries(rdn).map(([type, values]) => [oidOf(type), values.map(typedValue)])),
  );
  const names = orderNames(spec.names).map(({ kind, value }) => ({ type: typeOf[kind], value }));
  const flags = spec.keyUsages.reduce((sum, usage) => sum + flagOf[usage], 0);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: spec.serial.toString('hex'),
      subject: new x509.Name(rdns),
      issuer: new x509.Name(authority.facts.subjectDer),
      notBefore: new Date(wholeSeconds(spec.notBefore)),
      notAfter: new Date(wholeSeconds(spec.notAfter)),
      publicKey: spec.spki,
      signingKey: keys.privateKey,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        ...(flags > 0 ? [new x509.Extension('2.5.29.15', true, namedBits(flags))] : []),
        new x509.ExtendedKeyUsageExtension([...spec.extendedKeyUsages]),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.AuthorityKeyIdentifierExtension(authority.facts.subjectKeyId ?? ''),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names, rdns.length === 0)] : []),
      ],
    },
    webcrypto,
  );
  return certificateParts(Buffer.from(certificate.rawData)).tbs;
}

test('an independent generator writes the same bytes', async () => {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  await fc.assert(
    fc.asyncProperty(anyLeafSpec, async (spec) => {
      const theirs = await tbsByLibrary(spec, keys);
      expect(authority.template.encodeTbs(spec).toString('hex')).toBe(theirs.toString('hex'));
    }),
    { numRuns: 300 },
  );
}, 120_000);

describe('what a leaf looks like', () => {
  test('UTCTime through 2049, GeneralizedTime from 2050 on', () => {
    const last = Date.UTC(2049, 11, 31, 23, 59, 59, 999);
    const tbs = authority.template.encodeTbs(leafSpec({ notBefore: last, notAfter: last + 1 }));
    expect(tbs.includes(Buffer.from('\u0017\u000d491231235959Z', 'latin1'))).toBe(true);
    expect(tbs.includes(Buffer.from('\u0018\u000f20500101000000Z', 'latin1'))).toBe(true);
  });

  test('names are critical when there is no subject, and left out when there are none', () => {
    const bare = readByLibrary(authority.issue(leafSpec({ subject: [] })));
    expect(bare['extensions']).toContain('2.5.29.17 true');
    const nameless = readByLibrary(authority.issue(leafSpec({ names: [], keyUsages: [] })));
    expect(nameless['extensions']).toEqual(['2.5.29.37 false', '2.5.29.19 true', '2.5.29.35 false']);
  });

  test('a value never becomes another attribute', () => {
    const value = 'evil, O=system:masters+OU=x\n#0c05';
    const facts = readCertificate(authority.issue(leafSpec({ subject: [{ oid: '2.5.4.3', value }] })));
    expect(facts.subject).toEqual([{ oid: '2.5.4.3', value }]);
    expect(decodeName(facts.subjectDer)).toEqual([{ oid: '2.5.4.3', value }]);
  });

  test.each<AltName>([
    { kind: 'dns', value: '' },
    { kind: 'dns', value: 'a\u0000b' },
    { kind: 'dns', value: 'é.example.org' },
    { kind: 'ip', value: '10.0.0.0/8' },
    { kind: 'ip', value: '010.0.0.1' },
    { kind: 'ip', value: '10.0.1' },
    { kind: 'ip', value: '::ffff:10.0.0.1' },
    { kind: 'ip', value: 'fe80::1%eth0' },
    { kind: 'ip', value: '2001:DB8::1' },
    { kind: 'ip', value: '2001:db8:0::1' },
    { kind: 'email', value: 'a' },
    { kind: 'uri', value: 'a' },
  ])('the name $kind $value is not written', (altName) => {
    expect(() => authority.template.encodeTbs(leafSpec({ names: [altName] }))).toThrow(/name/);
  });

  test('a time outside what a certificate can carry is not written', () => {
    expect(() => authority.template.encodeTbs(leafSpec({ notAfter: Number.NaN }))).toThrow(/time/);
    expect(() => authority.template.encodeTbs(leafSpec({ notBefore: Date.UTC(1949, 0) }))).toThrow(/time/);
    expect(() => authority.template.encodeTbs(leafSpec({ notAfter: Date.UTC(9999, 11, 31) + day }))).toThrow(/time/);
  });
});
