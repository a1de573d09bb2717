import fc from 'fast-check';
import { expect, test } from 'vitest';

import { RotundaError } from '../../../src/errors.js';
import { decodePem, encodePem } from '../../../src/ca/x509/pem.js';
import { readCsr } from '../../../src/ca/x509/csr.js';
import { readCertificate } from '../../../src/ca/x509/certificate.js';
import {
  attribute,
  buildRequest,
  dns,
  extensionRequest,
  altNames,
  hex,
  ip,
  keyPair,
  name,
  oids,
  rdn,
  signRequest,
  spkiOf,
  tlv,
  utf8,
} from './requests.js';

const valid = buildRequest({ attributes: [extensionRequest(altNames(dns('a.example.org'), ip('0a000001')))] });
const info = tlv(
  0x30,
  hex('020100'),
  name(rdn(attribute(oids.organization, utf8('system:nodes')))),
  spkiOf(keyPair('ec-p256').publicKey),
  tlv(0xa0, extensionRequest(altNames(dns('a.example.org'), ip('0a000001')))),
);

type Mutation = { readonly at: number; readonly octet: number };

const mutations = (length: number): fc.Arbitrary<readonly Mutation[]> => {
  const octet = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x0c, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xff));
  return fc.array(fc.record({ at: fc.nat(length - 1), octet }), { minLength: 1, maxLength: 4 });
};

function apply(bytes: Buffer, changes: readonly Mutation[]): Buffer {
  const out = Buffer.from(bytes);
  for (const { at, octet } of changes) out[at] = octet;
  return out;
}

/** Either a request whose parts make sense, or the one error that there is. */
function readOrRefuse(der: Buffer): ReturnType<typeof readCsr> | undefined {
  try {
    return readCsr(der);
  } catch (error) {
    expect(error).toBeInstanceOf(RotundaError);
    expect((error as RotundaError).code).toBe('invalid');
    return undefined;
  }
}

test('a request with changed bytes is refused, or is the same request', () => {
  fc.assert(
    fc.property(mutations(valid.length), (changes) => {
      const der = apply(valid, changes);
      if (readOrRefuse(der) !== undefined) expect(der.equals(valid)).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('changed bytes under a good signature never get past the reader unseen', () => {
  let read = 0;
  fc.assert(
    fc.property(mutations(info.length), (changes) => {
      const csr = readOrRefuse(signRequest(apply(info, changes)));
      if (csr === undefined) return;
      read += 1;
      for (const { kind, value } of csr.names) {
        expect(value).toMatch(/^[\x21-\x7e]+$/);
        if (kind === 'dns') expect(value).toMatch(/^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/);
      }
    }),
    { numRuns: 3000 },
  );
  expect(read).toBeGreaterThan(100);
});

test('inserted, removed and repeated stretches', () => {
  const stretch = fc.record({ from: fc.nat(valid.length), length: fc.nat(40), to: fc.nat(valid.length) });
  fc.assert(
    fc.property(stretch, fc.constantFrom('remove', 'repeat', 'move'), ({ from, length, to }, how) => {
      const piece = valid.subarray(from, from + length);
      const rest = how === 'repeat' ? valid : Buffer.concat([valid.subarray(0, from), valid.subarray(from + length)]);
      const der = how === 'remove' ? rest : Buffer.concat([rest.subarray(0, to), piece, rest.subarray(to)]);
      if (readOrRefuse(der) !== undefined) expect(der.equals(valid)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('random bytes are neither a request nor a certificate', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const der = Buffer.from(bytes);
      expect(readOrRefuse(der)).toBeUndefined();
      expect(() => readCertificate(der)).toThrow(RotundaError);
    }),
    { numRuns: 2000 },
  );
});

test('PEM text with changed characters gives the block, another one, or the error', () => {
  const pem = encodePem('CERTIFICATE REQUEST', valid);
  fc.assert(
    fc.property(mutations(pem.length), fc.constantFrom('strict' as const, 'upstream' as const), (changes, mode) => {
      const text = apply(Buffer.from(pem), changes).toString('latin1');
      try {
        const der = decodePem(text, { label: 'CERTIFICATE REQUEST', mode });
        expect(der.length).toBeLessThanOrEqual(valid.length + 3);
      } catch (error) {
        expect(error).toBeInstanceOf(RotundaError);
      }
    }),
    { numRuns: 3000 },
  );
});
