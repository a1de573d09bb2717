import { type KeyObject, X509Certificate } from 'node:crypto';

import type { Authority } from '../../ca/types.js';
import { readCertificate } from '../../ca/x509/certificate.js';

/** One that a presented certificate may be from. */
export type KnownAuthority = { readonly ski: string; readonly publicKey: KeyObject };

export type Presented = {
  readonly leaf: {
    /** Lower-case hex. */
    readonly serial: string;
    /** SHA-256 of the DER, lower-case hex. */
    readonly fingerprint: string;
    /** Milliseconds. */
    readonly notAfter: number;
  };
  /** SKI of the authority whose key has signed the leaf, whatever the leaf says. */
  readonly authority: string | undefined;
  /** The key identifier of its issuer as the leaf says; undefined where it says none, or is of no shape that is known here. */
  readonly claimed: string | undefined;
  /** One of the certificates behind the leaf is an authority's, signed by another of the authorities. */
  readonly crossed: boolean;
  /** How many certificates were sent. */
  readonly length: number;
};

/** The authorities of a ring by their keys. */
export function knownAuthorities(authorities: readonly Authority[]): KnownAuthority[] {
  return authorities.flatMap(({ ski, certificates }) => {
    const publicKey = certificates[0]?.facts.publicKey;
    return publicKey === undefined ? [] : [{ ski, publicKey }];
  });
}

/** Reads a chain as an endpoint sent it, leaf first. Undefined for one whose leaf is no certificate. */
export function readPresented(chain: readonly Buffer[], authorities: readonly KnownAuthority[]): Presented | undefined {
  const [leaf, ...rest] = chain.map(parse);
  if (leaf === undefined) return undefined;
  return {
    leaf: {
      serial: leaf.serialNumber.toLowerCase(),
      fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
      notAfter: Date.parse(leaf.validTo),
    },
    authority: signerOf(leaf, authorities)?.ski,
    claimed: claimedBy(leaf.raw),
    crossed: rest.some((certificate) => certificate !== undefined && isCross(certificate, authorities)),
    length: chain.length,
  };
}

function isCross(certificate: X509Certificate, authorities: readonly KnownAuthority[]): boolean {
  const subject = authorities.find(({ publicKey }) => certificate.publicKey.equals(publicKey));
  const signer = subject && signerOf(certificate, authorities);
  return signer !== undefined && signer !== subject;
}

function signerOf(certificate: X509Certificate, authorities: readonly KnownAuthority[]): KnownAuthority | undefined {
  return authorities.find(({ publicKey }) => isSignedBy(certificate, publicKey));
}

function isSignedBy(certificate: X509Certificate, publicKey: KeyObject): boolean {
  try {
    return certificate.verify(publicKey);
  } catch {
    // OpenSSL throws for a signature of another kind of key.
    return false;
  }
}

function parse(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

/** Of certificates that others have issued, not every one can be read here. */
function claimedBy(der: Buffer): string | undefined {
  try {
    return readCertificate(der).authorityKeyId;
  } catch {
    return undefined;
  }
}
