import type { Logger } from 'pino';

import type { Audit } from '../audit/types.js';
import { RotundaError } from '../errors.js';
import { insertAuthority, insertAuthorityCertificate } from '../store/queries/authorities.js';
import { insertBundle } from '../store/queries/bundles.js';
import { insertRing, listRings } from '../store/queries/rings.js';
import { settleSetting } from '../store/queries/settings.js';
import type { WriteTx } from '../store/types.js';
import { authorityRows, type NewAuthority } from './authorities.js';
import { bundleRow } from './bundles.js';
import type { CaState } from './state.js';
import type { KeyEncryptionKey, RingConfig } from './types.js';

const fingerprintSetting = 'key-encryption-key.fingerprint';

/**
 * Refuses a key-encryption key that is not the database's own, which is the one that it was first started with. Throws
 * RotundaError 'unavailable' with both fingerprints: nothing may be encrypted under a second key by mistake.
 */
export async function settleKeyEncryptionKey({ db }: WriteTx, kek: KeyEncryptionKey): Promise<void> {
  const fingerprint = await settleSetting(db, fingerprintSetting, kek.fingerprint);
  if (fingerprint === kek.fingerprint) return;
  throw new RotundaError(
    'unavailable',
    `the database belongs to the key-encryption key ${fingerprint}, not to ${kek.fingerprint} (${kek.source})`,
    {
      hint: 'start with the key-encryption key that the database was created with; every replica has the same',
    },
  );
}

/**
 * The configured rings that are not there yet. Throws RotundaError 'invalid' when a ring is in the database and not in
 * the configuration: its certificates are out there, and nobody would renew or answer for them.
 */
export function missingRings(configured: readonly RingConfig[], existing: readonly string[]): readonly RingConfig[] {
  const names = new Set(configured.map((ring) => ring.name));
  const forgotten = existing.filter((name) => !names.has(name));
  if (forgotten.length > 0) {
    const list = forgotten.map((name) => JSON.stringify(name)).join(', ');
    throw new RotundaError('invalid', `rings: the database holds ${list}, the configuration does not`, {
      hint: 'add the ring to the configuration again, or start with another data directory',
    });
  }
  return configured.filter((ring) => !existing.includes(ring.name));
}

/**
 * Stores the rings that nobody stored in the meantime: another replica may have started at the same time, and what it
 * stored first holds. Returns the names of those stored here. The caller's transaction makes it all or nothing.
 */
export async function storeRings(
  tx: WriteTx,
  made: readonly NewAuthority[],
  options: { readonly now: number; readonly audit: Audit },
): Promise<readonly string[]> {
  const existing = new Set((await listRings(tx.db)).map((row) => row.name));
  const missing = made.filter((authority) => !existing.has(authority.ring));
  for (const authority of missing) await storeRing(tx, authority, options);
  return missing.map((authority) => authority.ring);
}

async function storeRing(
  tx: WriteTx,
  made: NewAuthority,
  { now, audit }: { readonly now: number; readonly audit: Audit },
): Promise<void> {
  const { db } = tx;
  const rows = authorityRows(made, now);
  await insertAuthority(db, rows.authority);
  await insertAuthorityCertificate(db, rows.certificate);
  await insertBundle(db, bundleRow(made.ring, 1, [made.facts], now));
  await insertRing(db, { name: made.ring, epoch: 1, generation: 1, active_ski: made.ski, created_at: now });
  await audit.record(tx, {
    action: 'authority.created',
    actor: 'system:rotunda',
    resource: 'authorities',
    name: made.ski,
    outcome: 'ok',
    detail: {
      ring: made.ring,
      subject: rows.authority.subject,
      keyType: rows.authority.key_type,
      notAfter: made.facts.notAfter,
      generation: 1,
    },
    at: now,
  });
}

/** Says where the configuration asks for another kind of key than the ring signs with: it holds from the next authority on. */
export function noteKeyTypes(configured: readonly RingConfig[], state: CaState, logger: Logger): void {
  for (const ring of configured) {
    const active = state.rings.get(ring.name)?.active;
    if (active === undefined || active.keyType === ring.keyType) continue;
    logger.warn(
      { ring: ring.name, authority: active.ski, keyType: active.keyType, configured: ring.keyType },
      'the configured key type applies to the next authority of this ring; the present one keeps its own',
    );
  }
}
