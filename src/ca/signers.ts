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
  /** What is presented behind its leaves, PEM; empty but while it takes over from another authority. */
  readonly crossPem: string;
};

export type SignerParts = {
  readonly authority: Authority;
  readonly epoch: number;
  /** The authority's certificate that leaves chain to. */
  readonly certificate: CertificateFacts;
  /** The latest that a leaf may last, milliseconds. */
  readonly notAfter: number;
  readonly crossPem: string;
};

/** A signer over a key of this service's own. */
export function createSigner(
  { authority, epoch, certificate, notAfter, crossPem }: SignerParts,
  key: AuthorityKey,
): Signer {
  const info: IssuerInfo = Object.freeze({
    subjectDer: certificate.subjectDer,
    ski: Buffer.from(authority.ski, 'hex'),
    keyType: authority.keyType,
    notAfter,
  });
  return Object.freeze({
    ski: authority.ski,
    epoch,
    authority,
    notAfter,
    publicKey: key.publicKey,
    issuer: createBuiltInIssuer(key, info),
    template: createLeafTemplate(info),
    crossPem,
  });
}
