import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { expiredSerialBans, pageOfSerialBans } from '../store/queries/bans.js';
import type { Store, WriteTx } from '../store/types.js';
import type { Bans } from './types.js';

/** Longer than any clock of a verifier is wrong: until then a ban may still matter. */
const marginMs = 30 * 86_400_000;
const stepSize = 100;
const everyMs = 24 * 3_600_000;

type Options = { readonly store: Store; readonly clock: Clock; readonly bans: Bans; readonly audit: Audit };
type Cursor = { readonly ring: string; readonly value: string };

/**
 * Lifts bans on serials whose certificate expired 30 days ago, by the ledger's word, a page of bans at a time. Bans of
 * identities stay, and so do those on serials that the ledger does not know. The inventory keeps that and why a
 * certificate was revoked, and authentication looks there too: no clock makes a banned certificate good again.
 */
export function pruneBans({ store, clock, bans, audit }: Options) {
  let cursor: Cursor = { ring: '', value: '' };
  let next = Number.NEGATIVE_INFINITY;
  return async (fence: (tx: WriteTx) => Promise<boolean>): Promise<{ deleted: number; more: boolean }> => {
    const now = clock.now().getTime();
    if (now < next && next - now <= everyMs) return { deleted: 0, more: false };
    const page = await pageOfSerialBans(store.db, { after: cursor, limit: stepSize });
    const step = { serials: page.map(({ value }) => value), before: now - marginMs };
    const deleted = page.length === 0 ? 0 : await store.write((tx) => lift(tx, { bans, audit, fence, step, now }));
    const last = page.at(-1);
    cursor = last ?? { ring: '', value: '' };
    if (last === undefined) next = now + everyMs;
    return { deleted, more: last !== undefined };
  };
}

async function lift(
  tx: WriteTx,
  {
    bans,
    audit,
    fence,
    step,
    now,
  }: Pick<Options, 'bans' | 'audit'> & {
    fence: (tx: WriteTx) => Promise<boolean>;
    step: { serials: readonly string[]; before: number };
    now: number;
  },
): Promise<number> {
  const expired = await expiredSerialBans(tx.db, step);
  if (expired.length === 0 || !(await fence(tx))) return 0;
  for (const { ring, value } of expired) await bans.remove(tx, 'serial', ring, value);
  await audit.record(tx, {
    action: 'ban.expired',
    actor: 'system:rotunda',
    resource: 'bans',
    name: '',
    outcome: 'ok',
    detail: { serials: expired.map(({ value }) => value) },
    at: now,
  });
  return expired.length;
}
