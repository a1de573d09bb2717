import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createCalendar } from '../../../src/rotation/renewal/simulation/calendar.js';
import { bucketOf } from '../../../src/rotation/renewal/simulation/scenario.js';
import { simulate } from '../../../src/rotation/renewal/simulation/simulate.js';
import {
  type Scenario,
  simulationPolicies,
  type SimulationPolicy,
} from '../../../src/rotation/renewal/simulation/types.js';

const minute = 60_000;
const hour = 60 * minute;

const burst: Scenario = {
  certificates: 100_000,
  policy: 'steered',
  lifeMs: 24 * hour,
  window: { from: 0.5, until: 0.85 },
  fixedAt: 2 / 3,
  shortest: 0.77,
  toleratedMs: 0,
  burstMs: 10 * minute,
  outage: undefined,
  rotationAt: undefined,
  pollMs: 6 * hour,
  perSecond: undefined,
  turns: 1,
  bucketMs: undefined,
  seed: 1,
};
const firstRatio = (change: Partial<Scenario>): number => simulate({ ...burst, ...change }).turns[0]?.ratio ?? NaN;

describe('a burst', () => {
  test.each([1e3, 1e4, 1e5, 1e6])('of %d certificates is level in its first turn, within a tenth', (certificates) => {
    expect(firstRatio({ certificates })).toBeLessThan(1.1);
    expect(firstRatio({ certificates, seed: 2 })).toBeLessThan(1.1);
  });

  test('is level with other lives and windows', () => {
    expect(firstRatio({ lifeMs: 30 * 24 * hour, certificates: 20_000 })).toBeLessThan(1.1);
    expect(firstRatio({ window: { from: 0.5, until: 0.66 } })).toBeLessThan(1.1);
    expect(firstRatio({ toleratedMs: 8 * hour })).toBeLessThan(1.1);
  });

  test('comes back as one where nothing spreads it', () => {
    expect(firstRatio({ policy: 'fixed' })).toBeGreaterThan(40);
    expect(firstRatio({ policy: 'random' })).toBeGreaterThan(1.15);
  });

  test('is spread over more time where the lives of kubelets are chosen', () => {
    const peak = (policy: SimulationPolicy): number => simulate({ ...burst, policy }).turns[0]?.peak ?? NaN;
    expect(peak('kubelet-steered') / peak('kubelet')).toBeLessThan(0.65);
  });

  test('is the same for the same seed, with every policy', () => {
    for (const policy of Object.keys(simulationPolicies) as SimulationPolicy[]) {
      const scenario = { ...burst, certificates: 2000, policy, turns: 2 };
      const { turns } = simulate(scenario);
      expect(simulate(scenario).turns).toEqual(turns);
      expect(turns[0]?.renewals, policy).toBeGreaterThan(1900);
    }
  });
});

describe('an outage', () => {
  const settled = { ...burst, burstMs: 24 * hour, outage: { at: 240 * hour, ms: 8 * hour }, turns: 3 };

  test('costs what theory says of random renewals: E[(X - (L - D))+] / E[X], 7.1 %', () => {
    const { outage } = simulate({ ...settled, policy: 'random' });
    expect(outage?.fraction).toBeGreaterThan(0.065);
    expect(outage?.fraction).toBeLessThan(0.078);
  });

  test('costs nothing that windows allow for', () => {
    expect(simulate({ ...settled, toleratedMs: 8 * hour }).outage?.fraction).toBe(0);
    expect(simulate({ ...settled, window: { from: 0.5, until: 0.66 } }).outage?.fraction).toBe(0);
    expect(simulate({ ...settled, window: { from: 0.5, until: 0.7 } }).outage?.fraction).toBeGreaterThan(0);
  });

  test('is made good in the order of expiry, nobody late, as fast as can be issued', () => {
    const { outage, turnedAway } = simulate({ ...settled, window: { from: 0.5, until: 0.66 }, perSecond: 6 });
    expect(outage).toMatchObject({ expired: 0, late: 0 });
    // Some 57,000 are behind, and 1.7 of the 6 a second are for those who come in time.
    expect((outage?.drainedMs ?? NaN) / hour).toBeGreaterThan(3);
    expect((outage?.drainedMs ?? NaN) / hour).toBeLessThan(4.5);
    expect(turnedAway).toBeGreaterThan(0);
  });

  test('of kubelets takes those that are late anyway', () => {
    const { outage } = simulate({ ...settled, policy: 'kubelet' });
    expect(outage?.fraction).toBeGreaterThan(0.1);
  });
});

describe('a rotation', () => {
  const rotating = { ...burst, rotationAt: 36 * hour, turns: 3 };

  test('is a wave of half of what can be issued, and over with it', () => {
    const { rotation, turnedAway } = simulate({ ...rotating, perSecond: 25 });
    expect(rotation?.widthMs).toBe(8_000_000);
    expect(rotation?.renewedMs).toBeLessThan(6 * hour + 8_000_000 + 10 * minute);
    expect(turnedAway).toBe(0);
  });

  test('waits for natural renewal where that is as fast', () => {
    const { rotation } = simulate({ ...rotating, perSecond: 2.6 });
    expect(rotation?.widthMs).toBeUndefined();
    expect(rotation?.renewedMs).toBeLessThan(0.86 * 24 * hour);
    expect(simulate({ ...rotating, policy: 'kubelet', perSecond: 25 }).rotation?.renewedMs).toBeLessThan(
      0.91 * 24 * hour,
    );
  });
});

test('buckets are as fine as a life is long and as full as they must be', () => {
  expect(bucketOf(burst)).toBe(minute);
  expect(bucketOf({ ...burst, certificates: 1000 })).toBeGreaterThan(15 * minute);
  expect(bucketOf({ ...burst, lifeMs: 600_000, certificates: 1e7 })).toBe(1000);
  expect(bucketOf({ ...burst, bucketMs: 5000 })).toBe(5000);
});

test('a calendar loses nothing and keeps every number in one bucket', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 500 }), fc.array(fc.nat(9), { maxLength: 20 }), (places, taken) => {
      const buckets = 10;
      const calendar = createCalendar(places.length, buckets);
      const where = places.map((place) => Math.min(9, place));
      for (const [value, place] of places.entries()) calendar.put(value, place);
      for (const bucket of taken) {
        const seen: number[] = [];
        calendar.take(bucket, (value) => {
          seen.push(value);
          calendar.put(value, (bucket + 3) % buckets);
        });
        expect(seen.sort((a, b) => a - b)).toEqual([...where.keys()].filter((value) => where[value] === bucket));
        for (const value of seen) where[value] = (bucket + 3) % buckets;
      }
    }),
  );
});
