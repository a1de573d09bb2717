import type { Rate } from './types.js';

/** Rates by key. */
export type Buckets = {
  /**
   * Takes one, or what it `costs`, and never more than a full bucket holds; 0, or how long until there is enough again,
   * milliseconds. `now` is of a clock that never goes back.
   */
  take(key: string, rate: Rate, now: number, costs?: number): number;
};

type Bucket = { tokens: number; at: number };

/**
 * Token buckets for the `most` keys that were seen last. A key that fell out starts with a full bucket: memory is bounded,
 * and who comes with that many keys is stopped by what those cost it.
 */
export function createBuckets(most: number): Buckets {
  // A Map remembers the order of insertion, so the first key is the oldest.
  const buckets = new Map<string, Bucket>();
  return {
    take: (key, { perSecond, burst }, now, costs = 1) => {
      const wanted = Math.min(costs, burst);
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { tokens: burst, at: now };
        if (buckets.size >= most) dropOldest(buckets);
      } else {
        buckets.delete(key);
        bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) * perSecond) / 1000);
        bucket.at = now;
      }
      buckets.set(key, bucket);
      if (bucket.tokens < wanted) return ((wanted - bucket.tokens) / perSecond) * 1000;
      bucket.tokens -= wanted;
      return 0;
    },
  };
}

function dropOldest(buckets: Map<string, unknown>): void {
  for (const oldest of buckets.keys()) {
    buckets.delete(oldest);
    return;
  }
}
