import { rangeOf } from '../planner.js';
import { boundsOf } from '../policy.js';
import type { RenewalClient, RenewalPolicy, Window } from '../types.js';
import type { Scenario } from './types.js';

/** So many renewals in a bucket that one more or less shows in the second decimal. */
const fullEnough = 32;
const bucketsPerLife = 1440;
const fewestBuckets = 16;
const secondMs = 1000;

export function clientOf({ policy, fixedAt }: Scenario): RenewalClient {
  if (policy === 'steered' || policy === 'random') return { kind: 'informed' };
  if (policy === 'fixed' || policy === 'fixed-steered') return { kind: 'fixed', at: fixedAt };
  return { kind: 'kubelet' };
}

export function isSteered({ policy }: Scenario): boolean {
  return policy === 'steered' || policy.endsWith('-steered');
}

export function policyOf({ window, toleratedMs, shortest }: Scenario): RenewalPolicy {
  return { window, outageMs: toleratedMs, shortest };
}

/** When, after its issuance, a certificate is renewed at the earliest and at the latest. */
export function reachOf(scenario: Scenario): Window {
  const client = clientOf(scenario);
  const policy = policyOf(scenario);
  const life = { notBefore: 0, notAfter: scenario.lifeMs };
  const longest = boundsOf(client, policy, life);
  const shortest = isSteered(scenario) ? rangeOf(client, policy, life)?.shortest : undefined;
  if (client.kind === 'informed' || shortest === undefined) return longest;
  return { from: boundsOf(client, policy, { notBefore: 0, notAfter: shortest }).from, until: longest.until };
}

/**
 * When all can be renewed for the n-th time. Where clients leave no choice, the time that the window of informed ones would
 * allow: what a peak is to be compared with.
 */
export function spanOf(scenario: Scenario, turn: number): Window {
  const reach = reachOf(scenario);
  const isPoint = reach.until <= reach.from;
  const { from, until } = isPoint
    ? { from: scenario.window.from * scenario.lifeMs, until: scenario.window.until * scenario.lifeMs }
    : reach;
  return { from: turn * from, until: turn * until + scenario.burstMs };
}

/** Until when to look, milliseconds: all turns, and a life after each event. */
export function endOf(scenario: Scenario): number {
  const { outage, rotationAt, lifeMs, turns } = scenario;
  const events = [
    outage === undefined ? 0 : outage.at + outage.ms + lifeMs,
    rotationAt === undefined ? 0 : rotationAt + lifeMs,
  ];
  return Math.max(spanOf(scenario, turns).until, ...events);
}

/** Whole seconds: as fine as a life in 1440 parts, and no finer than what fills a bucket. */
export function bucketOf(scenario: Scenario): number {
  const { from, until } = spanOf(scenario, 1);
  const filling = (fullEnough * (until - from)) / scenario.certificates;
  const finest = scenario.lifeMs / bucketsPerLife;
  const coarsest = (until - from) / fewestBuckets;
  const chosen = scenario.bucketMs ?? Math.min(Math.max(filling, finest), Math.max(finest, coarsest));
  return Math.max(secondMs, Math.round(chosen / secondMs) * secondMs);
}
