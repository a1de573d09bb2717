import type { KeyObject } from 'node:crypto';

/** A subjectAltName that Rotunda knows. Values are checked: LDH host names (a leading `*.` allowed), canonical IP text, ASCII mailbox, absolute URI. */
export type AltName = { readonly kind: 'dns' | 'ip' | 'email' | 'uri'; readonly value: string };

/** One attribute of a distinguished name: dotted OID and text. */
export type NameAttribute = { readonly oid: string; readonly value: string };

/** A distinguished name as its attributes in encoded order, one per RDN (multi-valued RDNs are flattened in order). */
export type DistinguishedName = readonly NameAttribute[];

/** `ec-p224` can be read and verified, as upstream does, and is never signed. */
export type KeyType = 'ec-p224' | 'ec-p256' | 'ec-p384' | 'ec-p521' | 'rsa' | 'ed25519';

/** A public key out of a CSR or certificate. */
export type SubjectKey = {
  readonly type: KeyType;
  /** Modulus bits for RSA, curve bits otherwise. */
  readonly bits: number;
  /** SubjectPublicKeyInfo, DER, as presented. */
  readonly spki: Buffer;
  /** SHA-256 of spki, lower-case hex. */
  readonly keyId: string;
};

/**
 * A PKCS#10 request whose DER is strict, whose extensions are known and not repeated, and whose signature by its own
 * key has been checked. The key policy and every name have been checked too, but no profile.
 */
export type VerifiedCsr = {
  readonly subject: DistinguishedName;
  /** The last CN (upstream's choice), `''` without one. */
  readonly commonName: string;
  /** All O values in order. */
  readonly organizations: readonly string[];
  readonly names: readonly AltName[];
  readonly key: SubjectKey;
  /** Requested basicConstraints CA:TRUE, which is never granted. */
  readonly requestsCa: boolean;
  /** The request as DER, re-encoded from what was read. */
  readonly der: Buffer;
};

/**
 * A rule that upstream does not have and Rotunda never signs against. `field` is the place inside the request
 * (`subject`, `key`, `subjectAltName[2]`, `extensionRequest`), `rule` a stable word for logs and metrics.
 */
export type CsrProblem = { readonly field: string; readonly rule: string; readonly message: string };

/** A CSR that upstream would accept at create, with all that keeps Rotunda from ever signing it. */
export type ReadCsr = VerifiedCsr & { readonly problems: readonly CsrProblem[] };

/** RFC 5280 extended key usages by Kubernetes' usage names are resolved to these. */
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

/** What a leaf's issuer looks like to the encoder. */
export type IssuerInfo = {
  /** Subject of the authority's certificate, DER, byte for byte. */
  readonly subjectDer: Buffer;
  /** Subject key identifier of the authority. */
  readonly ski: Buffer;
  readonly keyType: 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'ed25519';
  /** Latest notAfter that a leaf may have, milliseconds. */
  readonly notAfter: number;
};

/** All that a leaf certificate says. */
export type LeafSpec = {
  /** 16 bytes, first byte 0x01 to 0x7f. */
  readonly serial: Buffer;
  readonly subject: DistinguishedName;
  readonly names: readonly AltName[];
  readonly spki: Buffer;
  /** Milliseconds; whole seconds are encoded. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keyUsages: readonly KeyUsage[];
  /** Dotted OIDs, encoded in this order. */
  readonly extendedKeyUsages: readonly string[];
};

/** A certificate as read back. */
export type CertificateFacts = {
  readonly der: Buffer;
  readonly serial: string;
  /** SHA-256 of der, lower-case hex. */
  readonly fingerprint: string;
  readonly subject: DistinguishedName;
  readonly issuerDer: Buffer;
  readonly subjectDer: Buffer;
  readonly names: readonly AltName[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  readonly extendedKeyUsages: readonly string[];
  readonly keyUsages: readonly KeyUsage[];
  readonly authorityKeyId: string | undefined;
  readonly subjectKeyId: string | undefined;
  readonly key: SubjectKey;
  readonly publicKey: KeyObject;
};
