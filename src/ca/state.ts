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

/** The rings as the database had them at one moment, frozen. A change makes another one. */
export type CaState = {
  readonly rings: ReadonlyMap<string, Ring>;
  readonly signers: ReadonlyMap<string, Signer>;
  readonly bundles: ReadonlyMap<string, Bundle>;
  readonly authorities: readonly Authority[];
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
  const signers = await openSigners(ringRows, authorityRows, authorities, keys);
  const bundles = bundleRows.map((row) => toBundle(row, (fingerprint) => byFingerprint.get(fingerprint)?.facts));
  return Object.freeze({
    rings: new Map(ringRows.map((row) => [row.name, toRing(row, authorities)])),
    signers,
    bundles: new Map(bundles.map((bundle) => [bundle.ring, bundle])),
    authorities: Object.freeze([...authorities.values()]),
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

function toRing(row: RingRow, authorities: ReadonlyMap<string, Authority>): Ring {
  return Object.freeze({
    name: row.name,
    epoch: row.epoch,
    generation: row.generation,
    active: activeOf(row, authorities),
  });
}

async function openSigners(
  rings: readonly RingRow[],
  rows: readonly AuthorityRow[],
  authorities: ReadonlyMap<string, Authority>,
  keys: KeyStore,
): Promise<ReadonlyMap<string, Signer>> {
  const signers = new Map<string, Signer>();
  for (const ring of rings) {
    const authority = activeOf(ring, authorities);
    const certificate = issuingCertificate(authority);
    const wrappedKey = rows.find((row) => row.ski === authority.ski)?.wrapped_key ?? null;
    const key = await keys.load({ keyId: certificate.key.keyId, keyType: authority.keyType, wrappedKey });
    signers.set(ring.name, createSigner(authority, ring.epoch, certificate, key));
  }
  return signers;
}
