import type { IssuerInfo } from './types.js';

/** AlgorithmIdentifiers that certificates are signed with, DER (RFC 5758, RFC 4055, RFC 8410). */
const ecdsaWithSha256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
const ecdsaWithSha384 = Buffer.from('300a06082a8648ce3d040303', 'hex');
const rsaWithSha256 = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
const ed25519 = Buffer.from('300506032b6570', 'hex');

/** The algorithm that belongs to an issuer's key: the hash follows the curve, RSA is PKCS #1 v1.5 with SHA-256. */
export function signatureAlgorithmOf(keyType: IssuerInfo['keyType']): Buffer {
  switch (keyType) {
    case 'ec-p256':
      return ecdsaWithSha256;
    case 'ec-p384':
      return ecdsaWithSha384;
    case 'ed25519':
      return ed25519;
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return rsaWithSha256;
  }
}
