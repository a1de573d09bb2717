import { reachOf, spanOf } from './scenario.js';
import type { Outcome, Scenario, Turn } from './types.js';

/** What is counted on the way. Times are milliseconds since the beginning. */
export type Counts = {
  /** Renewals by bucket. */
  readonly load: Uint32Array;
  expired: number;
  late: number;
  turnedAway: number;
  drainedAt: number | undefined;
  /** Certificates of the old authority that are left. */
  old: number;
  oldGoneAt: number | undefined;
  waveMs: number | undefined;
};

/** What the counts say. */
export function outcomeOf(scenario: Scenario, bucketMs: number, counts: Counts): Outcome {
  const { outage, rotationAt, certificates } = scenario;
  const { expired, late, drainedAt, oldGoneAt, turnedAway, waveMs, load } = counts;
  const restoredAt = outage === undefined ? 0 : outage.at + outage.ms;
  const reach = reachOf(scenario);
  return {
    scenario,
    bucketMs,
    steady: (certificates * bucketMs) / ((reach.from + reach.until) / 2),
    turns: Array.from({ length: scenario.turns }, (_, index) => turnOf(scenario, bucketMs, load, index + 1)),
    outage: outage && {
      ...{ restoredAt, expired, late, fraction: (expired + late) / certificates },
      drainedMs: drainedAt === undefined ? undefined : drainedAt - restoredAt,
    },
    rotation:
      rotationAt === undefined
        ? undefined
        : {
            widthMs: waveMs,
            renewedMs: oldGoneAt === undefined ? undefined : oldGoneAt - rotationAt,
            peak: load.subarray(Math.floor(rotationAt / bucketMs)).reduce((most, one) => Math.max(most, one), 0),
          },
    turnedAway,
  };
}

function turnOf(scenario: Scenario, bucketMs: number, load: Uint32Array, turn: number): Turn {
  const { from, until } = spanOf(scenario, turn);
  const buckets = load.subarray(Math.floor(from / bucketMs), Math.max(1, Math.ceil(until / bucketMs)));
  let renewals = 0;
  let peak = 0;
  for (const count of buckets) {
    renewals += count;
    if (count > peak) peak = count;
  }
  const mean = renewals / ((until - from) / bucketMs);
  const ratio = mean === 0 ? 0 : peak / mean;
  return { turn, from, until, renewals, peak, mean, ratio, peakPerSecond: (peak * 1000) / bucketMs };
}
