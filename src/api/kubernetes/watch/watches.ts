/** One open watch, as the shared clock sees it. */
export type WatchHandle = {
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
/** Upstream sends a bookmark about every minute. */
export const bookmarkMs = 60_000;

/** One timer for all watches: ends those whose time is over, sends bookmarks, closes those whose caller was banned. */
export function createWatches(options: { now(): number; changed(by: 1 | -1): void }): Watches {
  const open = new Set<WatchHandle>();
  let timer: NodeJS.Timeout | undefined;
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
    add(watch) {
      open.add(watch);
      options.changed(1);
      timer ??= setInterval(tick, tickMs).unref();
    },
    remove(watch) {
      if (!open.delete(watch)) return;
      options.changed(-1);
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
