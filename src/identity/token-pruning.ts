import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { deleteOldTokens } from '../store/queries/tokens.js';
import type { Store, WriteTx } from '../store/types.js';

/** How long a token that has expired is still listed; the audit log keeps who made it, and what it gave. */
const keptMs = 90 * 86_400_000;
const stepSize = 100;
const everyMs = 3_600_000;

/**
 * Deletes tokens that have expired 90 days ago, in steps, also those that were used up or revoked before: until then an
 * API server may know them still.
 */
export function pruneTokens({ store, clock, audit }: { store: Store; clock: Clock; audit: Audit }) {
  let next = Number.NEGATIVE_INFINITY;
  return async (fence: (tx: WriteTx) => Promise<boolean>): Promise<{ deleted: number; more: boolean }> => {
    const now = clock.now().getTime();
    if (now < next && next - now <= everyMs) return { deleted: 0, more: false };
    const deleted = await store.write(async (tx) => {
      if (!(await fence(tx))) return 0;
      const gone = await deleteOldTokens(tx.db, { before: now - keptMs, limit: stepSize });
      if (gone.length === 0) return 0;
      await audit.record(tx, {
        action: 'token.pruned',
        actor: 'system:rotunda',
        resource: 'tokens',
        name: '',
        outcome: 'ok',
        detail: { tokens: gone },
        at: now,
      });
      return gone.length;
    });
    const more = deleted === stepSize;
    if (!more) next = now + everyMs;
    return { deleted, more };
  };
}
