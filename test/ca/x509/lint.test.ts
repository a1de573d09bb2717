import { beforeAll, describe, expect, test } from 'vitest';

import { lintLeaf } from '../../../src/ca/x509/lint.js';
import type { LeafSpec } from '../../../src/ca/x509/types.js';
import { type TestAuthority, clientAuth, day, leafSpec, makeAuthority } from './leaves.js';
import { hex, keyPair, spkiOf, tlv } from './requests.js';

let authority: TestAuthority;
let other: TestAuthority;
const spec = leafSpec();

beforeAll(async () => {
  authority = await makeAuthority('ec-p256');
  other = await makeAuthority('ec-p384');
});

const lint = (written: LeafSpec, expected: LeafSpec = written): void => {
  lintLeaf(authority.template.encodeTbs(written), expected, authority.info);
};

test('what was vetted passes', () => {
  expect(() => {
    lint(spec);
  }).not.toThrow();
});

describe('what was not vetted does not', () => {
  const cases: readonly (readonly [string, Partial<LeafSpec>, RegExp])[] = [
    ['another serial', { serial: Buffer.alloc(16, 7) }, /serial is another/],
    ['another subject', { subject: [{ oid: '2.5.4.3', value: 'system:node:b' }] }, /subject is another/],
    [
      'another organization',
      {
        subject: [
          { oid: '2.5.4.10', value: 'system:masters' },
          { oid: '2.5.4.3', value: 'system:node:a' },
        ],
      },
      /subject is another/,
    ],
    ['one name more', { names: [...spec.names, { kind: 'dns', value: 'b.example.org' }] }, /names are others/],
    ['one name less', { names: spec.names.slice(0, 1) }, /names are others/],
    ['no names', { names: [] }, /names are missing/],
    ['another key', { spki: spkiOf(keyPair('ec-p256', 'other').publicKey) }, /key is another/],
    ['another beginning', { notBefore: spec.notBefore - 1000 }, /validity is another/],
    ['another end', { notAfter: spec.notAfter + 1000 }, /validity is another/],
    ['another key usage', { keyUsages: ['digitalSignature'] }, /key usage is another/],
    ['no key usage', { keyUsages: [] }, /key usage is missing/],
    ['another extended key usage', { extendedKeyUsages: [clientAuth] }, /extended key usage is another/],
  ];
  test.each(cases)('%s', (_what, change, message) => {
    expect(() => {
      lint({ ...spec, ...change }, spec);
    }).toThrow(message);
  });
});

describe('what nobody may vet', () => {
  const cases: readonly (readonly [string, Partial<LeafSpec>, RegExp])[] = [
    ['a short serial', { serial: Buffer.alloc(8, 1) }, /16 bytes/],
    ['a serial of zero in front', { serial: hex('00818283848586878889808182838485') }, /16 bytes/],
    ['a negative serial', { serial: Buffer.alloc(16, 0x80) }, /16 bytes/],
    ['an end before the beginning', { notAfter: spec.notBefore - 1000 }, /ends before it begins/],
    ['a life beyond the issuer', { notAfter: spec.notAfter + 4000 * day }, /outlives its issuer/],
    ['no extended key usage', { extendedKeyUsages: [] }, /extended key usage is missing/],
    ['signing certificates', { keyUsages: ['digitalSignature', 'keyCertSign'] }, /that of an authority/],
    ['signing CRLs', { keyUsages: ['cRLSign'] }, /that of an authority/],
    ['an RSA key of 1024 bits', { spki: spkiOf(keyPair('rsa-1024').publicKey) }, /needs 2048 bits/],
    ['a key on P-224', { spki: spkiOf(keyPair('ec-p224').publicKey) }, /P-224/],
    ['a reserved group', { subject: [{ oid: '2.5.4.10', value: 'rotunda:admins' }] }, /reserved group/],
    ['a reserved group in capitals', { subject: [{ oid: '2.5.4.10', value: 'ROTUNDA:admins' }] }, /reserved group/],
    ['nobody', { subject: [], names: [] }, /names nobody/],
  ];
  test.each(cases)('%s', (_what, change, message) => {
    expect(() => {
      lint({ ...spec, ...change });
    }).toThrow(message);
  });

  test('reserved groups are for the service’s own ring', () => {
    const admin = leafSpec({ subject: [{ oid: '2.5.4.10', value: 'rotunda:admins' }], names: [] });
    const tbs = authority.template.encodeTbs(admin);
    expect(() => {
      lintLeaf(tbs, admin, authority.info, { allowReservedGroups: true });
    }).not.toThrow();
  });

  test('another authority’s leaf', () => {
    expect(() => {
      lintLeaf(other.template.encodeTbs(spec), spec, authority.info);
    }).toThrow(/issuer is not.*signature algorithm is not.*authority key identifier is not/);
  });
});

describe('bytes that the template would not write', () => {
  const tampered = (from: string, to: string): Buffer => {
    const tbs = authority.template.encodeTbs(spec).toString('hex');
    expect(tbs).toContain(from);
    expect(from).toHaveLength(to.length);
    return Buffer.from(tbs.replace(from, to), 'hex');
  };
  const refuses = (tbs: Buffer, message: RegExp): void => {
    expect(() => {
      lintLeaf(tbs, spec, authority.info);
    }).toThrow(message);
  };

  test('an extension that leaves do not have', () => {
    refuses(tampered('0603551d13', '0603551d36'), /2\.5\.29\.54.*basic constraints are missing/);
  });

  test('the same extension twice', () => {
    refuses(tampered('0603551d11', '0603551d23'), /duplicate extensions/);
  });

  test('CA:TRUE', () => {
    const constraints = tlv(0x30, hex('0603551d13'), hex('0101ff'), tlv(0x04, hex('3000')));
    const ca = tlv(0x30, hex('0603551d13'), tlv(0x04, hex('30030101ff')));
    refuses(tampered(constraints.toString('hex'), ca.toString('hex')), /not those of a leaf/);
  });

  test('data behind the end', () => {
    refuses(Buffer.concat([authority.template.encodeTbs(spec), hex('0500')]), /trailing data/);
  });

  test('any one changed byte of what matters', () => {
    const tbs = authority.template.encodeTbs(spec);
    for (let at = 0; at < tbs.length; at += 1) {
      const changed = Buffer.from(tbs);
      changed[at] = (changed[at] ?? 0) ^ 0x04;
      refuses(changed, /./);
    }
  });
});
