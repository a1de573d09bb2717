import { RotundaError } from '../../errors.js';
import {
  type Extension,
  extensionOids,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readExtendedKeyUsage,
  readKeyUsage,
} from './extensions.js';
import { orderNames, readGeneralNames } from './general-names.js';
import { keyPolicyFault } from './key.js';
import { attributeOids, rebuildSubject, sameName } from './name.js';
import { signatureAlgorithmOf } from './signature-algorithms.js';
import { type ReadTbs, readTbs } from './tbs.js';
import type { IssuerInfo, LeafSpec } from './types.js';

/** What was vetted: the certificate must say this and nothing else. */
export type LeafExpectations = Omit<LeafSpec, 'serial'> & { readonly serial?: Buffer };
export type LintOptions = {
  /** True only for the service's own ring, which alone makes groups `rotunda:*`. */
  readonly allowReservedGroups?: boolean;
};

const reservedPrefix = 'rotunda:';
const SERIAL_LENGTH = 16;

/**
 * The last look before a signature: reads the TBSCertificate back and compares it with what was vetted and with the
 * issuer, and applies on its own what no profile may change: a 16-byte positive serial, a validity in order and within
 * the issuer's, an extended key usage, no CA and no CA usages, key policy, no reserved group, no extension that a leaf
 * does not have. Throws RotundaError `invalid` with the rules that are broken.
 */
export function lintLeaf(tbs: Buffer, expected: LeafExpectations, issuer: IssuerInfo, options: LintOptions = {}): void {
  const read = readTbs(tbs);
  const faults: string[] = [];
  const rule = (holds: boolean, message: string): void => {
    if (!holds) faults.push(message);
  };
  lintSerial(read, expected, rule);
  lintIssuer(read, issuer, rule);
  lintValidity(read, expected, issuer, rule);
  lintSubject(read, expected, options.allowReservedGroups ?? false, rule);
  lintKey(read, expected, rule);
  lintExtensions(read, expected, issuer, rule);
  if (faults.length > 0) throw new RotundaError('invalid', `the certificate breaks its rules: ${faults.join('; ')}`);
}

type Rule = (holds: boolean, message: string) => void;

function lintSerial({ serial }: ReadTbs, expected: LeafExpectations, rule: Rule): void {
  const first = serial[0] ?? 0;
  rule(
    serial.length === SERIAL_LENGTH && first >= 1 && first <= 0x7f,
    'the serial is not a positive number of 16 bytes',
  );
  rule(expected.serial === undefined || serial.equals(expected.serial), 'the serial is another than intended');
}

function lintIssuer(read: ReadTbs, issuer: IssuerInfo, rule: Rule): void {
  rule(read.issuerDer.equals(issuer.subjectDer), 'the issuer is not the subject of the authority');
  rule(
    read.signatureAlgorithm.equals(signatureAlgorithmOf(issuer.keyType)),
    'the signature algorithm is not the one of the authority',
  );
}

function lintValidity(read: ReadTbs, expected: LeafExpectations, issuer: IssuerInfo, rule: Rule): void {
  const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000) * 1000;
  rule(read.notBefore < read.notAfter, 'the validity ends before it begins');
  rule(read.notAfter <= issuer.notAfter, 'the certificate outlives its issuer');
  rule(
    read.notBefore === seconds(expected.notBefore) && read.notAfter === seconds(expected.notAfter),
    'the validity is another than intended',
  );
}

function lintSubject({ subject }: ReadTbs, expected: LeafExpectations, allowReserved: boolean, rule: Rule): void {
  rule(subject.faults.length === 0, subject.faults[0] ?? '');
  rule(sameName(subject.attributes, rebuildSubject(expected.subject)), 'the subject is another than vetted');
  const reserved = (oid: string, value: string): boolean =>
    oid === attributeOids.organization && value.toLowerCase().startsWith(reservedPrefix);
  rule(allowReserved || !subject.attributes.some((a) => reserved(a.oid, a.value)), 'the subject has a reserved group');
  rule(subject.attributes.length > 0 || expected.names.length > 0, 'the certificate names nobody');
}

function lintKey({ key }: ReadTbs, expected: LeafExpectations, rule: Rule): void {
  rule(key.spki.equals(expected.spki), 'the key is another than vetted');
  const fault = keyPolicyFault(key);
  rule(fault === undefined, fault?.message ?? '');
}

function lintExtensions(read: ReadTbs, expected: LeafExpectations, issuer: IssuerInfo, rule: Rule): void {
  const seen = new Set<string>();
  for (const extension of read.extensions) {
    seen.add(extension.oid);
    lintExtension(extension, { read, expected, issuer, rule });
  }
  rule(seen.has(extensionOids.extendedKeyUsage), 'the extended key usage is missing');
  rule(seen.has(extensionOids.basicConstraints), 'the basic constraints are missing');
  rule(seen.has(extensionOids.authorityKeyIdentifier), 'the authority key identifier is missing');
  rule(
    seen.has(extensionOids.keyUsage) === expected.keyUsages.length > 0,
    'the key usage is missing, or there without being asked for',
  );
  rule(
    seen.has(extensionOids.subjectAltName) === expected.names.length > 0,
    'names are missing, or there without being vetted',
  );
}

type LintContext = {
  readonly read: ReadTbs;
  readonly expected: LeafExpectations;
  readonly issuer: IssuerInfo;
  readonly rule: Rule;
};

function lintExtension({ oid, critical, value }: Extension, { read, expected, issuer, rule }: LintContext): void {
  switch (oid) {
    case extensionOids.keyUsage:
      lintKeyUsage(value, critical, expected, rule);
      break;
    case extensionOids.extendedKeyUsage:
      rule(
        sameOrder(readExtendedKeyUsage(value), expected.extendedKeyUsages),
        'the extended key usage is another than intended',
      );
      rule(expected.extendedKeyUsages.length > 0, 'the extended key usage is empty');
      break;
    case extensionOids.basicConstraints: {
      const { ca, pathLength } = readBasicConstraints(value);
      rule(critical && !ca && pathLength === undefined, 'the basic constraints are not those of a leaf');
      break;
    }
    case extensionOids.authorityKeyIdentifier:
      rule(
        readAuthorityKeyIdentifier(value)?.equals(issuer.ski) ?? false,
        'the authority key identifier is not the one of the authority',
      );
      break;
    case extensionOids.subjectAltName:
      lintNames(value, critical, read, expected, rule);
      break;
    default:
      rule(false, `there is an extension ${oid} that leaves do not have`);
  }
}

function lintKeyUsage(value: Buffer, critical: boolean, expected: LeafExpectations, rule: Rule): void {
  const usages = readKeyUsage(value);
  rule(critical, 'the key usage is not critical');
  rule(!usages.includes('keyCertSign') && !usages.includes('cRLSign'), 'the key usage is that of an authority');
  const same =
    usages.length === new Set(expected.keyUsages).size && usages.every((u) => expected.keyUsages.includes(u));
  rule(same, 'the key usage is another than intended');
}

function lintNames(
  value: Buffer,
  critical: boolean,
  { subject }: ReadTbs,
  expected: LeafExpectations,
  rule: Rule,
): void {
  const { names, faults } = readGeneralNames(value);
  rule(faults.length === 0, faults[0]?.message ?? '');
  const vetted = orderNames(expected.names);
  const same =
    names.length === vetted.length && names.every((n, i) => n.kind === vetted[i]?.kind && n.value === vetted[i].value);
  rule(same, 'the names are others than vetted');
  rule(critical === (subject.attributes.length === 0), 'the names are critical exactly when there is no subject');
}

function sameOrder(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
