import type { Ca } from '../../ca/types.js';
import { paced } from './pace.js';
import { createWheel, type Timed } from './wheel.js';

/** Somebody who waits for another bundle. */
export type Watcher = Timed & {
  /** The ring, or undefined for all of them. */
  readonly ring: string | undefined;
  /** Tells it what the bundles are now, where it does not know. Must not throw. */
  tell(): void;
  /** Ends its waiting, since the server stops. Resolves when its answer is out. */
  end(): Promise<void>;
};

export type BundleWatchers = {
  /** From now on it is told of changes, and it is due after so many milliseconds. */
  add(watcher: Watcher, dueMs: number): void;
  remove(watcher: Watcher): void;
  /** It is due again after so many milliseconds. */
  schedule(watcher: Watcher, dueMs: number): void;
  /** For a server that stops: ends all, and whoever is added afterwards. */
  drain(): Promise<void>;
};

const tickMs = 250;

type Waiting = Map<string | undefined, Set<Watcher>>;

/**
 * Whoever waits for bundles, told of each change in turns of a few milliseconds, so that the service answers others
 * meanwhile. What each is told is what is current when its turn comes.
 */
export function createBundleWatchers(ca: Pick<Ca, 'rings' | 'bundle' | 'onChange'>): BundleWatchers {
  const waiting: Waiting = new Map();
  const announce = announcer(ca, waiting);
  /** In case that nobody told of a change: looking costs next to nothing. */
  const look = (): void => {
    for (const { name } of ca.rings()) announce(name);
  };
  const wheel = createWheel({ tickMs, onTick: look });
  const stopListening = ca.onChange(announce);
  let drained = false;
  look();
  return {
    add: (watcher, dueMs) => {
      if (drained) {
        void watcher.end();
        return;
      }
      const set = waiting.get(watcher.ring);
      if (set === undefined) waiting.set(watcher.ring, new Set([watcher]));
      else set.add(watcher);
      wheel.schedule(watcher, dueMs);
    },
    remove: (watcher) => {
      const set = waiting.get(watcher.ring);
      set?.delete(watcher);
      if (set?.size === 0) waiting.delete(watcher.ring);
      wheel.cancel(watcher);
    },
    schedule: (watcher, dueMs) => {
      if (waiting.get(watcher.ring)?.has(watcher) === true) wheel.schedule(watcher, dueMs);
    },
    drain: async () => {
      drained = true;
      stopListening();
      const ending: Promise<void>[] = [];
      for (const set of [...waiting.values()]) {
        await paced(set, (watcher) => {
          // It may have gone while others had their turn, and would never tell that it has ended.
          if (set.has(watcher)) ending.push(watcher.end());
        });
      }
      wheel.stop();
      await Promise.all(ending);
    },
  };
}

/** Tells the watchers of a ring of its bundle, each generation once. One that comes up meanwhile makes another round. */
function announcer(ca: Pick<Ca, 'bundle'>, waiting: Waiting): (ring: string) => void {
  const announced = new Map<string, number>();
  const changed = new Set<string>();
  let telling = false;
  const tellAll = async (): Promise<void> => {
    if (telling) return;
    telling = true;
    for (const ring of changed) {
      changed.delete(ring);
      for (const set of [waiting.get(ring), waiting.get(undefined)]) {
        await paced(set ?? [], (watcher) => {
          // It may have gone while others had their turn.
          if (set?.has(watcher) === true) watcher.tell();
        });
      }
    }
    telling = false;
  };
  return (ring) => {
    const { generation } = ca.bundle(ring);
    if (generation <= (announced.get(ring) ?? 0)) return;
    announced.set(ring, generation);
    changed.add(ring);
    void tellAll();
  };
}
