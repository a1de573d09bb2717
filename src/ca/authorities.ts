import { RotundaError } from '../errors.js';
import type { AuthorityCertificateRow, AuthorityRow, NewAuthorityRow } from '../store/queries/authorities.js';
import type { AuthorityKey, KeyStore } from './keys/types.js';
import type { Authority, AuthorityCertificate, CaKeyType, RingConfig } from './types.js';
import { buildAuthorityCertificate, keyIdentifier } from './x509/authority.js';
import { readCertificate } from './x509/certificate.js';
import { attributeOids, formatDistinguishedName } from './x509/name.js';
import { encodePem } from './x509/pem.js';
import type { CertificateFacts } from './x509/types.js';

/**
 * How far before its making an authority's certificate begins. A machine whose clock is that much behind trusts it all
 * the same, and no leaf, backdated by five minutes itself, begins before its issuer.
 */
export const authorityBackdateMs = 60 * 60 * 1000;

/** A key and its self-signed certificate, not stored yet. */
export type NewAuthority = {
  readonly ring: string;
  readonly key: AuthorityKey;
  readonly facts: CertificateFacts;
  readonly ski: string;
};

/**
 * Makes a ring's next authority. Its Subject has the ring's common name, the generation, and the beginning of its key
 * identifier: a database made anew or restored would count the same generations with other keys, and verifiers that
 * look up issuers by Subject must never meet two keys under one.
 */
export async function makeAuthority(
  ring: RingConfig,
  generation: number,
  options: { readonly keys: KeyStore; readonly now: number; readonly serial: Buffer },
): Promise<NewAuthority> {
  const key = await options.keys.generate(ring.keyType);
  const der = await buildAuthorityCertificate({
    commonName: `${ring.commonName}-${generation}-${keyIdentifier(key.spki).toString('hex', 0, 4)}`,
    spki: key.spki,
    keyType: ring.keyType,
    serial: options.serial,
    notBefore: options.now - authorityBackdateMs,
    notAfter: options.now + ring.lifetimeMs,
    sign: key.sign,
  });
  const facts = readCertificate(der);
  if (facts.subjectKeyId === undefined)
    throw new RotundaError('internal', `the new authority of the ring ${ring.name} has no key identifier`);
  return { ring: ring.name, key, facts, ski: facts.subjectKeyId };
}

/** A certificate by which `issuer` vouches for another authority, which then need not be known itself. Never beyond either's end. */
export async function crossSign(
  subject: CertificateFacts,
  issuer: { readonly facts: CertificateFacts; readonly key: AuthorityKey },
  options: { readonly now: number; readonly serial: Buffer; readonly keyType: CaKeyType },
): Promise<CertificateFacts> {
  const { facts, key } = issuer;
  const der = await buildAuthorityCertificate({
    commonName: commonNameOf(subject),
    spki: subject.key.spki,
    keyType: options.keyType,
    serial: options.serial,
    notBefore: Math.max(subject.notBefore, facts.notBefore),
    notAfter: Math.min(subject.notAfter, facts.notAfter),
    issuer: { subjectDer: facts.subjectDer, ski: keyIdentifier(facts.key.spki), keyType: key.keyType },
    sign: key.sign,
  });
  return readCertificate(der);
}

/** Another certificate of the same key and Subject, with a life of its own from now on. */
export async function reissue(
  own: { readonly facts: CertificateFacts; readonly key: AuthorityKey },
  options: { readonly now: number; readonly serial: Buffer; readonly lifetimeMs: number },
): Promise<CertificateFacts> {
  const { facts, key } = own;
  const der = await buildAuthorityCertificate({
    commonName: commonNameOf(facts),
    spki: key.spki,
    keyType: key.keyType,
    serial: options.serial,
    notBefore: options.now - authorityBackdateMs,
    notAfter: options.now + options.lifetimeMs,
    sign: key.sign,
  });
  return readCertificate(der);
}

function commonNameOf(facts: CertificateFacts): string {
  return facts.subject.find(({ oid }) => oid === attributeOids.commonName)?.value ?? '';
}

/** The row of a certificate of an authority. */
export function certificateRow(
  facts: CertificateFacts,
  ski: string,
  kind: AuthorityCertificateRow['kind'],
  createdAt: number,
): AuthorityCertificateRow {
  const { fingerprint, der, notBefore, notAfter } = facts;
  return { fingerprint, ski, kind, der, not_before: notBefore, not_after: notAfter, created_at: createdAt };
}

/** The rows of a new authority: one that signs from now on, unless said otherwise. */
export function authorityRows(
  made: NewAuthority,
  createdAt: number,
  state: AuthorityRow['state'] = 'active',
): { authority: NewAuthorityRow; certificate: AuthorityCertificateRow } {
  const { facts, key, ski, ring } = made;
  return {
    authority: {
      ski,
      ring,
      subject: formatDistinguishedName(facts.subject),
      state,
      tainted: 0,
      key_type: key.keyType,
      wrapped_key: key.wrappedKey,
      created_at: createdAt,
    },
    certificate: certificateRow(facts, ski, 'self-signed', createdAt),
  };
}

/** An authority with its certificates, oldest first. */
export function toAuthority(row: AuthorityRow, certificates: readonly AuthorityCertificate[]): Authority {
  return Object.freeze({
    ski: row.ski,
    ring: row.ring,
    subject: row.subject,
    state: row.state,
    tainted: row.tainted !== 0,
    keyType: row.key_type,
    createdAt: row.created_at,
    certificates: Object.freeze([...certificates]),
  });
}

export function toAuthorityCertificate(row: AuthorityCertificateRow): AuthorityCertificate {
  const facts = readCertificate(row.der);
  if (facts.fingerprint !== row.fingerprint) {
    throw new RotundaError('internal', `the authority certificate ${row.fingerprint} in the database was altered`);
  }
  return Object.freeze({ kind: row.kind, facts, pem: encodePem('CERTIFICATE', facts.der) });
}

/** What this authority issued to itself and was not withdrawn, oldest first. */
export function ownCertificates({ certificates }: Authority): readonly CertificateFacts[] {
  return certificates.filter(({ kind }) => kind === 'self-signed' || kind === 'reissued').map(({ facts }) => facts);
}

/** The certificate that leaves chain to: the newest that this authority issued to itself. */
export function issuingCertificate(authority: Authority): CertificateFacts {
  const newest = ownCertificates(authority).at(-1);
  if (newest === undefined)
    throw new RotundaError('internal', `the authority ${authority.ski} has no certificate of its own`);
  return newest;
}
