import { expect, test } from 'vitest';

import { RotundaError } from '../../../src/errors.js';
import { encodeKeyUsage, readKeyUsage } from '../../../src/ca/x509/extensions.js';
import { knownUsages, resolveUsages } from '../../../src/ca/x509/usages.js';
import { hex } from './requests.js';

test('knows upstream’s 23 names', () => {
  expect(knownUsages).toHaveLength(23);
  for (const usage of knownUsages) {
    const { keyUsages, extendedKeyUsages } = resolveUsages([usage]);
    expect(keyUsages.length + extendedKeyUsages.length).toBe(1);
  }
});

test('signing is the digital signature, s/mime is mail, and each comes once', () => {
  expect(resolveUsages(['signing', 'digital signature', 's/mime', 'email protection'])).toEqual({
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.4'],
  });
});

test('extended key usages come in upstream’s order, not as asked', () => {
  const { extendedKeyUsages } = resolveUsages(['netscape sgc', 'client auth', 'ocsp signing', 'server auth', 'any']);
  expect(extendedKeyUsages).toEqual([
    '2.5.29.37.0',
    '1.3.6.1.5.5.7.3.1',
    '1.3.6.1.5.5.7.3.2',
    '1.3.6.1.5.5.7.3.9',
    '2.16.840.1.113730.4.1',
  ]);
});

test.each(['Client Auth', '', 'constructor', 'toString', '__proto__', 'client auth\n'])('%j is no usage', (usage) => {
  expect(() => resolveUsages([usage])).toThrow(RotundaError);
});

test('a key usage is a named bit list without trailing zeros', () => {
  expect(encodeKeyUsage(['digitalSignature']).toString('hex')).toBe('03020780');
  expect(encodeKeyUsage(['keyEncipherment', 'digitalSignature']).toString('hex')).toBe('030205a0');
  expect(encodeKeyUsage(['decipherOnly']).toString('hex')).toBe('0303070080');
  expect(readKeyUsage(hex('0303070080'))).toEqual(['decipherOnly']);
  for (const bad of ['0301', '030100', '03020680', '03020880', '030207c1', '0304000000 01', '0403070080']) {
    expect(() => readKeyUsage(hex(bad))).toThrow(RotundaError);
  }
});
