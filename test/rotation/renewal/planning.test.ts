import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createBook } from '../../../src/rotation/renewal/book.js';
import { chooseBucket } from '../../../src/rotation/renewal/choice.js';
import { createPlanner } from '../../../src/rotation/renewal/planner.js';
import { boundsOf, leastLife, longestOutage, narrowest } from '../../../src/rotation/renewal/policy.js';
import { seeded } from '../../../src/rotation/renewal/simulation/random.js';
import type { RenewalClient, RenewalPolicy } from '../../../src/rotation/renewal/types.js';

const hour = 3_600_000;
const day = 24 * hour;

const client: fc.Arbitrary<RenewalClient> = fc.oneof(
  fc.constant({ kind: 'informed' as const }),
  fc.constant({ kind: 'kubelet' as const }),
  fc.record({ kind: fc.constant('fixed' as const), at: fc.double({ min: 0.1, max: 0.95, noNaN: true }) }),
);
const policy: fc.Arbitrary<RenewalPolicy> = fc
  .record({
    from: fc.double({ min: 0.05, max: 0.85, noNaN: true }),
    width: fc.double({ min: narrowest, max: 0.9, noNaN: true }),
    outageMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 * day })),
    shortest: fc.double({ min: 0.5, max: 1, noNaN: true }),
  })
  .map(({ from, width, ...rest }) => ({ window: { from, until: Math.min(0.99, from + width) }, ...rest }));
const life = fc.record({ notBefore: fc.nat(1e12), length: fc.integer({ min: 600_000, max: 400 * day }) });

describe('windows', () => {
  test('lie within the life, whatever is asked for', () => {
    fc.assert(
      fc.property(client, policy, life, (who, how, { notBefore, length }) => {
        const { from, until } = boundsOf(who, how, { notBefore, notAfter: notBefore + length });
        expect(from).toBeGreaterThanOrEqual(notBefore);
        expect(until).toBeLessThanOrEqual(notBefore + length);
        expect(until).toBeGreaterThanOrEqual(from);
      }),
    );
  });

  test('leave the tolerated outage wherever the policy can, and say where it cannot', () => {
    fc.assert(
      fc.property(client, policy, life, (who, how, { notBefore, length }) => {
        const notAfter = notBefore + length;
        const bounds = boundsOf(who, how, { notBefore, notAfter });
        if (how.outageMs < longestOutage(who, how, length) - 1) expect(bounds.withinOutage).toBe(true);
        expect(bounds.withinOutage).toBe(notAfter - bounds.until >= how.outageMs);
      }),
      { numRuns: 3000 },
    );
  });

  test('three days are a tenth of thirty', () => {
    const how = { window: { from: 0.5, until: 0.85 }, outageMs: 3 * day, shortest: 0.77 };
    expect(longestOutage({ kind: 'kubelet' }, how, 30 * day)).toBe(3 * day);
    expect(leastLife({ kind: 'kubelet' }, how)).toBe(30 * day);
    expect(longestOutage({ kind: 'informed' }, how, 24 * hour)).toBeCloseTo(10.8 * hour, -1);
  });
});

describe('a planner', () => {
  test('never lengthens a life, shortens it only where it may, and stays in the window', () => {
    fc.assert(
      fc.property(client, policy, life, fc.boolean(), fc.nat(), (who, how, { notBefore, length }, steerable, seed) => {
        const notAfter = notBefore + length;
        const book = createBook({ bucketMs: hour, horizonMs: 400 * day, now: notBefore });
        const draw = seeded(seed);
        const planner = createPlanner({ book, policy: how, draw });
        for (let i = 0; i < 20; i += 1) {
          const planned = planner.plan(who, { notBefore, notAfter }, steerable);
          planner.count(who, planned);
          expect(planned.notAfter).toBeLessThanOrEqual(notAfter);
          if (!steerable || who.kind === 'informed') expect(planned.notAfter).toBe(notAfter);
          expect(planned.notAfter - notBefore).toBeGreaterThanOrEqual(how.shortest * length - 1);
          const bounds = boundsOf(who, how, { notBefore, notAfter: planned.notAfter });
          expect(planned.from).toBeGreaterThanOrEqual(bounds.from);
          if (who.kind === 'informed') expect(planned.until).toBeLessThanOrEqual(bounds.until);
          // What could outlive the outage at its full length can when it is shortened.
          const full = boundsOf(who, how, { notBefore, notAfter });
          if (full.withinOutage)
            expect(notAfter - 1000 - how.outageMs <= bounds.until || bounds.withinOutage).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('takes the emptiest of the buckets that it looks at', () => {
    const draws = [0, 0.3, 0.6, 0.9];
    const loads = [7, 3, 5, 4];
    let at = 0;
    const book = { bucketMs: 10, load: (bucket: number) => loads[[0, 3, 6, 9].indexOf(bucket)] ?? 0 };
    const chosen = chooseBucket(book, { from: 0, until: 100 }, () => draws[at++] ?? 0);
    expect(chosen).toEqual({ from: 30, until: 40 });
    expect(chooseBucket(book, { from: 1, until: 19 }, Math.random)).toEqual({ from: 1, until: 19 });
  });

  test('spreads the renewals of kubelets over 54 to 90 % of the life', () => {
    const length = 30 * day;
    const how = { window: { from: 0.5, until: 0.85 }, outageMs: 0, shortest: 0.77 };
    const peakOf = (steerable: boolean): number => {
      const book = createBook({ bucketMs: hour, horizonMs: length, now: 0 });
      const planner = createPlanner({ book, policy: how, draw: seeded(1) });
      const kubelet = { kind: 'kubelet' } as const;
      for (let i = 0; i < 20_000; i += 1)
        planner.count(kubelet, planner.plan(kubelet, { notBefore: 0, notAfter: length }, steerable));
      return book.peak().planned;
    };
    const perHour = 20_000 / 720;
    expect(peakOf(false) / perHour).toBeCloseTo(1 / 0.2, 1);
    expect(peakOf(true) / perHour).toBeLessThan(1.03 / (0.9 - 0.7 * 0.77));
  });
});
