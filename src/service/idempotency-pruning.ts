import type { Clock } from '../clock.js';
import { dropIdempotencyKeys, idempotencyKeysKeptMs } from '../store/queries/idempotency.js';
import type { Store, WriteTx } from '../store/types.js';

const stepSize = 100;

/** Deletes answers that were kept for repeated calls long enough, in steps. */
export function pruneIdempotencyKeys({ store, clock }: { store: Store; clock: Clock }) {
  return async (fence: (tx: WriteTx) => Promise<boolean>): Promise<{ deleted: number; more: boolean }> => {
    const before = clock.now().getTime() - idempotencyKeysKeptMs;
    const deleted = await store.write(async (tx) =>
      (await fence(tx)) ? dropIdempotencyKeys(tx.db, { before, limit: stepSize }) : 0,
    );
    return { deleted, more: deleted === stepSize };
  };
}
