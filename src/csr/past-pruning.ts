import { capPastRequests, prunePastRequests } from '../store/queries/past-requests.js';
import type { Parts } from './parts.js';

/** Rows per write, so that no other write waits long. */
const step = 100;
/** Whatever is asked, so much is kept at most: some hundred megabytes. */
const mostRows = 200_000;
const everyMs = 3_600_000;

/**
 * Deletes, once an hour and in small steps, what is kept of requests for longer than configured, and the oldest where
 * there is too much. To be called again and again.
 */
export function createPastPruning({ store, clock, retention }: Parts): () => Promise<void> {
  let nextAt = 0;
  return async () => {
    const now = clock.now().getTime();
    if (now < nextAt) return;
    const before = now - retention.past;
    for (let gone = step; gone === step;) gone = await store.write((tx) => prunePastRequests(tx.db, { before, step }));
    for (let gone = step; gone === step;)
      gone = await store.write((tx) => capPastRequests(tx.db, { keep: mostRows, step }));
    nextAt = now + everyMs;
  };
}
