import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { paced } from '../../../src/api/public/pace.js';
import { createWheel, type Timed } from '../../../src/api/public/wheel.js';

const tickMs = 20;

function timed(due: () => void): Timed {
  return { slot: undefined, due };
}

describe('a wheel', () => {
  it('calls each once, no earlier than asked and in their order', async () => {
    const wheel = createWheel({ tickMs, onTick: () => undefined });
    const start = performance.now();
    const calls: { readonly wanted: number; readonly at: number }[] = [];
    for (const wanted of [100, 0, 40, 100, 60]) {
      wheel.schedule(
        timed(() => calls.push({ wanted, at: performance.now() - start })),
        wanted,
      );
    }
    await sleep(300);
    expect(calls.map(({ wanted }) => wanted)).toEqual([0, 40, 60, 100, 100]);
    for (const { wanted, at } of calls) expect(at).toBeGreaterThanOrEqual(wanted);
    wheel.stop();
  });

  it('moves what is scheduled again, and drops what is cancelled', async () => {
    const wheel = createWheel({ tickMs, onTick: () => undefined });
    const calls: string[] = [];
    const moved = timed(() => calls.push('moved'));
    const cancelled = timed(() => calls.push('cancelled'));
    wheel.schedule(moved, 20);
    wheel.schedule(cancelled, 20);
    wheel.schedule(moved, 200);
    wheel.cancel(cancelled);
    wheel.cancel(cancelled);
    await sleep(120);
    expect(calls).toEqual([]);
    await sleep(200);
    expect(calls).toEqual(['moved']);
    wheel.stop();
  });

  it('drops what is cancelled by another that is due at the same time', async () => {
    const wheel = createWheel({ tickMs, onTick: () => undefined });
    const calls: string[] = [];
    const second = timed(() => calls.push('second'));
    wheel.schedule(
      timed(() => {
        calls.push('first');
        wheel.cancel(second);
      }),
      0,
    );
    wheel.schedule(second, 0);
    await sleep(100);
    expect(calls).toEqual(['first']);
    wheel.stop();
  });

  it('catches up when the loop stood still', async () => {
    const wheel = createWheel({ tickMs, onTick: () => undefined });
    let calls = 0;
    for (let ms = 0; ms < 200; ms += 10)
      wheel.schedule(
        timed(() => (calls += 1)),
        ms,
      );
    const until = performance.now() + 300;
    while (performance.now() < until);
    await sleep(80);
    expect(calls).toBe(20);
    wheel.stop();
  });

  it('goes on for one that schedules itself, and ticks while there is something', async () => {
    let ticks = 0;
    const wheel = createWheel({ tickMs, onTick: () => (ticks += 1) });
    let calls = 0;
    const again = timed(() => {
      calls += 1;
      if (calls < 3) wheel.schedule(again, 20);
    });
    wheel.schedule(again, 20);
    await sleep(400);
    expect(calls).toBe(3);
    const before = ticks;
    await sleep(100);
    expect(ticks).toBe(before);
  });
});

describe('work for many', () => {
  it('is done for each, in order, and lets others go between', async () => {
    const done: number[] = [];
    let others = 0;
    const timer = setInterval(() => (others += 1), 1);
    await paced(
      Array.from({ length: 100 }, (_, index) => index),
      (index) => {
        done.push(index);
        const until = performance.now() + 1;
        while (performance.now() < until);
      },
    );
    clearInterval(timer);
    expect(done).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(others).toBeGreaterThanOrEqual(5);
  });

  it('is that of the beginning: what is added meanwhile is not worked on', async () => {
    const items = new Set([1, 2, 3]);
    const seen: number[] = [];
    await paced(items, (item) => {
      seen.push(item);
      items.add(item + 10);
    });
    expect(seen).toEqual([1, 2, 3]);
  });
});
