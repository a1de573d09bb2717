import { certificatesOnTheirWay, liveCertificates, markRevoked } from '../store/queries/bans.js';
import type { WriteTx } from '../store/types.js';
import type { Bans } from './types.js';

/** Why and by whom; `reason` is a CRLReason name (RFC 5280, 5.3.1) where one fits. */
export type BanCause = { readonly reason: string; readonly actor: string; readonly now: number };

/** Bans one serial and marks it in the inventory, in the caller's transaction. */
export async function banSerial(
  tx: WriteTx,
  bans: Bans,
  certificate: { readonly ring: string; readonly serial: string },
  cause: BanCause,
): Promise<void> {
  const { ring, serial } = certificate;
  await markRevoked(tx.db, { serial, at: cause.now, reason: cause.reason });
  await bans.add(tx, {
    kind: 'serial',
    ring,
    value: serial,
    reason: cause.reason,
    createdAt: cause.now,
    createdBy: cause.actor,
  });
}

/**
 * Bans every live certificate of a node or etcd member but `except`, and without `issuedBefore` a node's that are being
 * signed too. Returns their serials.
 */
export async function banCertificatesOf(
  tx: WriteTx,
  bans: Bans,
  owner: { readonly node: string } | { readonly cluster: string; readonly member: string },
  cause: BanCause & { readonly except?: string; readonly issuedBefore?: number },
): Promise<readonly string[]> {
  const live = await liveCertificates(tx.db, owner, cause.now);
  const doomed = live.filter(
    (row) => row.serial !== cause.except && row.issued_at <= (cause.issuedBefore ?? Number.POSITIVE_INFINITY),
  );
  const onTheirWay =
    'node' in owner && cause.issuedBefore === undefined ? await certificatesOnTheirWay(tx.db, owner.node) : [];
  const all = [...doomed, ...onTheirWay.filter((row) => row.serial !== cause.except)];
  for (const row of all) await banSerial(tx, bans, row, cause);
  return all.map((row) => row.serial);
}
