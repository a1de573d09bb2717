import { createHash, verify } from 'node:crypto';

import { RotundaError } from '../errors.js';
import { hashOf } from './keys/software-key.js';
import type { Signer } from './signers.js';
import type { IssuedCertificate, PreparedCertificate } from './types.js';
import { certificateParts } from './x509/certificate.js';
import { encodePem } from './x509/pem.js';

/** Every how many signatures of one EC or Ed25519 key are verified. */
const sampling = 64;

/**
 * Looks at what an issuer gave back before anyone sees it: the to-be-signed bytes must be those that were vetted, and
 * the signature algorithm the key's own. Verifying the signature costs twice as much as making it on P-256, and what it
 * would find (a fault of this machine) every client finds too; so the first of each authority and then one in 64 are
 * verified. RSA is verified always: it costs a twentieth of signing, and a faulty RSA signature gives the key away.
 */
export function createCheck(): (prepared: PreparedCertificate, der: Buffer, signer: Signer) => IssuedCertificate {
  const counts = new WeakMap<Signer, number>();
  return (prepared, der, signer) => {
    const parts = certificateParts(der);
    if (!parts.tbs.equals(prepared.tbs)) throw broken(signer, 'signed something else than it was given');
    if (!parts.signatureAlgorithm.equals(signer.template.signatureAlgorithm))
      throw broken(signer, 'signed with another algorithm');
    const count = counts.get(signer) ?? 0;
    counts.set(signer, count + 1);
    const { keyType } = signer.authority;
    if (keyType.startsWith('rsa-') || count % sampling === 0) {
      if (!verify(hashOf(keyType), parts.tbs, signer.publicKey, parts.signature))
        throw broken(signer, 'made a signature that does not verify');
    }
    const fingerprint = createHash('sha256').update(der).digest('hex');
    const pem = encodePem('CERTIFICATE', der);
    return Object.freeze({ prepared, der, fingerprint, pem, chainPem: pem + signer.crossPem });
  };
}

function broken(signer: Signer, what: string): RotundaError {
  return new RotundaError('internal', `the issuer ${signer.ski} of the ring ${signer.authority.ring} ${what}`);
}
