import { paced } from './pace.js';

/** Something that is to happen later. `slot` belongs to the wheel. */
export type Timed = { slot: number | undefined; due(): void };

/** Many moments, one timer. */
export type Wheel = {
  /** Calls `due` after so many milliseconds, up to a tick later; once. Another call for the same moves it. */
  schedule(timed: Timed, afterMs: number): void;
  cancel(timed: Timed): void;
  /** Forgets everything. */
  stop(): void;
};

/**
 * Moments are kept by the tick that they fall into, so that setting and dropping one costs the same however many there
 * are. The timer runs while there is one, and keeps no process alive. `onTick` is called with each tick.
 */
export function createWheel({ tickMs, onTick }: { readonly tickMs: number; readonly onTick: () => void }): Wheel {
  const slots = new Map<number, Set<Timed>>();
  const slotAt = (ms: number): number => Math.floor(ms / tickMs);
  let timer: NodeJS.Timeout | undefined;
  let done = slotAt(performance.now());
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const turn = (slot: number): void => {
    const timed = slots.get(slot);
    if (timed === undefined) return;
    slots.delete(slot);
    void paced(timed, (one) => {
      // It may have been moved or cancelled while others had their turn.
      if (one.slot !== slot) return;
      one.slot = undefined;
      one.due();
    });
  };
  const tick = (): void => {
    onTick();
    // The loop may have stood still for several.
    for (const now = slotAt(performance.now()); done < now;) turn((done += 1));
    if (slots.size === 0) stop();
  };
  const cancel = (timed: Timed): void => {
    if (timed.slot === undefined) return;
    const slot = slots.get(timed.slot);
    slot?.delete(timed);
    if (slot?.size === 0) slots.delete(timed.slot);
    timed.slot = undefined;
  };
  return {
    cancel,
    schedule: (timed, afterMs) => {
      cancel(timed);
      const now = performance.now();
      if (timer === undefined) {
        done = slotAt(now);
        timer = setInterval(tick, tickMs).unref();
      }
      const slot = Math.max(slotAt(now + afterMs), done) + 1;
      timed.slot = slot;
      const at = slots.get(slot);
      if (at === undefined) slots.set(slot, new Set([timed]));
      else at.add(timed);
    },
    stop: () => {
      stop();
      slots.clear();
    },
  };
}
