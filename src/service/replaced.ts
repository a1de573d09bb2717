import { X509Certificate } from 'node:crypto';

import type { Context } from '../context.js';
import { markSuperseded, noteSuccessor } from '../store/queries/authority-use.js';
import type { OwnCertificate } from './own-certificate.js';

type Parts = Pick<Context, 'store' | 'clock'>;

/** Only this process presented it, and it presents the other one from now on. */
export async function replaced({ store, clock }: Parts, before: OwnCertificate, now: OwnCertificate): Promise<void> {
  const [old, by] = [serialOf(before), serialOf(now)];
  if (old === undefined || by === undefined) return;
  const at = clock.now().getTime();
  await store.write((tx) => markSuperseded(tx.db, [old], { by, at }));
}

/** Somebody may hold a copy of it: it counts as replaced once the other one is seen in use. */
export async function succeeded({ store }: Parts, before: OwnCertificate, now: OwnCertificate): Promise<void> {
  const [old, by] = [serialOf(before), serialOf(now)];
  if (old === undefined || by === undefined) return;
  await store.write((tx) => noteSuccessor(tx.db, old, by));
}

/** As the inventory has it: lower-case hex; undefined for a file that was damaged. */
function serialOf({ certificatePem }: OwnCertificate): string | undefined {
  try {
    return new X509Certificate(certificatePem).serialNumber.toLowerCase();
  } catch {
    return undefined;
  }
}
