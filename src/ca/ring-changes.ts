import type { Logger } from 'pino';

import { ringChanges } from '../store/queries/ring-changes.js';
import type { Store } from '../store/types.js';
import type { CaState } from './state.js';

type Listener = (ring: string) => void;

/** Tells who listens which rings are others than before. */
export function createRingChanges(): {
  readonly listen: (listener: Listener) => () => void;
  readonly compare: (before: CaState, after: CaState) => void;
} {
  const listeners = new Set<Listener>();
  return {
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    compare: (before, after) => {
      for (const [name, ring] of after.rings) {
        if (before.rings.get(name)?.epoch === ring.epoch) continue;
        for (const listener of listeners) listener(name);
      }
    },
  };
}

/** Reads the rings again when any replica has changed one. */
export async function followChanges(store: Store, reload: () => Promise<void>, logger: Logger): Promise<void> {
  await store.feed.subscribe({ resource: ringChanges, after: store.feed.current() }, () => {
    reload().catch((error: unknown) => {
      logger.error({ err: error }, 'the rings have changed and could not be read again');
    });
  });
}

/**
 * Runs `work` once at a time. Who calls while it runs gets the next run, which is one for all of them: the present one
 * may have read what was there before the call.
 */
export function inTurn(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return start();
      });
    return next;
  };
}
