import type { Identity } from '../../identity/types.js';
import { callerKey, watchesOf } from '../../limits/callers.js';
import { tooMany } from '../../limits/too-many.js';
import type { Metrics } from '../../metrics.js';

/** Who waits for bundles, by caller. */
export type WatchPlaces = {
  /** Takes a place until what is returned is called, once. Throws 'too-many-requests'. */
  enter(identity: Identity, address: string): () => void;
};

const retryAfterMs = 30_000;

/**
 * As many as a caller may have watches open. Anybody may wait for what is public, so who has no credential is told apart
 * by address, behind which a whole cluster may stand.
 */
export function createWatchPlaces(metrics: Pick<Metrics, 'watches' | 'limited'>, what = 'bundles'): WatchPlaces {
  const taken = new Map<string, number>();
  return {
    enter: (identity, address) => {
      const most = watchesOf(identity);
      const key = identity.kind === 'anonymous' ? `address/${address}` : callerKey(identity);
      const before = taken.get(key) ?? 0;
      if (before >= most) {
        metrics.limited('watches');
        throw tooMany(`this caller waits for ${what} ${String(most)} times, and may no more often`, retryAfterMs);
      }
      taken.set(key, before + 1);
      metrics.watches(1);
      return () => {
        const now = (taken.get(key) ?? 1) - 1;
        if (now === 0) taken.delete(key);
        else taken.set(key, now);
        metrics.watches(-1);
      };
    },
  };
}
