import { createPrivateKey } from 'node:crypto';

import { RotundaError } from '../../errors.js';
import type { CaKeyType, KeyEncryptionKey } from '../types.js';
import { generatePrivateKey, hasKeyType, publicPart, softwareKey } from './software-key.js';
import type { AuthorityKey, KeyReference, KeyStore } from './types.js';

/** CA keys in the database, wrapped under the key-encryption key: every replica that has that key can sign. */
export function createDatabaseKeyStore(kek: KeyEncryptionKey): KeyStore {
  return Object.freeze({
    generate: (keyType: CaKeyType) => generateKey(kek, keyType),
    load: (reference: KeyReference) => loadKey(kek, reference),
  });
}

async function generateKey(kek: KeyEncryptionKey, keyType: CaKeyType): Promise<AuthorityKey> {
  const privateKey = await generatePrivateKey(keyType);
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const wrapped = kek.wrap(pkcs8, context(publicPart(privateKey).keyId));
  pkcs8.fill(0);
  return softwareKey(privateKey, keyType, wrapped);
}

async function loadKey(kek: KeyEncryptionKey, reference: KeyReference): Promise<AuthorityKey> {
  if (reference.wrappedKey === null) {
    throw new RotundaError('unavailable', `the database does not hold the CA key ${reference.keyId}`);
  }
  const pkcs8 = kek.unwrap(reference.wrappedKey, context(reference.keyId));
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  pkcs8.fill(0);
  if (publicPart(privateKey).keyId !== reference.keyId || !hasKeyType(privateKey, reference.keyType)) {
    throw new RotundaError('internal', `the database holds another CA key under ${reference.keyId}`);
  }
  return Promise.resolve(softwareKey(privateKey, reference.keyType, reference.wrappedKey));
}

/** Binds the wrapped key to its public key, so that rows of the database cannot be exchanged for one another. */
function context(keyId: string): string {
  return `authority-key/${keyId}`;
}
