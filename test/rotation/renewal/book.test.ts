import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createBook } from '../../../src/rotation/renewal/book.js';

const bucketMs = 1000;
const horizonMs = 40_000;

/** The same, a bucket at a time. */
function naive(): {
  add(time: number, count: number): void;
  spread(from: number, until: number, count: number): void;
  load(bucket: number): number;
} {
  const loads = new Map<number, number>();
  const put = (bucket: number, count: number): void => {
    loads.set(bucket, (loads.get(bucket) ?? 0) + count);
  };
  return {
    add: (time, count) => {
      put(Math.floor(time / bucketMs), count);
    },
    spread: (from, until, count) => {
      for (let bucket = Math.floor(from / bucketMs); bucket * bucketMs < until; bucket += 1) {
        const inside = Math.min(until, (bucket + 1) * bucketMs) - Math.max(from, bucket * bucketMs);
        put(bucket, (count * inside) / (until - from));
      }
    },
    load: (bucket) => loads.get(bucket) ?? 0,
  };
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), at: fc.nat(39_999), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('spread' as const), at: fc.nat(30_000), width: fc.integer({ min: 1, max: 9999 }) }),
  fc.record({ kind: fc.constant('advance' as const), by: fc.nat(15_000) }),
);

test('counts as one would by hand, however time goes on', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(1_000_000), (steps, start) => {
      const book = createBook({ bucketMs, horizonMs, now: start });
      const expected = naive();
      let now = start;
      for (const one of steps) {
        if (one.kind === 'advance') {
          now += one.by;
          book.advance(now);
        } else if (one.kind === 'add') {
          book.add(now + one.at, one.count);
          expected.add(now + one.at, one.count);
        } else {
          book.spread(now + one.at, now + one.at + one.width, 1);
          expected.spread(now + one.at, now + one.at + one.width, 1);
        }
      }
      book.settle();
      const first = Math.floor(now / bucketMs);
      for (let bucket = first; bucket < first + horizonMs / bucketMs; bucket += 1)
        expect(book.load(bucket)).toBeCloseTo(expected.load(bucket), 6);
      const all = Array.from({ length: 40 }, (_, index) => expected.load(first + index));
      expect(book.mean(first * bucketMs, (first + 40) * bucketMs)).toBeCloseTo(all.reduce((a, b) => a + b, 0) / 40, 6);
    }),
    { numRuns: 300 },
  );
});

test('what lies outside is not counted, and takes nothing with it', () => {
  const book = createBook({ bucketMs, horizonMs, now: 100_000 });
  book.add(99_999, 1);
  book.add(10_000_000, 1);
  book.spread(0, 100_000, 5);
  book.spread(10_000_000, 20_000_000, 5);
  book.add(100_500, -3);
  book.settle();
  expect(book.mean(0, 1e9)).toBe(0);
  book.spread(0, 200_000, 100);
  book.settle();
  expect(book.load(99)).toBe(0);
  expect(book.load(100)).toBeCloseTo(0.5);
  book.advance(1e12);
  expect(book.peak().planned).toBe(0);
});

test('tells the fullest bucket', () => {
  const book = createBook({ bucketMs, horizonMs, now: 0 });
  book.add(3500, 1);
  book.spread(3000, 5000, 4);
  expect(book.peak()).toEqual({ start: 3000, planned: 3 });
});
