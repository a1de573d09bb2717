import { describe, expect, test } from 'vitest';

import { RotundaError } from '../../../src/errors.js';
import { decodePem, encodePem, type PemMode } from '../../../src/ca/x509/pem.js';

const label = 'CERTIFICATE REQUEST';
const der = Buffer.from(Array.from({ length: 150 }, (_, i) => i));
const pem = encodePem(label, der);
const other = encodePem(label, Buffer.from('other'));

function read(text: string, mode: PemMode): Buffer | string {
  try {
    return decodePem(text, { label, mode });
  } catch (error) {
    expect(error).toBeInstanceOf(RotundaError);
    return (error as RotundaError).details.causes?.[0]?.message ?? (error as RotundaError).code;
  }
}

test('writes lines of 64 characters and one final newline', () => {
  const lines = pem.split('\n');
  expect(lines[0]).toBe('-----BEGIN CERTIFICATE REQUEST-----');
  expect(lines.slice(1, -3).every((line) => line.length === 64)).toBe(true);
  expect(pem.endsWith('-----END CERTIFICATE REQUEST-----\n')).toBe(true);
  expect(encodePem('X', Buffer.alloc(0))).toBe('-----BEGIN X-----\n-----END X-----\n');
});

const bad = 'PEM block type must be CERTIFICATE REQUEST';
const crlf = pem.replaceAll('\n', '\r\n');

describe('both ways', () => {
  test.each<[string, string, Buffer | string, boolean]>([
    ['as written', pem, der, true],
    ['without the final newline', pem.trimEnd(), der, true],
    ['with CRLF', crlf, der, true],
    ['in one long line', `-----BEGIN ${label}-----\n${der.toString('base64')}\n-----END ${label}-----\n`, der, true],
    ['text before', `hello\n${pem}`, der, false],
    ['text after', `${pem}hello\n`, der, false],
    ['a second block', pem + other, der, false],
    ['headers', pem.replace('-----\n', '-----\nProc-Type: 4\nX: y\n\n'), der, false],
    ['a broken block before the good one', other.replace('END CERTIFICATE', 'END X') + pem, der, false],
  ])('%s', (_what, text, upstream, alsoStrict) => {
    expect(read(text, 'upstream')).toEqual(upstream);
    if (alsoStrict) expect(read(text, 'strict')).toEqual(upstream);
    else expect(typeof read(text, 'strict')).toBe('string');
  });

  test.each<[string, string]>([
    ['no PEM at all', 'not pem at all'],
    ['nothing', ''],
    ['another label', pem.replaceAll(label, 'CERTIFICATE')],
    ['the old label', pem.replaceAll(label, `NEW ${label}`)],
    ['an end line with another label', pem.replace(`END ${label}`, 'END CERTIFICATE')],
    ['no end line', pem.slice(0, pem.indexOf('-----END'))],
    ['a begin line in the middle of a line', `x${pem}`],
    ['characters that are not base64', pem.replace('\nAAEC', '\n*AEC')],
    ['padding in the middle', pem.replace('\nAAEC', '\nAA==')],
    ['another label first', encodePem('CERTIFICATE', der) + pem],
  ])('%s is refused', (_what, text) => {
    expect(typeof read(text, 'upstream')).toBe('string');
    expect(typeof read(text, 'strict')).toBe('string');
  });
});

test('says what upstream says', () => {
  expect(read('', 'upstream')).toBe(bad);
  expect(read(encodePem('CERTIFICATE', der), 'upstream')).toBe(bad);
});

test('text of 128 KiB full of end lines is looked through once', () => {
  const start = process.cpuUsage();
  expect(read('\n-----END X-----'.repeat(8000), 'upstream')).toBe(bad);
  expect(read('-----BEGIN X-----\n-----END '.repeat(4000), 'upstream')).toBe(bad);
  expect(process.cpuUsage(start).user / 1000).toBeLessThan(500);
  expect(read('x'.repeat(128 * 1024 + 1), 'upstream')).toBe('too-large');
});
