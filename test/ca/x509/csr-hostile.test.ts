import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { readCsr } from '../../../src/ca/x509/csr.js';
import {
  algorithms,
  altNames,
  attribute,
  buildRequest,
  dns,
  email,
  extension,
  extensionRequest,
  hex,
  ip,
  name,
  oids,
  rdn,
  spkiOf,
  tlv,
  uri,
  utf8,
  withNames,
} from './requests.js';

const rulesOf = (der: Buffer): string[] => readCsr(der).problems.map((p) => p.rule);
const withExtensions = (...extensions: readonly Buffer[]): Buffer =>
  buildRequest({ attributes: [extensionRequest(...extensions)] });
const withSubjectValue = (type: Buffer, value: Buffer): Buffer =>
  buildRequest({ subject: name(rdn(attribute(type, value))) });

describe('read, and never signed', () => {
  test.each<[string, Buffer, string]>([
    ['RSA of 1024 bits', buildRequest({ key: 'rsa-1024' }), 'key-size'],
    ['the curve P-224', buildRequest({ key: 'ec-p224' }), 'key-type'],
    ['a signature with SHA-1', buildRequest({ algorithm: algorithms.ecdsaSha1, hash: 'sha1' }), 'signature-hash'],
    ['an empty DNS name', withNames(dns('')), 'san-dns'],
    ['a NUL in a DNS name', withNames(dns('a.b\u0000.evil.org')), 'san-dns'],
    ['a space in a DNS name', withNames(dns('a b')), 'san-dns'],
    ['an underscore in a DNS name', withNames(dns('a_b')), 'san-dns'],
    ['a final dot', withNames(dns('a.b.')), 'san-dns'],
    ['an empty label', withNames(dns('a..b')), 'san-dns'],
    ['a label that starts with a hyphen', withNames(dns('-a.b')), 'san-dns'],
    ['a label of 64 characters', withNames(dns(`${'a'.repeat(64)}.b`)), 'san-dns'],
    ['a DNS name of 254 characters', withNames(dns(`${'a.'.repeat(126)}bb`)), 'san-dns'],
    ['a bare wildcard', withNames(dns('*')), 'san-dns'],
    ['a wildcard for a top-level domain', withNames(dns('*.org')), 'san-dns'],
    ['a wildcard inside', withNames(dns('a.*.org')), 'san-dns'],
    ['part of a label as a wildcard', withNames(dns('a*.b.org')), 'san-dns'],
    ['an address as a DNS name', withNames(dns('10.0.0.1')), 'san-dns'],
    ['an IPv4 address mapped into IPv6', withNames(ip('00000000000000000000ffff0a000001')), 'san-ip'],
    ['a mailbox without a domain', withNames(email('root')), 'san-email'],
    ['a relative URI', withNames(uri('/etc/passwd')), 'san-uri'],
    ['a URI with a space', withNames(uri('http://a/b c')), 'san-uri'],
    ['a URI without a host', withNames(uri('http://')), 'san-uri'],
    [
      'an otherName beside a DNS name',
      withNames(dns('a.b'), tlv(0xa0, hex('06032a0304'), tlv(0xa0, utf8('root')))),
      'san-type',
    ],
    ['a directoryName beside a DNS name', withNames(dns('a.b'), tlv(0xa4, name())), 'san-type'],
    ['a registeredID', withNames(tlv(0x88, hex('2a03'))), 'san-type'],
    ['an empty subjectAltName', withNames(), 'san-empty'],
    [
      'data behind the subjectAltName',
      withExtensions(extension(oids.subjectAltName, Buffer.concat([tlv(0x30, dns('a')), hex('0500')]))),
      'encoding',
    ],
    ['101 names', withNames(...Array.from({ length: 101 }, (_, i) => dns(`n${i}`))), 'too-many-names'],
    ['CA:TRUE', withExtensions(extension(oids.basicConstraints, hex('30030101ff'))), 'requests-ca'],
    ['a CA’s key usages', withExtensions(extension(oids.keyUsage, hex('03020106'))), 'requests-ca'],
    ['malformed basic constraints', withExtensions(extension(oids.basicConstraints, hex('30'))), 'encoding'],
    ['name constraints', withExtensions(extension(oids.nameConstraints, hex('3000'))), 'unknown-extension'],
    [
      'an extension of somebody’s own',
      withExtensions(extension(hex('06032a0304'), hex('0500'), hex('0101ff'))),
      'unknown-extension',
    ],
    [
      'two extension requests',
      buildRequest({
        attributes: [extensionRequest(altNames(dns('a'))), extensionRequest(extension(oids.keyUsage, hex('03020780')))],
      }),
      'duplicate-attribute',
    ],
    [
      'an extension request with two values',
      buildRequest({
        attributes: [
          tlv(0x30, oids.extensionRequest, tlv(0x31, tlv(0x30, altNames(dns('a'))), tlv(0x30, altNames(dns('b'))))),
        ],
      }),
      'duplicate-attribute',
    ],
    ['a NUL in a common name', withSubjectValue(oids.commonName, utf8('system:node:a\u0000')), 'subject-value'],
    ['a line end in an organization', withSubjectValue(oids.organization, utf8('a\nb')), 'subject-value'],
    ['an empty organization', withSubjectValue(oids.organization, utf8('')), 'subject-value'],
    ['a common name of 321 characters', withSubjectValue(oids.commonName, utf8('a'.repeat(321))), 'subject-value'],
    ['a country of three letters', withSubjectValue(oids.country, utf8('GER')), 'subject-value'],
    ['a common name that is no text', withSubjectValue(oids.commonName, hex('040161')), 'subject-attribute'],
    [
      '33 organizations',
      buildRequest({
        subject: name(...Array.from({ length: 33 }, (_, i) => rdn(attribute(oids.organization, utf8(`o${i}`))))),
      }),
      'subject-attributes',
    ],
    ['data behind the last field', buildRequest({ extra: hex('0500') }), 'encoding'],
    ['another version', buildRequest({ version: hex('020101') }), 'version'],
    ['parameters on ECDSA', buildRequest({ algorithm: hex('300c06082a8648ce3d0403020500') }), 'encoding'],
  ])('%s', (_what, der, rule) => {
    expect(rulesOf(der)).toContain(rule);
  });

  test('RSA with a public exponent of 3', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
    const der = buildRequest({
      spki: spkiOf(weak.publicKey),
      signer: weak.privateKey,
      algorithm: algorithms.rsaSha256,
    });
    expect(rulesOf(der)).toEqual(['key-exponent']);
  });

  test('a name is only among the names when nothing is wrong with it', () => {
    const csr = readCsr(
      withNames(
        dns('good.example.org'),
        dns('bad name'),
        tlv(0xa0, hex('06032a0304'), tlv(0xa0, utf8('x'))),
        ip('7f000001'),
      ),
    );
    expect(csr.names).toEqual([
      { kind: 'dns', value: 'good.example.org' },
      { kind: 'ip', value: '127.0.0.1' },
    ]);
    expect(csr.problems.map((p) => p.field)).toEqual(['subjectAltName[1]', 'subjectAltName[2]']);
  });

  test('a common name that looks like more of a name stays one value', () => {
    const value = 'evil,O=system:masters+CN=x\\,"#0c05';
    const csr = readCsr(withSubjectValue(oids.commonName, utf8(value)));
    expect(csr.subject).toEqual([{ oid: '2.5.4.3', value }]);
    expect(csr.organizations).toEqual([]);
  });

  test('a CA wish is told apart', () => {
    expect(readCsr(withExtensions(extension(oids.basicConstraints, hex('30030101ff')))).requestsCa).toBe(true);
    expect(readCsr(withExtensions(extension(oids.basicConstraints, hex('3000')))).requestsCa).toBe(false);
  });
});
