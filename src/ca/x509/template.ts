import { tags } from './der.js';
import { element, header, octetAlignedBits, sequence, time } from './der-writer.js';
import {
  encodeAuthorityKeyIdentifier,
  encodeExtendedKeyUsage,
  encodeExtension,
  encodeKeyUsage,
  encodeLeafConstraints,
  extensionOids,
} from './extensions.js';
import { encodeGeneralNames } from './general-names.js';
import { encodeSubject } from './name.js';
import { signatureAlgorithmOf } from './signature-algorithms.js';
import type { IssuerInfo, LeafSpec } from './types.js';

export type LeafTemplate = {
  /** AlgorithmIdentifier of the issuer's signatures, DER. */
  readonly signatureAlgorithm: Buffer;
  /** DER of the TBSCertificate. Throws `invalid` for names, times or usages that a certificate cannot carry. */
  encodeTbs(spec: LeafSpec): Buffer;
};

const EXTENSIONS_TAG = 0xa3;
const VERSION_3 = Buffer.from([0xa0, 0x03, 0x02, 0x01, 0x02]);
const NO_BYTES = Buffer.alloc(0);
/** Profiles have a handful of usage sets; this only keeps a stream of odd ones from growing the memory. */
const MAX_REMEMBERED = 64;

/**
 * What an issuer's leaves have in common is encoded once, the rest is spliced in. Extensions as upstream's signer
 * orders them: keyUsage (critical, left out when empty), extKeyUsage, basicConstraints (critical, CA:FALSE),
 * authorityKeyIdentifier (key identifier only), subjectAltName (critical when the subject is empty, RFC 5280 section
 * 4.2.1.6). Subjects as `rebuildSubject` gives them.
 */
export function createLeafTemplate(issuer: IssuerInfo): LeafTemplate {
  const signatureAlgorithm = signatureAlgorithmOf(issuer.keyType);
  const signatureAndIssuer = Buffer.concat([signatureAlgorithm, issuer.subjectDer]);
  const constraints = encodeExtension(extensionOids.basicConstraints, true, encodeLeafConstraints());
  const keyIdentifier = encodeExtension(
    extensionOids.authorityKeyIdentifier,
    false,
    encodeAuthorityKeyIdentifier(issuer.ski),
  );
  const remembered = new Map<string, Buffer>();

  const constantExtensions = (spec: LeafSpec): Buffer => {
    const key = `${spec.keyUsages.join()};${spec.extendedKeyUsages.join()}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const encoded = Buffer.concat([...usageExtensions(spec), constraints, keyIdentifier]);
    if (remembered.size < MAX_REMEMBERED) remembered.set(key, encoded);
    return encoded;
  };

  return Object.freeze({
    signatureAlgorithm,
    encodeTbs(spec: LeafSpec) {
      const subject = encodeSubject(spec.subject);
      const names = spec.names.length === 0 ? NO_BYTES : alternativeNames(spec, subject.length === 2);
      const extensions = constantExtensions(spec);
      const extensionsHeader = header(tags.sequence, extensions.length + names.length);
      return sequence(
        VERSION_3,
        element(tags.integer, spec.serial),
        signatureAndIssuer,
        sequence(time(spec.notBefore), time(spec.notAfter)),
        subject,
        spec.spki,
        header(EXTENSIONS_TAG, extensionsHeader.length + extensions.length + names.length),
        extensionsHeader,
        extensions,
        names,
      );
    },
  });
}

/** DER of the Certificate around a TBSCertificate and its signature (ECDSA: DER, RSA and Ed25519: as they are). */
export function assembleCertificate(tbs: Buffer, signature: Buffer, keyType: IssuerInfo['keyType']): Buffer {
  return sequence(tbs, signatureAlgorithmOf(keyType), octetAlignedBits(signature));
}

function usageExtensions({ keyUsages, extendedKeyUsages }: LeafSpec): Buffer[] {
  const out: Buffer[] = [];
  if (keyUsages.length > 0) out.push(encodeExtension(extensionOids.keyUsage, true, encodeKeyUsage(keyUsages)));
  if (extendedKeyUsages.length > 0) {
    out.push(encodeExtension(extensionOids.extendedKeyUsage, false, encodeExtendedKeyUsage(extendedKeyUsages)));
  }
  return out;
}

function alternativeNames(spec: LeafSpec, critical: boolean): Buffer {
  return encodeExtension(extensionOids.subjectAltName, critical, encodeGeneralNames(spec.names));
}
