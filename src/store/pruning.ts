import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import { pruneChanges } from './queries/changes.js';
import type { Store } from './types.js';

/**
 * What of the change log is kept: whoever lost its watch finds its place again within ten minutes (upstream compacts
 * after five), and on a quiet service much longer, down to the last ten thousand changes.
 */
export const history = { changes: 10_000, ms: 10 * 60_000 } as const;

const everyMs = 15_000;
/** Small steps, each a write of its own, so that no request waits behind a long delete. */
const step = 250;

export function startPruning(options: { write: Store['write']; clock: Clock; logger: Logger }): {
  stop(): Promise<void>;
} {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(() => prune(options, () => stopped));
  }, everyMs);
  timer.unref();
  return {
    stop() {
      stopped = true;
      clearInterval(timer);
      return running;
    },
  };
}

/** Deletes, step by step, all that need not be kept. */
export async function prune(
  options: { write: Store['write']; clock: Clock; logger: Logger },
  stopped: () => boolean = () => false,
): Promise<void> {
  const olderThan = options.clock.now().getTime() - history.ms;
  try {
    for (let gone = step; gone === step && !stopped();) {
      gone = await options.write((tx) => pruneChanges(tx.db, { keep: history.changes, olderThan, step }));
    }
  } catch (error) {
    if (!stopped()) options.logger.warn({ err: error }, 'old changes cannot be deleted; trying again later');
  }
}
