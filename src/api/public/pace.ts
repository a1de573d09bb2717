import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long one turn of the event loop may go to work for many, milliseconds: what anybody else waits for meanwhile. */
const sliceMs = 8;

/**
 * Does the work for each item, and lets everything else that waits on the event loop go between. The items are those of
 * now: what is added meanwhile is not worked on. `work` must not throw.
 */
export async function paced<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  let until = performance.now() + sliceMs;
  for (const item of [...items]) {
    work(item);
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + sliceMs;
  }
}
