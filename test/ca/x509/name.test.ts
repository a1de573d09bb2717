import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  decodeName,
  encodeName,
  encodeSubject,
  formatDistinguishedName,
  rebuildSubject,
} from '../../../src/ca/x509/name.js';
import type { DistinguishedName } from '../../../src/ca/x509/types.js';

const oids = [
  '2.5.4.3',
  '2.5.4.5',
  '2.5.4.6',
  '2.5.4.7',
  '2.5.4.8',
  '2.5.4.9',
  '2.5.4.10',
  '2.5.4.11',
  '2.5.4.17',
  '1.2.840.113549.1.9.1',
  '0.9.2342.19200300.100.1.25',
];
const anyName: fc.Arbitrary<DistinguishedName> = fc.array(
  fc.record({ oid: fc.constantFrom(...oids), value: fc.string({ unit: 'grapheme', maxLength: 20 }) }),
  { maxLength: 8 },
);

test('the subject comes in upstream’s order, values of one type share an RDN, unknown types are left out', () => {
  // As Go 1.26's pkix.Name writes C=DE, O=b, O=a@x, OU=ou, L=l, ST=p, STREET=s, postalCode=1, CN, serialNumber=7.
  const name: DistinguishedName = [
    { oid: '2.5.4.5', value: '7' },
    { oid: '2.5.4.3', value: 'first' },
    { oid: '2.5.4.10', value: 'a@x' },
    { oid: '1.2.840.113549.1.9.1', value: 'mail@example.org' },
    { oid: '2.5.4.10', value: 'b' },
    { oid: '2.5.4.3', value: 'cn*_&' },
    { oid: '2.5.4.17', value: '1' },
    { oid: '2.5.4.9', value: 's' },
    { oid: '2.5.4.8', value: 'p' },
    { oid: '2.5.4.7', value: 'l' },
    { oid: '2.5.4.11', value: 'ou' },
    { oid: '2.5.4.6', value: 'DE' },
  ];
  expect(encodeSubject(name).toString('hex')).toBe(
    '307e310b3009060355040613024445310a30080603550408130170310a3008060355040713016c310a30080603550409130173310a3008060355041113' +
      '013131163008060355040a130162300a060355040a0c03614078310b3009060355040b13026f75310e300c06035504030c05636e2a5f26310a3008060355040513 0137'.replace(
        ' ',
        '',
      ),
  );
});

test('what is not ASCII enough for PrintableString is UTF8String', () => {
  const encoded = (value: string): string => encodeSubject([{ oid: '2.5.4.3', value }]).toString('hex');
  expect(encoded('system:node:a')).toBe('3018311630140603550403130d73797374656d3a6e6f64653a61');
  expect(encoded('é')).toBe('300d310b300906035504030c02c3a9');
  expect(encoded('')).toBe('3000');
  expect(() => encoded('\ud800')).toThrow(/UTF-8/);
});

test('rebuilding twice is rebuilding once, and reading back gives the same', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const rebuilt = rebuildSubject(name);
      expect(rebuildSubject(rebuilt)).toEqual(rebuilt);
      expect(decodeName(encodeSubject(name))).toEqual(rebuilt);
      expect(decodeName(encodeName(name))).toEqual(name);
    }),
    { numRuns: 2000 },
  );
});

test('the text form has the last RDN first, and escapes what would change its meaning', () => {
  const text = (value: string): string => formatDistinguishedName([{ oid: '2.5.4.3', value }]);
  expect(
    formatDistinguishedName([
      { oid: '2.5.4.10', value: 'system:nodes' },
      { oid: '2.5.4.3', value: 'system:node:a' },
      { oid: '1.2.3', value: 'x' },
    ]),
  ).toBe('1.2.3=x,CN=system:node:a,O=system:nodes');
  expect(text('a,O=b+c"d\\<e>;')).toBe('CN=a\\,O\\=b\\+c\\"d\\\\\\<e\\>\\;');
  expect(text(' a ')).toBe('CN=\\ a\\ ');
  expect(text('#0c')).toBe('CN=\\#0c');
  expect(text('a\u0000b\n\u202e')).toBe('CN=a\\00b\\0a\\e2\\80\\ae');
  expect(formatDistinguishedName([])).toBe('');
});
