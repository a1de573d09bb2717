import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createBuckets } from '../../src/limits/buckets.js';
import { createSlots } from '../../src/limits/slots.js';
import { createMetrics } from '../../src/metrics.js';

describe('token buckets', () => {
  it('let through the burst and then the rate, whenever the calls come', () => {
    const calls = fc.array(fc.nat(500), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(calls, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), (gaps, perSecond, burst) => {
        const buckets = createBuckets(10);
        let now = 0;
        let taken = 0;
        for (const gap of gaps) {
          now += gap;
          const wait = buckets.take('a', { perSecond, burst }, now);
          if (wait === 0) taken += 1;
          else expect(buckets.take('a', { perSecond, burst }, now + Math.ceil(wait) + 1)).toBe(0);
          if (wait > 0) now += Math.ceil(wait) + 1;
          if (wait > 0) taken += 1;
        }
        expect(taken).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-6);
      }),
    );
  });

  it('are kept for so many keys only, and no key touches another', () => {
    const buckets = createBuckets(3);
    const rate = { perSecond: 1, burst: 1 };
    for (const key of ['a', 'b', 'c']) expect(buckets.take(key, rate, 0)).toBe(0);
    expect(buckets.take('a', rate, 0)).toBe(1000);
    expect(buckets.take('d', rate, 0)).toBe(0);
    expect(buckets.take('a', rate, 0)).toBe(1000);
    // b was not seen for longest, so it fell out and starts anew.
    expect(buckets.take('b', rate, 0)).toBe(0);
  });

  it('give up what a thing costs, and to the dearest a full bucket', () => {
    const buckets = createBuckets(3);
    const rate = { perSecond: 10, burst: 20 };
    expect(buckets.take('a', rate, 0, 15)).toBe(0);
    expect(buckets.take('a', rate, 0, 15)).toBe(1000);
    expect(buckets.take('a', rate, 1000, 15)).toBe(0);
    expect(buckets.take('a', rate, 1000, 1000)).toBe(2000);
    expect(buckets.take('a', rate, 3000, 1000)).toBe(0);
    expect(buckets.take('a', rate, 3000)).toBe(100);
  });

  it('do not give anything for a time that goes back', () => {
    const buckets = createBuckets(3);
    const rate = { perSecond: 1, burst: 1 };
    expect(buckets.take('a', rate, 1000)).toBe(0);
    expect(buckets.take('a', rate, 0)).toBe(1000);
  });
});

describe('slots', () => {
  it('run so many at once, in order, and refuse what finds the queue full', async () => {
    const slots = createSlots({ limits: { running: 2, waiting: 1500 }, metrics: createMetrics() });
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const work = (index: number) => async (): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      order.push(index);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (index % 3 === 0) throw new Error('it failed');
      return index;
    };
    const settled = await Promise.allSettled(Array.from({ length: 1600 }, (_, index) => slots.run(work(index))));
    expect(most).toBe(2);
    expect(order).toEqual(Array.from({ length: 1502 }, (_, index) => index));
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1001);
    const refused = settled
      .slice(1502)
      .map((result) => (result.status === 'rejected' ? (result.reason as unknown) : undefined));
    expect(refused).toHaveLength(98);
    for (const error of refused)
      expect(error).toMatchObject({ code: 'too-many-requests', details: { retryAfterSeconds: 1 } });
    expect(await slots.run(() => Promise.resolve('again'))).toBe('again');
  });
});
