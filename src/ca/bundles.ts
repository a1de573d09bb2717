import type { Kysely } from 'kysely';

import { RotundaError } from '../errors.js';
import { findAuthorityCertificates } from '../store/queries/authorities.js';
import { findBundle, type NewBundleRow } from '../store/queries/bundles.js';
import type { Schema } from '../store/schema.js';
import type { Bundle } from './types.js';
import { anchorsDigest } from './x509/manifest.js';
import { encodePem } from './x509/pem.js';
import { readCertificate } from './x509/certificate.js';
import type { CertificateFacts } from './x509/types.js';

/** The row of a new bundle. The anchors keep their order: that of the current signer first, since old verifiers stop at the first match. */
export function bundleRow(
  ring: string,
  generation: number,
  anchors: readonly CertificateFacts[],
  createdAt: number,
): NewBundleRow {
  return {
    ring,
    generation,
    digest: anchorsDigest(anchors),
    anchors: JSON.stringify(anchors.map((anchor) => anchor.fingerprint)),
    created_at: createdAt,
  };
}

/** The bundle of a row and the certificates that it names. Throws RotundaError 'internal' when the database contradicts itself. */
export function toBundle(
  row: NewBundleRow,
  certificate: (fingerprint: string) => CertificateFacts | undefined,
): Bundle {
  const anchors = fingerprintsOf(row).map((fingerprint) => {
    const found = certificate(fingerprint);
    if (found === undefined) throw damaged(row, `its anchor ${fingerprint} is missing`);
    return found;
  });
  // The digest was computed when the bundle was published: bytes that changed since then are never handed out.
  if (anchorsDigest(anchors) !== row.digest) throw damaged(row, 'its anchors are not those that were published');
  return Object.freeze({
    ring: row.ring,
    generation: row.generation,
    digest: row.digest,
    anchors: Object.freeze(anchors),
    pem: anchors.map((anchor) => encodePem('CERTIFICATE', anchor.der)).join(''),
    createdAt: row.created_at,
    manifest: manifestOf(row),
  });
}

function manifestOf({ manifest, signature, signed_by: signedBy }: NewBundleRow): Bundle['manifest'] {
  if (typeof manifest !== 'string' || typeof signature !== 'string' || typeof signedBy !== 'string') return undefined;
  return Object.freeze({ text: manifest, signature, signedBy });
}

function fingerprintsOf(row: NewBundleRow): readonly string[] {
  const list: unknown = JSON.parse(row.anchors);
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  throw damaged(row, 'its list of anchors cannot be read');
}

function damaged(row: NewBundleRow, what: string): RotundaError {
  return new RotundaError('internal', `bundle ${row.generation} of the ring ${row.ring} is damaged: ${what}`);
}

/** One generation of a ring's bundle, from the database. Throws RotundaError 'not-found'. */
export async function loadBundle(db: Kysely<Schema>, ring: string, generation: number): Promise<Bundle> {
  const row = await findBundle(db, ring, generation);
  if (row === undefined) throw new RotundaError('not-found', `the ring ${ring} has no bundle ${generation}`);
  const certificates = await findAuthorityCertificates(db, fingerprintsOf(row));
  const facts = new Map(certificates.map((certificate) => [certificate.fingerprint, readCertificate(certificate.der)]));
  return toBundle(row, (fingerprint) => facts.get(fingerprint));
}
