import type { KeyObject } from 'node:crypto';

import type { CaKeyType } from '../types.js';

/** Names one CA key. */
export type KeyReference = {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly keyId: string;
  readonly keyType: CaKeyType;
  /** What the database keeps of it: the wrapped private key, or null when the key lives elsewhere. */
  readonly wrappedKey: Buffer | null;
};

/** A CA's private key that can be used and not read. */
export type AuthorityKey = KeyReference & {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /**
   * Signs `data` with the hash that belongs to the key type: SHA-256 for P-256 and RSA (PKCS #1 v1.5), SHA-384 for
   * P-384, none apart for Ed25519. ECDSA signatures are DER. Where signing takes long, it does not block.
   */
  readonly sign: (data: Buffer) => Promise<Buffer> | Buffer;
};

/** Where CA keys are born and stay: encrypted in the database, or in a token. One file per kind. */
export type KeyStore = {
  generate(keyType: CaKeyType): Promise<AuthorityKey>;
  /** Throws RotundaError 'unavailable' when the key cannot be opened, 'internal' when it is another than its reference says. */
  load(reference: KeyReference): Promise<AuthorityKey>;
};
