import { createHash, createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import type { CaKeyType } from '../types.js';
import type { AuthorityKey } from './types.js';

const generate = promisify(generateKeyPair);

/** A new private key, generated on the thread pool: RSA takes seconds. */
export async function generatePrivateKey(keyType: CaKeyType): Promise<KeyObject> {
  return (await generatePair(keyType)).privateKey;
}

function generatePair(keyType: CaKeyType): Promise<{ privateKey: KeyObject }> {
  switch (keyType) {
    case 'ec-p256':
      return generate('ec', { namedCurve: 'P-256' });
    case 'ec-p384':
      return generate('ec', { namedCurve: 'P-384' });
    case 'rsa-2048':
      return generate('rsa', { modulusLength: 2048 });
    case 'rsa-3072':
      return generate('rsa', { modulusLength: 3072 });
    case 'rsa-4096':
      return generate('rsa', { modulusLength: 4096 });
    case 'ed25519':
      return generate('ed25519');
  }
}

/** The hash that goes with a CA key; null where the signature scheme has its own. */
export function hashOf(keyType: CaKeyType): 'sha256' | 'sha384' | null {
  if (keyType === 'ed25519') return null;
  return keyType === 'ec-p384' ? 'sha384' : 'sha256';
}

/** Whether a private key is of the type that it is said to be. */
export function hasKeyType(key: KeyObject, keyType: CaKeyType): boolean {
  const details = key.asymmetricKeyDetails;
  switch (keyType) {
    case 'ec-p256':
      return key.asymmetricKeyType === 'ec' && details?.namedCurve === 'prime256v1';
    case 'ec-p384':
      return key.asymmetricKeyType === 'ec' && details?.namedCurve === 'secp384r1';
    case 'ed25519':
      return key.asymmetricKeyType === 'ed25519';
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return key.asymmetricKeyType === 'rsa' && details?.modulusLength === Number(keyType.slice('rsa-'.length));
  }
}

/** The public half of a private key, its SubjectPublicKeyInfo, and the SHA-256 of that. */
export function publicPart(privateKey: KeyObject): { publicKey: KeyObject; spki: Buffer; keyId: string } {
  const publicKey = createPublicKey(privateKey);
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return { publicKey, spki, keyId: createHash('sha256').update(spki).digest('hex') };
}

/** A key held in this process. */
export function softwareKey(privateKey: KeyObject, keyType: CaKeyType, wrappedKey: Buffer): AuthorityKey {
  return Object.freeze({ ...publicPart(privateKey), keyType, wrappedKey, sign: signer(privateKey, keyType) });
}

/**
 * Elliptic curve keys sign in tens of microseconds, less than handing the work to the thread pool and back costs. RSA
 * takes a millisecond and more, which no other request should wait for.
 */
function signer(privateKey: KeyObject, keyType: CaKeyType): AuthorityKey['sign'] {
  const hash = hashOf(keyType);
  if (!keyType.startsWith('rsa-')) return (data) => sign(hash, data, privateKey);
  return (data) =>
    new Promise((resolve, reject) => {
      sign(hash, data, privateKey, (error, signature) => {
        if (error === null) resolve(signature);
        else reject(error);
      });
    });
}
