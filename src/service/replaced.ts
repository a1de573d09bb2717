import { X509Certificate } from 'node:crypto';

import type { Context } from '../context.js';
import { findSuccessor, markSuperseded, noteSuccessor, settleSuccessor } from '../store/queries/authority-use.js';
import type { WriteTx } from '../store/types.js';
import type { OwnCertificate } from './own-certificate.js';

type Parts = Pick<Context, 'store' | 'clock'>;

/**
 * `by` was issued in place of `before`, and counts as its successor once it is seen in use. Another that was to be that
 * has never been presented: it was issued, and then the process died before it was written where it belongs.
 */
export async function noteTakeover(tx: WriteTx, before: OwnCertificate, by: string, at: number): Promise<void> {
  const serial = serialOf(before);
  if (serial === undefined) return;
  await forgetLost(tx, serial, at);
  await noteSuccessor(tx.db, serial, by);
}

/** Only this process presented it, and it presents the other one from now on. */
export async function replaced({ store, clock }: Parts, before: OwnCertificate, now: OwnCertificate): Promise<void> {
  const [old, by] = [serialOf(before), serialOf(now)];
  if (old === undefined || by === undefined) return;
  const at = clock.now().getTime();
  await store.write((tx) => markSuperseded(tx.db, [old], { by, at }));
}

/**
 * What a process has left that died between two of its writes: a certificate that was issued and never written, and, with
 * `alone`, where only this process presented it, the one that this took the place of.
 */
export async function settleOwn(
  { store, clock }: Parts,
  own: OwnCertificate,
  { alone }: { readonly alone: boolean },
): Promise<void> {
  const serial = serialOf(own);
  if (serial === undefined) return;
  const at = clock.now().getTime();
  await store.write(async (tx) => {
    await forgetLost(tx, serial, at);
    if (alone) await settleSuccessor(tx.db, serial, at);
  });
}

async function forgetLost(tx: WriteTx, serial: string, at: number): Promise<void> {
  const lost = await findSuccessor(tx.db, serial);
  if (lost !== undefined) await markSuperseded(tx.db, [lost], { by: serial, at });
}

/** As the inventory has it: lower-case hex; undefined for a file that was damaged. */
function serialOf({ certificatePem }: OwnCertificate): string | undefined {
  try {
    return new X509Certificate(certificatePem).serialNumber.toLowerCase();
  } catch {
    return undefined;
  }
}
