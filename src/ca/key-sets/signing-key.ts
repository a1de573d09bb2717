import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

import { invalid } from '../../errors.js';

/** The public half of a key that signs tokens. */
export type SigningKey = {
  /** base64url of SHA-256 over the SubjectPublicKeyInfo, as kube-apiserver names its keys (keyIDFromPublicKey). */
  readonly kid: string;
  /** RFC 7518. */
  readonly algorithm: 'RS256' | 'ES256' | 'ES384' | 'ES512';
  /** RFC 7517, public members alone, with kid, alg and use. */
  readonly jwk: Readonly<JsonWebKey>;
};

const curves: Readonly<Record<string, SigningKey['algorithm']>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const shortestRsa = 2048;

/** Reads a public key, PEM. Private keys are refused: nobody should send one. Throws RotundaError 'invalid' for `field`. */
export function readSigningKey(pem: string, field: string): SigningKey {
  const refuse = (message: string) => invalid([{ field, reason: 'FieldValueInvalid', message }]);
  if (/PRIVATE KEY/.test(pem))
    throw refuse('holds a private key; send the public one: openssl pkey -in sa.key -pubout');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw refuse('is no public key as PEM: openssl pkey -in sa.key -pubout makes one');
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    throw refuse(`must be RSA with ${String(shortestRsa)} bits or more, or ECDSA on P-256, P-384 or P-521`);
  const spki = key.export({ format: 'der', type: 'spki' });
  const kid = createHash('sha256').update(spki).digest('base64url');
  return { kid, algorithm, jwk: { use: 'sig', ...key.export({ format: 'jwk' }), kid, alg: algorithm } };
}

/** The public key of a JWK, PEM: for kube-apiserver's `--service-account-key-file`, which takes several. */
export function publicPem(jwk: Readonly<JsonWebKey>): string {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' })
    .export({ format: 'pem', type: 'spki' })
    .toString();
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): SigningKey['algorithm'] | undefined {
  if (asymmetricKeyType === 'rsa')
    return (asymmetricKeyDetails?.modulusLength ?? 0) >= shortestRsa ? 'RS256' : undefined;
  if (asymmetricKeyType === 'ec') return curves[asymmetricKeyDetails?.namedCurve ?? ''];
  return undefined;
}
