import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createKeyFile } from '../../../src/ca/keys/key-file.js';
import { createKeyEncryptionKey, loadKeyEncryptionKey } from '../../../src/ca/keys/key-encryption-key.js';
import { RotundaError } from '../../../src/errors.js';

const random = { bytes: randomBytes };
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rotunda-kek-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function errorOf(work: () => unknown): RotundaError {
  try {
    work();
  } catch (error) {
    if (error instanceof RotundaError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a generated key file', () => {
  it('is made with mode 0600, once, and read ever after', () => {
    const file = join(directory, 'deep', 'down', 'key');
    const first = loadKeyEncryptionKey({ kind: 'generated', file }, random);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(first.source).toBe('generated-file');
    expect(first.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    expect(readdirSync(join(directory, 'deep', 'down'))).toEqual(['key']);
    const second = loadKeyEncryptionKey({ kind: 'generated', file }, random);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.unwrap(first.wrap(Buffer.from('secret'), 'x'), 'x').toString()).toBe('secret');
  });

  it('never replaces one that another process made first', () => {
    const file = join(directory, 'key');
    expect(createKeyFile(file, 'first', random)).toBe(true);
    expect(createKeyFile(file, 'second', random)).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe('first');
    expect(readdirSync(directory)).toEqual(['key']);
  });
});

describe('a key file', () => {
  const text = randomBytes(32).toString('base64');

  it.each([0o640, 0o604, 0o660, 0o777, 0o601])('is refused with mode %o, naming chmod', (mode) => {
    const file = join(directory, 'key');
    writeFileSync(file, text);
    chmodSync(file, mode);
    for (const kind of ['file', 'generated'] as const) {
      const error = errorOf(() => loadKeyEncryptionKey({ kind, file }, random));
      expect(error.code).toBe('invalid');
      expect(error.details.hint).toBe(`chmod 600 ${file}`);
      expect(error.message).toContain(`0${mode.toString(8)}`);
      expect(error.message).not.toContain(text);
    }
  });

  it.each([0o600, 0o400])('is taken with mode %o, through a link as mounted secrets have', (mode) => {
    const file = join(directory, 'key');
    writeFileSync(file, `${text}\n`);
    chmodSync(file, mode);
    symlinkSync(file, join(directory, 'link'));
    expect(loadKeyEncryptionKey({ kind: 'file', file: join(directory, 'link') }, random).source).toBe('file');
  });

  it('is refused when it is missing, a directory, or too long', () => {
    const missing = join(directory, 'missing');
    expect(errorOf(() => loadKeyEncryptionKey({ kind: 'file', file: missing }, random)).message).toContain('ENOENT');
    const folder = join(directory, 'folder');
    mkdirSync(folder, { mode: 0o700 });
    expect(errorOf(() => loadKeyEncryptionKey({ kind: 'file', file: folder }, random)).message).toContain(
      'not a regular file',
    );
    const long = join(directory, 'long');
    writeFileSync(long, 'A'.repeat(5000), { mode: 0o600 });
    expect(errorOf(() => loadKeyEncryptionKey({ kind: 'file', file: long }, random)).message).toContain('longer than');
  });

  it.each([
    '',
    'x',
    'a'.repeat(63),
    'g'.repeat(64),
    randomBytes(31).toString('base64'),
    randomBytes(33).toString('base64'),
    `${text.slice(0, 20)} ${text.slice(20)}`,
  ])('is refused when it holds %j', (content) => {
    const file = join(directory, 'key');
    writeFileSync(file, content, { mode: 0o600 });
    const error = errorOf(() => loadKeyEncryptionKey({ kind: 'file', file }, random));
    expect(error.message).toContain('32 bytes as base64 or hex');
    if (content.length > 1) expect(`${error.message} ${error.details.hint ?? ''}`).not.toContain(content);
  });
});

describe('an environment variable', () => {
  const variable = 'ROTUNDA_TEST_KEY';
  afterEach(() => {
    Reflect.deleteProperty(process.env, variable);
  });

  it('holds the same key as base64 or hex', () => {
    const key = randomBytes(32);
    process.env[variable] = key.toString('hex');
    const hex = loadKeyEncryptionKey({ kind: 'environment', variable }, random);
    process.env[variable] = key.toString('base64');
    const base64 = loadKeyEncryptionKey({ kind: 'environment', variable }, random);
    expect(base64.fingerprint).toBe(hex.fingerprint);
    expect(hex.source).toBe('environment');
  });

  it('is refused when it is not set, by its name', () => {
    expect(errorOf(() => loadKeyEncryptionKey({ kind: 'environment', variable }, random)).message).toContain(variable);
  });
});

describe('a passphrase', () => {
  const salt = Buffer.alloc(16, 7);

  it('gives one key per salt, however its accents were composed', () => {
    const composed = loadKeyEncryptionKey(
      { kind: 'passphrase', passphrase: 'caf\u00e9 au lait le matin' },
      random,
      salt,
    );
    const apart = loadKeyEncryptionKey({ kind: 'passphrase', passphrase: 'cafe\u0301 au lait le matin' }, random, salt);
    const salted = loadKeyEncryptionKey(
      { kind: 'passphrase', passphrase: 'caf\u00e9 au lait le matin' },
      random,
      Buffer.alloc(16, 8),
    );
    expect(apart.fingerprint).toBe(composed.fingerprint);
    expect(salted.fingerprint).not.toBe(composed.fingerprint);
  });

  it('is refused when short, or without a salt', () => {
    expect(
      errorOf(() => loadKeyEncryptionKey({ kind: 'passphrase', passphrase: 'too short' }, random, salt)).code,
    ).toBe('invalid');
    expect(
      errorOf(() => loadKeyEncryptionKey({ kind: 'passphrase', passphrase: 'long enough to be taken' }, random)).code,
    ).toBe('internal');
  });
});

describe('wrapping', () => {
  const kek = createKeyEncryptionKey(randomBytes(32), 'file', random);

  it('gives back what went in, under its context only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (bytes, context, other) => {
        const wrapped = kek.wrap(Buffer.from(bytes), context);
        expect(kek.unwrap(wrapped, context).equals(bytes)).toBe(true);
        if (other !== context) expect(errorOf(() => kek.unwrap(wrapped, other)).code).toBe('unavailable');
      }),
    );
  });

  it('notices every changed byte and every cut', () => {
    const wrapped = kek.wrap(Buffer.from('a private key'), 'context');
    for (let at = 0; at < wrapped.length; at += 1) {
      const changed = Buffer.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(errorOf(() => kek.unwrap(changed, 'context')).message).not.toContain('a private key');
      expect(() => kek.unwrap(wrapped.subarray(0, at), 'context')).toThrow(RotundaError);
    }
  });

  it('does not open under another key', () => {
    const other = createKeyEncryptionKey(randomBytes(32), 'file', random);
    const error = errorOf(() => other.unwrap(kek.wrap(Buffer.from('x'), 'context'), 'context'));
    expect(error.code).toBe('unavailable');
    expect(other.fingerprint).not.toBe(kek.fingerprint);
  });

  it('never makes the same bytes twice', () => {
    expect(kek.wrap(Buffer.from('x'), 'c').equals(kek.wrap(Buffer.from('x'), 'c'))).toBe(false);
  });
});

describe('keyed hashes', () => {
  const kek = createKeyEncryptionKey(Buffer.alloc(32, 1), 'file', random);

  it('depend on the key, the context and the value, and on where one ends', () => {
    expect(kek.keyedHash('value', 'context')).toBe(kek.keyedHash('value', 'context'));
    expect(kek.keyedHash('value', 'context')).toMatch(/^[0-9a-f]{64}$/);
    const other = createKeyEncryptionKey(Buffer.alloc(32, 2), 'file', random);
    const all = [
      kek.keyedHash('value', 'context'),
      other.keyedHash('value', 'context'),
      kek.keyedHash('valu', 'econtext'),
      kek.keyedHash('b:c', 'a'),
      kek.keyedHash('c', 'a:b'),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
