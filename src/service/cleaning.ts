import { setTimeout as sleep } from 'node:timers/promises';

import type { Context } from '../context.js';
import type { CleanStep, Fence } from '../csr/types.js';
import { pruneBans } from '../identity/ban-pruning.js';
import { pruneTokens } from '../identity/token-pruning.js';
import { pruneIdempotencyKeys } from './idempotency-pruning.js';
import { pruneReplicas } from './replica-pruning.js';
import { createLease, holds } from '../store/lease.js';
import { createClockGuard } from './clock-guard.js';
import type { Maintenance } from './maintenance.js';

const intervalMs = 60_000;
/** Three missed renewals: another replica takes over. */
const leaseMs = 3 * intervalMs;
const leaseName = 'cleaning';
const renewMs = 30_000;
/** Between two steps live traffic has the database for itself: at least this long, and three times as long as the step took. */
const shortestPauseMs = 50;
const pauseFactor = 3;

/** What is cleaned up, each a series of small writes. */
type Chore = (fence: Fence) => Promise<CleanStep>;

/**
 * Deletes by and by what was kept long enough, on one replica at a time: requests every minute, the rest with them. Every
 * write checks the lease's epoch, so that a replica that was taken for dead stops.
 */
export function startCleaning(context: Context): Maintenance {
  const { store, clock, logger, requests, metrics } = context;
  const lease = createLease({ store, clock, name: leaseName, ttlMs: leaseMs });
  const guard = createClockGuard({ clock, logger });
  const chores: Chore[] = [requests.cleaner.step, ...prunings(context)];
  const stopping = new AbortController();
  const state = { paused: false, held: false };
  metrics.onScrape((gauges) => {
    gauges.cleaningPaused.set(state.paused ? 1 : 0);
    return Promise.resolve();
  });
  const round = async (): Promise<void> => {
    const held = await lease.take();
    state.held = held !== undefined;
    if (held === undefined) return;
    const { trusted, setBack } = guard.look(held.seenAt);
    state.paused = !trusted;
    if (setBack) requests.cleaner.dateAnew();
    if (!trusted) return;
    const fence: Fence = (tx) => holds(tx, leaseName, held.epoch);
    const renewal = setInterval(() => void lease.take().catch(() => undefined), renewMs);
    try {
      for (const chore of chores) await perform(chore, fence, stopping.signal);
    } finally {
      clearInterval(renewal);
    }
  };
  let running: Promise<void> | undefined;
  const run = (): Promise<void> => {
    running ??= round()
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) logger.error({ err: error }, 'cleaning up failed; it is tried again');
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  const timer = setInterval(() => void run(), intervalMs);
  timer.unref();
  return {
    run,
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await running;
      if (state.held) await lease.release().catch(() => undefined);
    },
  };
}

function prunings({ store, clock, bans, audit, consumers }: Context): Chore[] {
  return [
    pruneIdempotencyKeys({ store, clock }),
    pruneTokens({ store, clock, audit }),
    pruneBans({ store, clock, bans, audit }),
    pruneReplicas({ store, clock, consumers }),
  ];
}

async function perform(chore: Chore, fence: Fence, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    const started = performance.now();
    const { more } = await chore(fence);
    if (!more) return;
    const pause = Math.max(shortestPauseMs, pauseFactor * (performance.now() - started));
    await sleep(pause, undefined, { signal: stopping }).catch(() => undefined);
  }
}
