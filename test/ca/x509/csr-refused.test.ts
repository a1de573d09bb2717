import { sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { RotundaError } from '../../../src/errors.js';
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
  keyPair,
  name,
  oids,
  rdn,
  signRequest,
  spkiOf,
  tlv,
  uri,
  utf8,
  withNames,
} from './requests.js';

function refusal(der: Buffer): string {
  try {
    readCsr(der);
  } catch (error) {
    expect(error).toBeInstanceOf(RotundaError);
    const { code, details } = error as RotundaError;
    expect(code).toBe('invalid');
    expect(details.causes).toHaveLength(1);
    expect(details.causes?.[0]).toMatchObject({ field: 'spec.request', reason: 'FieldValueInvalid' });
    return details.causes?.[0]?.message ?? '';
  }
  throw new Error('was not refused');
}

const rulesOf = (der: Buffer): string[] => readCsr(der).problems.map((p) => p.rule);
const withExtensions = (...extensions: readonly Buffer[]): Buffer =>
  buildRequest({ attributes: [extensionRequest(...extensions)] });
const withSubjectValue = (type: Buffer, value: Buffer): Buffer =>
  buildRequest({ subject: name(rdn(attribute(type, value))) });

describe('refused at once, as upstream does', () => {
  const good = buildRequest();
  const info = good.subarray(3, 3 + 3 + (good[5] ?? 0));

  test.each<[string, Buffer, string | RegExp]>([
    ['nothing at all', Buffer.alloc(0), /truncated/],
    ['trailing bytes', Buffer.concat([good, hex('00')]), 'asn1: syntax error: trailing data'],
    ['a request cut short', good.subarray(0, -1), 'asn1: syntax error: data truncated'],
    ['an indefinite length', Buffer.concat([hex('3080'), good.subarray(3), hex('0000')]), /indefinite length/],
    ['a length in too many bytes', Buffer.concat([hex('308200'), good.subarray(2)]), /non-minimal length/],
    [
      'a broken signature',
      Buffer.concat([good.subarray(0, -1), Buffer.from([(good.at(-1) ?? 0) ^ 1])]),
      'x509: ECDSA verification failure',
    ],
    [
      'a signature by another key',
      buildRequest({ signer: keyPair('ec-p256', 'other').privateKey }),
      'x509: ECDSA verification failure',
    ],
    ['a signature with another hash than said', buildRequest({ hash: 'sha384' }), 'x509: ECDSA verification failure'],
    [
      'a signature of the wrong family',
      signRequest(info, { algorithm: algorithms.rsaSha256 }),
      /does not go with the public key/,
    ],
    ['MD5', buildRequest({ key: 'rsa-2048', algorithm: algorithms.rsaMd5, hash: 'md5' }), /algorithm unimplemented/],
    [
      'an extension twice',
      withExtensions(altNames(dns('a')), altNames(dns('b'))),
      'x509: certificate request contains duplicate requested extensions',
    ],
    [
      'an extension twice, in two attributes',
      buildRequest({ attributes: [extensionRequest(altNames(dns('a'))), extensionRequest(altNames(dns('b')))] }),
      /duplicate requested extensions/,
    ],
    [
      'a network where an address belongs',
      withNames(ip('0a000000ff000000')),
      'x509: cannot parse IP address of length 8',
    ],
    ['a DNS name with non-ASCII bytes', withNames(dns('é')), 'x509: SAN dNSName is malformed'],
    ['a mailbox with non-ASCII bytes', withNames(email('é@b.c')), 'x509: SAN rfc822Name is malformed'],
    ['a URI with a control character', withNames(uri('http://a/\u0000')), /cannot parse URI/],
    ['UTF8String that is no UTF-8', withSubjectValue(oids.commonName, tlv(0x0c, hex('ff'))), /UTF-8/],
    [
      'PrintableString with other characters',
      withSubjectValue(oids.commonName, tlv(0x13, Buffer.from('a@b'))),
      /PrintableString/,
    ],
    ['half a surrogate pair', withSubjectValue(oids.commonName, tlv(0x1e, hex('d800'))), /BMPString/],
  ])('%s', (_what, der, message) => {
    if (typeof message === 'string') expect(refusal(der)).toBe(message);
    else expect(refusal(der)).toMatch(message);
  });

  test('RSA of 512 bits', () => {
    // OpenSSL makes no such key any more: a modulus of the right size does.
    const modulus = tlv(0x02, Buffer.concat([hex('00'), Buffer.alloc(64, 0xc5)]));
    const key = tlv(0x30, modulus, hex('0203010001'));
    const spki = tlv(0x30, hex('300d06092a864886f70d0101010500'), tlv(0x03, Buffer.from([0]), key));
    expect(refusal(buildRequest({ spki, algorithm: algorithms.rsaSha256 }))).toBe(
      'crypto/rsa: 512-bit keys are insecure',
    );
  });

  test.each<[string, string]>([
    ['secp256k1', '3056301006072a8648ce3d020106052b8104000a03420004'],
    ['a P-256 key with the curve spelled out', '3059301306072a8648ce3d0201300806042b81040a050003420004'],
    ['a compressed point', '3039301306072a8648ce3d020106082a8648ce3d030107032200 02'],
    ['a point that is not on the curve', '3059301306072a8648ce3d020106082a8648ce3d03010703420004'],
  ])('%s', (_what, prefix) => {
    const start = hex(prefix);
    const spki = Buffer.concat([start, Buffer.alloc(2 + (start[1] ?? 0) - start.length, 7)]);
    expect(refusal(buildRequest({ spki }))).toMatch(/unsupported elliptic curve|public key is not valid/);
  });

  test('more than 64 KiB, without looking at it', () => {
    expect(refusal(Buffer.alloc(64 * 1024 + 1, 0x30))).toMatch(/longer than/);
  });
});

