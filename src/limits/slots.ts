import type { Metrics } from '../metrics.js';
import { tooMany } from './too-many.js';
import type { Limits } from './types.js';

/** A bounded number of works at once, and a bounded number that wait for it. */
export type Slots = {
  /** Runs `work` when there is room. Throws 'too-many-requests' at once when as many wait as may. */
  run<T>(work: () => Promise<T>): Promise<T>;
};

const retryAfterMs = 1000;

/** First come, first served. client-go asks again after the second that Retry-After says, ten times. */
export function createSlots({ limits, metrics }: { limits: Limits['signing']; metrics: Metrics }): Slots {
  const { running: mostRunning, waiting: mostWaiting } = limits;
  let running = 0;
  const waiting: (() => void)[] = [];
  let head = 0;
  const depth = (): number => waiting.length - head;
  metrics.onScrape((gauges) => {
    gauges.signing.set({ state: 'running' }, running);
    gauges.signing.set({ state: 'waiting' }, depth());
    return Promise.resolve();
  });
  const next = (): void => {
    const begin = waiting[head];
    if (begin === undefined) {
      running -= 1;
      return;
    }
    head += 1;
    // Taken from the front one by one, moved together now and then.
    if (head === waiting.length || head >= 1024) {
      waiting.splice(0, head);
      head = 0;
    }
    begin();
  };
  const enter = async (): Promise<void> => {
    if (running < mostRunning) {
      running += 1;
      return;
    }
    if (depth() >= mostWaiting) {
      metrics.limited('signing');
      throw tooMany('too many certificates are being issued, please try again later', retryAfterMs);
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return {
    run: async (work) => {
      await enter();
      try {
        return await work();
      } finally {
        next();
      }
    },
  };
}
