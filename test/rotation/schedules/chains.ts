import { X509Certificate } from 'node:crypto';

/** What is presented: a leaf, and what stands behind it. */
export type Chain = { readonly leaf: X509Certificate; readonly more: readonly X509Certificate[] };

/** Certificates of a PEM text, the leaf first. */
export function chainOf(pem: string): Chain {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const [leaf, ...more] = blocks.map((block) => new X509Certificate(block));
  if (leaf === undefined) throw new Error('there is no certificate');
  return { leaf, more };
}

/** More than the paths that are looked for: a leaf, a cross-certificate, an anchor. */
const longestPath = 3;
const signatures = new Map<string, boolean>();
const times = new WeakMap<X509Certificate, { readonly from: number; readonly to: number }>();

/**
 * Whether a process that knows these anchors verifies the chain at a time, milliseconds: names, key identifiers,
 * signatures, validity of every certificate on the path, by OpenSSL and not by the code under test.
 */
export function verifies({ leaf, more }: Chain, anchors: readonly X509Certificate[], at: number): boolean {
  return isValid(leaf, at) && reaches(leaf, more, anchors, at, 1);
}

function reaches(
  from: X509Certificate,
  more: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  at: number,
  length: number,
): boolean {
  if (length >= longestPath + 1) return false;
  if (anchors.some((anchor) => isValid(anchor, at) && isIssued(from, anchor))) return true;
  return more.some((next) => isValid(next, at) && isIssued(from, next) && reaches(next, more, anchors, at, length + 1));
}

function isIssued(subject: X509Certificate, issuer: X509Certificate): boolean {
  const key = `${subject.fingerprint256} ${issuer.fingerprint256}`;
  const known = signatures.get(key);
  if (known !== undefined) return known;
  const found = issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  signatures.set(key, found);
  return found;
}

export function isValid(certificate: X509Certificate, at: number): boolean {
  const { from, to } = validityOf(certificate);
  return from <= at && at <= to;
}

export function validityOf(certificate: X509Certificate): { readonly from: number; readonly to: number } {
  const known = times.get(certificate);
  if (known !== undefined) return known;
  const found = { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) };
  times.set(certificate, found);
  return found;
}