describe('size and depth', () => {
  /** Milliseconds of this process's own time: the machine may be busy with other tests. */
  const quick = (work: () => unknown): number => {
    const start = process.cpuUsage();
    work();
    return process.cpuUsage(start).user / 1000;
  };

  test('3,000 names in 55 KiB are read in one go', () => {
    const der = withNames(...Array.from({ length: 3000 }, (_, i) => dns(`n${i}.example.org`)));
    expect(quick(() => expect(rulesOf(der)).toEqual(['too-many-names']))).toBeLessThan(500);
  });

  test('thousands of bad names give an answer of bounded size', () => {
    const der = withNames(...Array.from({ length: 3000 }, () => dns('!')));
    expect(JSON.stringify(readCsr(der).problems).length).toBeLessThan(4096);
  });

  test('60 KiB in one attribute, and 2,000 extension requests', () => {
    const long = withSubjectValue(oids.commonName, utf8('a'.repeat(60_000)));
    expect(quick(() => expect(rulesOf(long)).toEqual(['subject-value']))).toBeLessThan(500);
    const one = (i: number): Buffer =>
      extensionRequest(extension(Buffer.from([6, 4, 42, 3, 0x81 + (i >> 7), i & 0x7f]), hex('0500')));
    const many = buildRequest({ attributes: Array.from({ length: 1900 }, (_, i) => one(i)) });
    expect(quick(() => rulesOf(many))).toBeLessThan(500);
  });

  test('nesting as deep as it fits', () => {
    let nested = hex('0500');
    while (nested.length < 60_000) nested = tlv(0x30, nested);
    expect(readCsr(buildRequest({ attributes: [tlv(0x30, hex('06032a0304'), tlv(0x31, nested))] })).problems).toEqual(
      [],
    );
    expect(rulesOf(withExtensions(extension(hex('06032a0304'), nested)))).toEqual(['unknown-extension']);
    expect(rulesOf(buildRequest({ subject: name(rdn(attribute(oids.commonName, nested))) }))).toContain(
      'subject-attribute',
    );
    expect(refusal(nested)).toMatch(/asn1/);
  });

  test('a signature of no sense at all', () => {
    const info = tlv(0x30, hex('020100'), name(), spkiOf(keyPair('ec-p256').publicKey), tlv(0xa0));
    for (const signature of [
      Buffer.alloc(0),
      hex('3000'),
      hex('30060201000201 00'),
      sign('sha256', info, keyPair('ec-p384').privateKey),
    ]) {
      const der = tlv(0x30, info, algorithms.ecdsaSha256, tlv(0x03, Buffer.from([0]), signature));
      expect(refusal(der)).toBe('x509: ECDSA verification failure');
    }
  });
});
