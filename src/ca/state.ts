import { RotundaError } from '../errors.js';
import { listAuthorities, listAuthorityCertificates, type AuthorityRow } from '../store/queries/authorities.js';
import { listCurrentBundles } from '../store/queries/bundles.js';
import { listRings, type RingRow } from '../store/queries/rings.js';
import type { Store } from '../store/types.js';
import { issuingCertificate, toAuthority, toAuthorityCertificate } from './authorities.js';
import { toBundle } from './bundles.js';
import type { KeyStore } from './keys/types.js';
import { createSigner, type Signer } from './signers.js';
import type { Authority, AuthorityCertificate, Bundle, Ring } from './types.js';
import type { CertificateFacts } from './x509/types.js';

/** The rings as the database had them at one moment, frozen. A change makes another one. */
export type CaState = {
  readonly rings: ReadonlyMap<string, Ring>;
  readonly signers: ReadonlyMap<string, Signer>;
  readonly bundles: ReadonlyMap<string, Bundle>;
  readonly authorities: readonly Authority[];
  /** SKIs. */
  readonly tainted: ReadonlySet<string>;
};

/** Reads everything there is about rings, and opens the keys that sign now. */
export async function loadState(store: Store, keys: KeyStore): Promise<CaState> {
  const [ringRows, authorityRows, certificateRows, bundleRows] = await readRows(store);
  const certificates = new Map<string, AuthorityCertificate[]>();
  const byFingerprint = new Map<string, AuthorityCertificate>();
  for (const row of certificateRows) {
    const certificate = toAuthorityCertificate(row);
    byFingerprint.set(row.fingerprint, certificate);
    certificates.set(row.ski, [...(certificates.get(row.ski) ?? []), certificate]);
  }
  const authorities = new Map(authorityRows.map((row) => [row.ski, toAuthority(row, certificates.get(row.ski) ?? [])]));
  const bundles = bundleRows.map((row) => toBundle(row, (fingerprint) => byFingerprint.get(fingerprint)?.facts));
  const read = { ringRows, authorityRows, authorities, byFingerprint, bundles };
  const signers = await openSigners(read, keys);
  return Object.freeze({
    rings: new Map(ringRows.map((row) => [row.name, toRing(row, authorities, byFingerprint)])),
    signers,
    bundles: new Map(bundles.map((bundle) => [bundle.ring, bundle])),
    authorities: Object.freeze([...authorities.values()]),
    tainted: new Set(authorityRows.filter((row) => row.tainted !== 0).map((row) => row.ski)),
  });
}

/** Inside a write, which no other one runs beside: a ring must not be read at one epoch and its authority at another. */
function readRows(store: Store) {
  return store.write(async ({ db }) => {
    return [
      await listRings(db),
      await listAuthorities(db),
      await listAuthorityCertificates(db),
      await listCurrentBundles(db),
    ] as const;
  });
}

function activeOf(row: RingRow, authorities: ReadonlyMap<string, Authority>): Authority {
  const active = authorities.get(row.active_ski);
  if (active === undefined)
    throw new RotundaError(
      'internal',
      `the database has no authority ${row.active_ski}, which signs for the ring ${row.name}`,
    );
  return active;
}

type ByFingerprint = ReadonlyMap<string, AuthorityCertificate>;

function crossPemOf({ cross_certificate: fingerprint }: RingRow, certificates: ByFingerprint): string {
  return fingerprint === null ? '' : (certificates.get(fingerprint)?.pem ?? '');
}

function toRing(row: RingRow, authorities: ReadonlyMap<string, Authority>, certificates: ByFingerprint): Ring {
  return Object.freeze({
    name: row.name,
    epoch: row.epoch,
    generation: row.generation,
    active: activeOf(row, authorities),
    frozen: row.frozen !== 0,
    joinFloor: row.join_floor,
    joinsHeld: row.joins_held !== 0,
    rotating: [...authorities.values()].some(
      (a) => a.ring === row.name && a.ski !== row.active_ski && a.state !== 'destroyed',
    ),
    crossPem: crossPemOf(row, certificates),
  });
}

type Read = {
  readonly ringRows: readonly RingRow[];
  readonly authorityRows: readonly AuthorityRow[];
  readonly authorities: ReadonlyMap<string, Authority>;
  readonly byFingerprint: ByFingerprint;
  readonly bundles: readonly Bundle[];
};

async function openSigners(read: Read, keys: KeyStore): Promise<ReadonlyMap<string, Signer>> {
  const signers = new Map<string, Signer>();
  for (const ring of read.ringRows) {
    const authority = activeOf(ring, read.authorities);
    const certificate = issuingCertificate(authority);
    const wrappedKey = read.authorityRows.find((row) => row.ski === authority.ski)?.wrapped_key ?? null;
    // A frozen ring's key may be destroyed already; nothing is signed there.
    if (ring.frozen !== 0 && wrappedKey === null) continue;
    const key = await keys.load({ keyId: certificate.key.keyId, keyType: authority.keyType, wrappedKey });
    const crossPem = crossPemOf(ring, read.byFingerprint);
    const notAfter = lastsUntil(authority, certificate, read.bundles);
    signers.set(ring.name, createSigner({ authority, epoch: ring.epoch, certificate, notAfter, crossPem }, key));
  }
  return signers;
}

/** While an authority is published with an older certificate of its key, somebody may know that one alone. */
function lastsUntil(authority: Authority, certificate: CertificateFacts, bundles: readonly Bundle[]): number {
  const published = bundles
    .filter(({ ring }) => ring === authority.ring)
    .flatMap(({ anchors }) => anchors.filter(({ subjectKeyId }) => subjectKeyId === authority.ski));
  return published.length === 0 ? certificate.notAfter : Math.min(...published.map(({ notAfter }) => notAfter));
}
