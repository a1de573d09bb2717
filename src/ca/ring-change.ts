import { RotundaError } from '../errors.js';
import type { DomainChange, PreparedChange } from '../rotation/domain.js';
import { insertBundle, type NewBundleRow } from '../store/queries/bundles.js';
import { changeAuthority, changeRing, ringChanges, withdrawNewest } from '../store/queries/ring-changes.js';
import type { WriteTx } from '../store/types.js';
import { bundleRow } from './bundles.js';
import { anchorsDigest } from './x509/manifest.js';
import { bundleManifest } from './manifest.js';
import { openKey, type TrustDomainOptions } from './authority-keys.js';
import { ownCertificates } from './authorities.js';
import type { Authority, Ring } from './types.js';
import type { CertificateFacts } from './x509/types.js';

/** How often consumers look for another bundle where they are not told, seconds. */
const refreshSeconds = 300;

/**
 * Makes a ring's change ready: the bundle is put together and its manifest signed before the transaction. A manifest is
 * signed by the authority that signed until now, which consumers know from the bundle before; by the next one where that
 * key may be somebody else's.
 */
export async function prepareChange(options: TrustDomainOptions, change: DomainChange): Promise<PreparedChange> {
  const { ca } = options;
  // The successor may have been made by another replica, which tells nobody: the ring itself is as it was.
  await ca.reload();
  const ring = ca.ring(change.ring);
  const bundle = change.anchors === undefined ? undefined : await newBundle(options, ring, change);
  const cross = crossOf(ca.authorities(ring.name), change);
  const generation = bundle?.generation ?? ring.generation;
  return {
    generation,
    apply: async (tx, now) => {
      const held = await changeRing(
        tx.db,
        { name: ring.name, epoch: change.epoch },
        {
          epoch: change.epoch + 1,
          generation,
          ...(change.signer === undefined ? {} : { active_ski: change.signer }),
          ...(change.frozen === undefined ? {} : { frozen: change.frozen ? 1 : 0 }),
          ...(change.joinsHeld === undefined ? {} : { joins_held: change.joinsHeld ? 1 : 0 }),
          ...(change.raiseFloor === true ? { join_floor: generation } : {}),
          ...(cross === undefined ? {} : { cross_certificate: cross }),
        },
      );
      if (!held) return false;
      if (bundle !== undefined) await insertBundle(tx.db, { ...bundle, created_at: now });
      await changeAuthorities(tx, change);
      await tell(tx, ring.name, generation);
      return true;
    },
  };
}

async function newBundle(options: TrustDomainOptions, ring: Ring, change: DomainChange): Promise<NewBundleRow> {
  const { ca, clock } = options;
  const authorities = (change.anchors ?? []).map((ski) => authorityOf(ca.authorities(ring.name), ski));
  const previous = ca.bundle(ring.name);
  const now = clock.now().getTime();
  const published = new Set(previous.anchors.map(({ fingerprint }) => fingerprint));
  const anchors = authorities.flatMap((authority) => anchorsOf(authority, change, published));
  refuseExpired(anchors, published, now);
  const generation = previous.generation + 1;
  const tainted = authorities.filter((a) => a.tainted || change.taint === a.ski).map(({ ski }) => ski);
  const signer = tainted.includes(ring.active.ski)
    ? authorities.find(({ ski }) => !tainted.includes(ski))
    : ring.active;
  const text = bundleManifest({
    ring: ring.name,
    generation,
    digest: anchorsDigest(anchors),
    anchors,
    tainted,
    floor: change.raiseFloor === true ? generation : ring.joinFloor,
    previous: previous.digest,
    createdAt: now,
    refreshSeconds,
  });
  const row = bundleRow(ring.name, generation, anchors, now);
  if (signer === undefined) return row;
  const key = await openKey(options, signer);
  const signature = (await key.sign(Buffer.from(text))).toString('base64');
  return { ...row, manifest: text, signature, signed_by: signer.ski };
}

/** What of an authority is published: some of the certificates that it issued to itself. */
function anchorsOf(
  authority: Authority,
  { certificates }: DomainChange,
  published: ReadonlySet<string>,
): readonly CertificateFacts[] {
  const own = ownCertificates(authority);
  if (certificates === 'newest') return own.slice(-1);
  if (certificates === 'both') return own.slice(-2);
  if (certificates === 'previous') return own.slice(-2, -1);
  // An earlier certificate of the same key was taken out for good: it may have expired since.
  const present = own.filter(({ fingerprint }) => published.has(fingerprint));
  return present.length > 0 ? present : own.slice(-1);
}

/** Nothing is put back into a bundle that is good for nothing. Throws RotundaError 'conflict'. */
function refuseExpired(anchors: readonly CertificateFacts[], published: ReadonlySet<string>, now: number): void {
  const expired = anchors.find(({ fingerprint, notAfter }) => !published.has(fingerprint) && notAfter <= now);
  if (expired === undefined && anchors.length > 0) return;
  throw new RotundaError('conflict', 'there is no certificate to go back to that has not expired', {
    hint: 'let the rotation go on',
  });
}

function authorityOf(authorities: readonly Authority[], ski: string): Authority {
  const found = authorities.find((authority) => authority.ski === ski);
  if (found === undefined) throw new RotundaError('internal', `there is no authority ${ski}`);
  return found;
}

/** The fingerprint of the cross-certificate; null where chains carry none from now on, undefined where nothing changes. */
function crossOf(authorities: readonly Authority[], { cross }: DomainChange): string | null | undefined {
  if (cross === undefined) return undefined;
  if (cross === 'none') return null;
  const { certificates } = authorityOf(authorities, cross.to);
  return certificates.find(({ kind }) => kind === 'cross-signed')?.facts.fingerprint ?? null;
}

async function changeAuthorities({ db }: WriteTx, change: DomainChange): Promise<void> {
  for (const [ski, state] of Object.entries(change.states ?? {})) await changeAuthority(db, ski, { state });
  if (change.withdraw !== undefined) await withdrawNewest(db, change.withdraw);
  if (change.taint !== undefined) await changeAuthority(db, change.taint, { tainted: 1 });
  if (change.seal !== undefined) await changeAuthority(db, change.seal, { sealed: 1 });
  if (change.unseal !== undefined) await changeAuthority(db, change.unseal, { sealed: 0 });
  if (change.destroy !== undefined)
    await changeAuthority(db, change.destroy, { wrapped_key: null, state: 'destroyed' });
}

async function tell(tx: WriteTx, name: string, generation: number): Promise<void> {
  const revision = tx.nextRevision();
  const object = JSON.stringify({ name, generation, metadata: { resourceVersion: String(revision) } });
  await tx.publish({ revision, resource: ringChanges, name, type: 'MODIFIED', object, previous: undefined });
}
