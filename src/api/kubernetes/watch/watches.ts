import type { Identity } from '../../../identity/types.js';
import { callerKey, watchesOf } from '../../../limits/callers.js';
import { tooMany } from '../../../limits/too-many.js';

/** One open watch, as the shared clock sees it. */
export type WatchHandle = {
  /** `callerKey` of who watches. */
  readonly caller: string;
  /** Milliseconds; the watch ends then. */
  readonly deadline: number;
  /** Milliseconds; a bookmark is due then. */
  nextBookmark: number;
  /** Writes a bookmark, if the watch wants them and has caught up. */
  bookmark(): void;
  /** Whether the caller may still see what is sent. */
  allowed(): boolean;
  /** Ends the stream cleanly and lets go of everything. Resolves when the reader's side has all of it, or is gone. */
  end(): Promise<void>;
};

export type Watches = {
  /** Throws 'too-many-requests' for a caller that has as many open as one may. */
  admit(identity: Identity): void;
  add(watch: WatchHandle): void;
  remove(watch: WatchHandle): void;
  count(): number;
  /**
   * Ends all watches, for a server that stops. It must wait for this: node closes a connection as idle once its answer
   * has ended, whether or not the last bytes are out.
   */
  drain(): Promise<void>;
};

const tickMs = 500;
const retryAfterMs = 30_000;
/** Upstream sends a bookmark about every minute. */
export const bookmarkMs = 60_000;

/** One timer for all watches: ends those whose time is over, sends bookmarks, closes those whose caller was banned. */
export function createWatches(options: { now(): number; changed(by: 1 | -1): void; limited(): void }): Watches {
  const open = new Set<WatchHandle>();
  const byCaller = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  const count = (caller: string, by: 1 | -1): void => {
    const now = (byCaller.get(caller) ?? 0) + by;
    if (now === 0) byCaller.delete(caller);
    else byCaller.set(caller, now);
    options.changed(by);
  };
  const tick = (): void => {
    const now = options.now();
    for (const watch of open) {
      if (now >= watch.deadline) {
        watch.bookmark();
        void watch.end();
      } else if (!watch.allowed()) void watch.end();
      else if (now >= watch.nextBookmark) {
        watch.nextBookmark = now + bookmarkMs;
        watch.bookmark();
      }
    }
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    admit(identity) {
      const most = watchesOf(identity);
      if ((byCaller.get(callerKey(identity)) ?? 0) < most) return;
      options.limited();
      throw tooMany(`this caller has ${String(most)} watches open, and may have no more`, retryAfterMs);
    },
    add(watch) {
      open.add(watch);
      count(watch.caller, 1);
      timer ??= setInterval(tick, tickMs).unref();
    },
    remove(watch) {
      if (!open.delete(watch)) return;
      count(watch.caller, -1);
      if (open.size === 0) stop();
    },
    count: () => open.size,
    async drain() {
      const ended = [...open].map((watch) => watch.end());
      stop();
      await Promise.all(ended);
    },
  };
}
