import { createCipheriv, createDecipheriv, createHmac, hkdfSync, scryptSync } from 'node:crypto';
import { existsSync } from 'node:fs';

import type { Random } from '../../clock.js';
import type { KeyEncryptionKeySource } from '../../config/types.js';
import { RotundaError } from '../../errors.js';
import type { KeyEncryptionKey } from '../types.js';
import { createKeyFile, readKeyFile } from './key-file.js';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
/** First byte of every wrapped value: AES-256-GCM, 12-byte nonce, 16-byte tag, ciphertext. */
const wrapVersion = 1;
const headerBytes = 1 + nonceBytes + tagBytes;

const shortestPassphrase = 16;
export const saltBytes = 16;
/** RFC 7914 parameters for a secret that people choose; 128 MiB once, at start. */
const scryptCost = { N: 2 ** 17, r: 8, p: 1, maxmem: 160 * 2 ** 20 };

/**
 * Loads the key under which CA keys rest. Files and environment variables hold 32 bytes as base64 or hex; a generated
 * file is made with mode 0600 when it is not there. A passphrase is stretched by scrypt with `salt`, at least 16 bytes,
 * the same for every replica (`openKeyEncryptionKey` keeps it in the database). Throws RotundaError 'invalid' with the source
 * and the rule, never the value.
 */
export function loadKeyEncryptionKey(source: KeyEncryptionKeySource, random: Random, salt?: Buffer): KeyEncryptionKey {
  return createKeyEncryptionKey(readSource(source, random, salt), kindOf(source), random);
}

function kindOf(source: KeyEncryptionKeySource): KeyEncryptionKey['source'] {
  return source.kind === 'generated' ? 'generated-file' : source.kind;
}

function readSource(source: KeyEncryptionKeySource, random: Random, salt: Buffer | undefined): Buffer {
  switch (source.kind) {
    case 'generated':
      if (!existsSync(source.file))
        createKeyFile(source.file, `${random.bytes(keyBytes).toString('base64')}\n`, random);
      return decodeKey(readKeyFile(source.file), source.file);
    case 'file':
      return decodeKey(readKeyFile(source.file), source.file);
    case 'environment': {
      const value = process.env[source.variable];
      if (value === undefined || value === '') {
        throw new RotundaError('invalid', `key-encryption key: the environment variable ${source.variable} is not set`);
      }
      return decodeKey(value, `the environment variable ${source.variable}`);
    }
    case 'passphrase':
      return stretch(source.passphrase, salt);
  }
}

/** Strict: exactly 32 bytes, canonical base64 or hex, white space only around it. */
function decodeKey(text: string, where: string): Buffer {
  const trimmed = text.trim();
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Buffer.from(trimmed, 'hex');
  const decoded = Buffer.from(trimmed, 'base64');
  if (decoded.length === keyBytes && decoded.toString('base64') === trimmed) return decoded;
  throw new RotundaError('invalid', `key-encryption key: ${where} does not hold 32 bytes as base64 or hex`, {
    hint: 'make one with: openssl rand -base64 32',
  });
}

function stretch(passphrase: string, salt: Buffer | undefined): Buffer {
  if (passphrase.length < shortestPassphrase) {
    throw new RotundaError(
      'invalid',
      `key-encryption key: the passphrase is shorter than ${shortestPassphrase} characters`,
    );
  }
  if (salt === undefined || salt.length < saltBytes) {
    throw new RotundaError('internal', 'key-encryption key: a passphrase needs the salt that the store keeps');
  }
  // One person's keyboard composes accents, another's does not: the same passphrase must give the same key.
  return scryptSync(passphrase.normalize('NFC'), salt, keyBytes, scryptCost);
}

/** The key over its 32 bytes. Each purpose has a subkey of its own (HKDF, RFC 5869), so that no use weakens another. */
export function createKeyEncryptionKey(
  key: Buffer,
  source: KeyEncryptionKey['source'],
  random: Random,
): KeyEncryptionKey {
  const subkey = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', key, '', `rotunda/v1/${purpose}`, keyBytes));
  const wrapKey = subkey('wrap');
  const hashKey = subkey('keyed-hash');
  return Object.freeze({
    fingerprint: subkey('fingerprint').toString('hex', 0, 8),
    source,
    wrap: (plain: Buffer, context: string) => wrap(wrapKey, random, plain, context),
    unwrap: (wrapped: Buffer, context: string) => unwrap(wrapKey, wrapped, context),
    keyedHash: (value: string, context: string) =>
      createHmac('sha256', hashKey)
        .update(`${Buffer.byteLength(context)}:${context}:${value}`)
        .digest('hex'),
  });
}

function wrap(key: Buffer, random: Random, plain: Buffer, context: string): Buffer {
  const nonce = random.bytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(additionalData(context));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Buffer.from([wrapVersion]), nonce, cipher.getAuthTag(), sealed]);
}

function unwrap(key: Buffer, wrapped: Buffer, context: string): Buffer {
  if (wrapped.length < headerBytes || wrapped[0] !== wrapVersion) {
    throw new RotundaError(
      'internal',
      `what is stored for ${context} is not a wrapped value of version ${wrapVersion}`,
    );
  }
  const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(1, 1 + nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(additionalData(context));
  decipher.setAuthTag(wrapped.subarray(1 + nonceBytes, headerBytes));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(headerBytes)), decipher.final()]);
  } catch {
    // OpenSSL says no more than that the tag differs, so there is no cause worth keeping.
    throw new RotundaError(
      'unavailable',
      `what is stored for ${context} does not open with this key-encryption key, or was altered`,
      {
        hint: 'start with the key-encryption key that the database was created with',
      },
    );
  }
}

/** The version is authenticated too, so that a later format cannot be passed off as this one. */
function additionalData(context: string): Buffer {
  return Buffer.from(`rotunda/v${wrapVersion}/${context}`, 'utf8');
}
