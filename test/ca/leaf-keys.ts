import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';

export type LeafKey = { readonly privateKey: KeyObject; readonly spki: Buffer; readonly keyId: string };

const make = {
  'ec-p256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'ec-p384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'rsa-2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ed25519: () => generateKeyPairSync('ed25519'),
};

/** A key made on a leaf's side. */
export function newLeafKey(type: keyof typeof make): LeafKey {
  const { privateKey, publicKey } = make[type]();
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return { privateKey, spki, keyId: createHash('sha256').update(spki).digest('hex') };
}
