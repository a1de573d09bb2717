import type { AuthorityKey } from '../keys/types.js';
import type { Issuer } from '../types.js';
import { assembleCertificate } from '../x509/template.js';
import type { IssuerInfo } from '../x509/types.js';

/** Signs with a key of this service's own. EC and Ed25519 answer at once, RSA by a promise: see AuthorityKey.sign. */
export function createBuiltInIssuer(key: AuthorityKey, info: IssuerInfo): Issuer {
  return Object.freeze({
    info,
    sign(tbs: Buffer) {
      const signature = key.sign(tbs);
      if (Buffer.isBuffer(signature)) return assembleCertificate(tbs, signature, info.keyType);
      return signature.then((bytes) => assembleCertificate(tbs, bytes, info.keyType));
    },
  });
}
