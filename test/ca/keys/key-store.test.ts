import { randomBytes, verify } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { createKeyEncryptionKey } from '../../../src/ca/keys/key-encryption-key.js';
import { createDatabaseKeyStore } from '../../../src/ca/keys/key-store.js';
import { hashOf } from '../../../src/ca/keys/software-key.js';
import type { CaKeyType } from '../../../src/ca/types.js';

const random = { bytes: randomBytes };
const kek = createKeyEncryptionKey(randomBytes(32), 'file', random);
const keys = createDatabaseKeyStore(kek);

const keyTypes: CaKeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'];

describe.each(keyTypes)('a CA key of type %s', (keyType) => {
  it('signs, and signs again after it was stored and loaded', { timeout: 60_000 }, async () => {
    const made = await keys.generate(keyType);
    const loaded = await keys.load(made);
    expect(loaded.keyId).toBe(made.keyId);
    for (const key of [made, loaded]) {
      const signing = key.sign(Buffer.from('to be signed'));
      expect(Buffer.isBuffer(signing)).toBe(!keyType.startsWith('rsa-'));
      expect(verify(hashOf(keyType), Buffer.from('to be signed'), made.publicKey, await signing)).toBe(true);
    }
  });
});

describe('the database key store', () => {
  it('refuses a wrapped key under another name, type or key-encryption key, and one that is not there', async () => {
    const one = await keys.generate('ec-p256');
    const two = await keys.generate('ec-p256');
    await expect(keys.load({ ...one, wrappedKey: two.wrappedKey })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(keys.load({ ...one, keyType: 'ec-p384' })).rejects.toMatchObject({ code: 'internal' });
    await expect(keys.load({ ...one, wrappedKey: null })).rejects.toMatchObject({ code: 'unavailable' });
    const other = createDatabaseKeyStore(createKeyEncryptionKey(randomBytes(32), 'file', random));
    await expect(other.load(one)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('keeps private keys out of everything that can be printed', async () => {
    const key = await keys.generate('ed25519');
    expect(Object.keys(key).sort()).toEqual(['keyId', 'keyType', 'publicKey', 'sign', 'spki', 'wrappedKey']);
    // The prefix of an Ed25519 key in PKCS#8: what follows it is the seed.
    expect(key.wrappedKey?.includes(Buffer.from('302e020100300506032b6570', 'hex'))).toBe(false);
  });
});
