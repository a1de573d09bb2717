import { type KeyObject, createHash } from 'node:crypto';
import { cursorOver, derError, enter, finish, take, takeOctetAlignedBits, tags, wholeOf } from './der.js';
import {
  extensionOids,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
  type Extension,
} from './extensions.js';
import { readGeneralNames } from './general-names.js';
import { importKey, toSubjectKey } from './key.js';
import { encodePem } from './pem.js';
import { readTbs } from './tbs.js';
import type { AltName, CertificateFacts } from './types.js';

export type CertificateParts = {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
};

/** The three parts of a Certificate: TBSCertificate and AlgorithmIdentifier as DER, and the bare signature. Views, not copies. Throws `invalid`. */
export function certificateParts(der: Buffer): CertificateParts {
  const outer = cursorOver(der);
  const fields = enter(outer, tags.sequence, 'certificate');
  finish(outer, 'certificate');
  const tbs = wholeOf(der, take(fields, tags.sequence, 'tbsCertificate'));
  const signatureAlgorithm = wholeOf(der, take(fields, tags.sequence, 'signatureAlgorithm'));
  const signature = takeOctetAlignedBits(fields, 'signature');
  finish(fields, 'certificate');
  return { tbs, signatureAlgorithm, signature };
}

/**
 * Reads a certificate: strict DER, version 3, no extension twice, both signature algorithms the same, every name of a
 * type and shape that Rotunda issues. The signature is not checked. Throws `invalid`. The public key is imported when it is first asked for.
 */
export function readCertificate(der: Buffer): CertificateFacts {
  const bytes = Buffer.from(der);
  const parts = certificateParts(bytes);
  const tbs = readTbs(parts.tbs);
  if (!tbs.signatureAlgorithm.equals(parts.signatureAlgorithm)) {
    throw derError('x509: inner and outer signature algorithm identifiers do not match');
  }
  const fault = tbs.subject.faults[0];
  if (fault !== undefined) throw derError(`x509: ${fault}`);
  const find = (oid: string): Buffer | undefined => tbs.extensions.find((e: Extension) => e.oid === oid)?.value;
  let publicKey: KeyObject | undefined;
  return Object.freeze({
    der: bytes,
    serial: tbs.serial.toString('hex'),
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
    subject: tbs.subject.attributes,
    issuerDer: tbs.issuerDer,
    subjectDer: tbs.subjectDer,
    names: readNames(find(extensionOids.subjectAltName)),
    notBefore: tbs.notBefore,
    notAfter: tbs.notAfter,
    isCa: readIf(find(extensionOids.basicConstraints), readBasicConstraints)?.ca ?? false,
    extendedKeyUsages: readIf(find(extensionOids.extendedKeyUsage), readExtendedKeyUsage) ?? [],
    keyUsages: readIf(find(extensionOids.keyUsage), readKeyUsage) ?? [],
    authorityKeyId: readIf(find(extensionOids.authorityKeyIdentifier), readAuthorityKeyIdentifier)?.toString('hex'),
    subjectKeyId: readIf(find(extensionOids.subjectKeyIdentifier), readSubjectKeyIdentifier)?.toString('hex'),
    key: toSubjectKey(tbs.key),
    get publicKey() {
      publicKey ??= importKey(tbs.key);
      return publicKey;
    },
  });
}

/** The certificate as PEM, one trailing newline. */
export function toPem(certificate: Pick<CertificateFacts, 'der'>): string {
  return encodePem('CERTIFICATE', certificate.der);
}

function readIf<T>(value: Buffer | undefined, read: (der: Buffer) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

function readNames(value: Buffer | undefined): readonly AltName[] {
  if (value === undefined) return [];
  const { names, faults } = readGeneralNames(value);
  const fault = faults[0];
  if (fault !== undefined) throw derError(`x509: subjectAltName: ${fault.message}`);
  return names;
}
