import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';

import { readCsr } from '../../../src/ca/x509/csr.js';
import {
  attribute,
  algorithms,
  buildRequest,
  dns,
  email,
  hex,
  ip,
  keyPair,
  name,
  nodeSubject,
  oids,
  rdn,
  spkiOf,
  tlv,
  uri,
  utf8,
  withNames,
  type TestKey,
} from './requests.js';

test('reads who asks, for which names and with which key', () => {
  const der = withNames(
    dns('worker-1.example.org'),
    dns('*.example.org'),
    ip('0a000001'),
    email('ops@example.org'),
    uri('spiffe://cluster/worker-1'),
    ip('20010db8000000000000000000000001'),
  );
  const csr = readCsr(der);
  expect(csr.problems).toEqual([]);
  expect(csr.commonName).toBe('system:node:a');
  expect(csr.organizations).toEqual(['system:nodes']);
  expect(csr.subject).toEqual([
    { oid: '2.5.4.10', value: 'system:nodes' },
    { oid: '2.5.4.3', value: 'system:node:a' },
  ]);
  expect(csr.names).toEqual([
    { kind: 'dns', value: 'worker-1.example.org' },
    { kind: 'dns', value: '*.example.org' },
    { kind: 'ip', value: '10.0.0.1' },
    { kind: 'email', value: 'ops@example.org' },
    { kind: 'uri', value: 'spiffe://cluster/worker-1' },
    { kind: 'ip', value: '2001:db8::1' },
  ]);
  expect(csr.requestsCa).toBe(false);
  expect(csr.der.equals(der)).toBe(true);
});

test.each<[TestKey, string, number]>([
  ['ec-p256', 'ec-p256', 256],
  ['ec-p384', 'ec-p384', 384],
  ['ec-p521', 'ec-p521', 521],
  ['ed25519', 'ed25519', 256],
  ['rsa-2048', 'rsa', 2048],
  ['rsa-3072', 'rsa', 3072],
])('takes a key of type %s', (key, type, bits) => {
  const spki = spkiOf(keyPair(key).publicKey);
  const csr = readCsr(buildRequest({ key }));
  expect(csr.problems).toEqual([]);
  expect(csr.key).toEqual({ type, bits, spki, keyId: createHash('sha256').update(spki).digest('hex') });
});

test('verifies ECDSA with a hash other than the curve’s own', () => {
  expect(readCsr(buildRequest({ algorithm: algorithms.ecdsaSha384, hash: 'sha384' })).problems).toEqual([]);
});

test('of two common names the last counts, and every organization', () => {
  const subject = name(
    rdn(attribute(oids.commonName, utf8('first')), attribute(oids.organization, utf8('a'))),
    rdn(attribute(oids.organization, utf8('b'))),
    rdn(attribute(oids.commonName, utf8('last'))),
  );
  const csr = readCsr(buildRequest({ subject }));
  expect(csr.commonName).toBe('last');
  expect(csr.organizations).toEqual(['a', 'b']);
});

test('an empty subject and non-ASCII text are fine', () => {
  expect(readCsr(buildRequest({ subject: name() }))).toMatchObject({ commonName: '', organizations: [], problems: [] });
  const subject = name(rdn(attribute(oids.commonName, utf8('ålice'))));
  expect(readCsr(buildRequest({ subject }))).toMatchObject({ commonName: 'ålice', problems: [] });
});

test('reads the string types that older tools write', () => {
  const values = [
    tlv(0x13, Buffer.from('plain')),
    tlv(0x16, Buffer.from('a@b')),
    tlv(0x14, hex('e9')),
    tlv(0x1e, hex('00e9')),
    tlv(0x12, Buffer.from('12')),
  ];
  const subject = name(...values.map((value) => rdn(attribute(oids.organizationalUnit, value))));
  const csr = readCsr(buildRequest({ subject }));
  expect(csr.subject.map((a) => a.value)).toEqual(['plain', 'a@b', 'é', 'é', '12']);
  expect(csr.problems).toEqual([]);
});

test('passes over attributes that are no extension request', () => {
  const challenge = tlv(0x30, oids.challengePassword, tlv(0x31, utf8('secret')));
  expect(readCsr(buildRequest({ attributes: [challenge] })).problems).toEqual([]);
});

test('what it returns does not change with the buffer that it was given', () => {
  const der = buildRequest({ subject: nodeSubject });
  const csr = readCsr(der);
  const before = csr.key.spki.toString('hex');
  der.fill(0);
  expect(csr.key.spki.toString('hex')).toBe(before);
  expect(csr.der[0]).toBe(0x30);
});
