import type { KeyObject } from 'node:crypto';

import { createBuiltInIssuer } from './issuers/built-in.js';
import type { AuthorityKey } from './keys/types.js';
import type { Authority, Issuer } from './types.js';
import { createLeafTemplate, type LeafTemplate } from './x509/template.js';
import type { CertificateFacts, IssuerInfo } from './x509/types.js';

/** The one authority of a ring that signs now, with everything that a leaf needs made ready. */
export type Signer = {
  readonly ski: string;
  readonly epoch: number;
  readonly authority: Authority;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly issuer: Issuer;
  readonly template: LeafTemplate;
};

/** A signer over a key of this service's own. `certificate` is the authority's certificate that leaves chain to. */
export function createSigner(
  authority: Authority,
  epoch: number,
  certificate: CertificateFacts,
  key: AuthorityKey,
): Signer {
  const info: IssuerInfo = Object.freeze({
    subjectDer: certificate.subjectDer,
    ski: Buffer.from(authority.ski, 'hex'),
    keyType: authority.keyType,
    notAfter: certificate.notAfter,
  });
  return Object.freeze({
    ski: authority.ski,
    epoch,
    authority,
    notAfter: certificate.notAfter,
    publicKey: key.publicKey,
    issuer: createBuiltInIssuer(key, info),
    template: createLeafTemplate(info),
  });
}
