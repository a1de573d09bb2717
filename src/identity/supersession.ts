import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { findLife, markOutOfUse } from '../store/queries/certificate-life.js';
import type { Store } from '../store/types.js';
import type { Identity } from './types.js';

type Parts = { readonly store: Store; readonly clock: Clock; readonly audit: Audit };

/**
 * Somebody says that nothing presents a certificate any more: it keeps its authority in use no longer. Doing it twice is
 * the same as once; a certificate that is presented afterwards is in use again. Throws 'not-found', and 'conflict' for one
 * that keeps nothing in use anyway, or that the caller itself has just presented.
 */
export async function supersede(
  { store, clock, audit }: Parts,
  serial: string,
  { reason, actor }: { readonly reason: string; readonly actor: Identity },
): Promise<void> {
  const now = clock.now().getTime();
  const object = { resource: 'certificates', name: serial };
  if (actor.certificate?.serial === serial)
    throw new RotundaError('conflict', 'this is the certificate that the call was made with: it is in use', { object });
  await store.write(async (tx) => {
    const found = await findLife(tx.db, serial);
    if (found === undefined)
      throw new RotundaError('not-found', `there is no certificate ${JSON.stringify(serial)}`, { object });
    const over = found.revoked_at !== null ? 'revoked' : found.not_after <= now ? 'expired' : undefined;
    if (over !== undefined)
      throw new RotundaError('conflict', `the certificate is ${over}: it keeps no authority in use`, { object });
    if (found.superseded_at !== null) return;
    await markOutOfUse(tx.db, serial, now);
    await audit.record(tx, {
      ...{ action: 'certificate.superseded', actor: actor.username, resource: 'certificates', name: serial },
      ...{ outcome: 'ok', detail: { ring: found.ring, commonName: found.common_name, reason }, at: now },
    });
  });
}
