import type { RotationState, Timing } from '../types.js';
import { measured, type PhaseDurations } from './measured.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Milliseconds throughout. */
export type StartByFacts = {
  /** The certificate of the authority that signs. */
  readonly authority: { readonly notBefore: number; readonly notAfter: number };
  /** Of an authority, at which it is replaced in any case; undefined: only before it expires. */
  readonly plannedAge: number | undefined;
  readonly timing: Timing;
  /** From one maintenance window to the next, at the longest; 0 without windows. */
  readonly longestWait: number;
  /** The longest time for which a leaf of the ring may still be good: the longest that a profile gives, or that lives. */
  readonly longestLeaf: number;
  /** Earlier rotations of the ring. */
  readonly history: readonly PhaseDurations[];
};

/** What a rotation may take, part by part. */
export type RotationParts = {
  readonly stage: number;
  readonly trust: number;
  readonly issue: number;
  readonly leaf: number;
  readonly distrust: number;
  readonly cool: number;
};

export type StartBy = {
  readonly parts: RotationParts;
  /** The sum of the parts: one rotation. */
  readonly margin: number;
  /** Two rotations, and the wait for a window, before the authority ends: from here on it is late. */
  readonly startBy: number;
  /** One rotation before the authority ends: from here on it cannot be done without cutting something off. */
  readonly lastChance: number;
  /** When it is started: by age, if that comes first. Not before the authority is as old as one rotation takes, or half its life. */
  readonly dueAt: number;
  readonly reason: 'age' | 'expiry';
};

/**
 * startBy = notAfter(CA) - 2 x (T_stage + q99(T_trust) + W_issue + longest leaf + T_distrust + T_cool), with the times of
 * earlier rotations and never less than what is configured, and the longest wait for a maintenance window before that. The
 * factor two leaves room for one that fails at its end.
 */
export function startBy(facts: StartByFacts): StartBy {
  const { notBefore, notAfter } = facts.authority;
  const parts = rotationParts(facts);
  const margin = sum(parts);
  const latest = notAfter - 2 * margin - facts.longestWait;
  const byAge = facts.plannedAge === undefined ? Number.POSITIVE_INFINITY : notBefore + facts.plannedAge;
  // One that takes longer than an authority gives must not be followed by the next at once.
  const soonest = notBefore + Math.min(margin, Math.ceil(Math.max(0, notAfter - notBefore) / 2));
  return {
    parts,
    margin,
    startBy: latest,
    lastChance: notAfter - margin,
    dueAt: Math.max(soonest, Math.min(latest, byAge)),
    reason: byAge < latest ? 'age' : 'expiry',
  };
}

/** What one rotation takes at the least by configuration alone, milliseconds; nothing is assumed about people. */
export function configuredDuration(timing: Timing, longestLeaf: number): number {
  return timing.trustSoak + timing.canarySoak + longestLeaf + timing.drainSoak + timing.cooling;
}

/** How long people need for restarts where no earlier rotation tells: a week, or less under an authority of weeks. */
export function unmeasuredTrust(authority: StartByFacts['authority']): number {
  return Math.min(7 * dayMs, Math.max(0, authority.notAfter - authority.notBefore) / 20);
}

function rotationParts({ authority, timing, longestLeaf, history }: StartByFacts): RotationParts {
  const people = unmeasuredTrust(authority);
  const slowest = (state: RotationState, otherwise: number, least: number): number =>
    Math.round(Math.max(least, measured(history, state, 0.99) ?? otherwise));
  return {
    stage: slowest('staged', Math.min(hourMs, people), 0),
    trust: slowest('trusting', people, timing.trustSoak) + slowest('canary', 0, timing.canarySoak),
    // The last leaf by the old authority may have been given just before the signer changed, and be asked for again.
    issue: Math.round(Math.min(dayMs, people)),
    leaf: longestLeaf,
    distrust: slowest('drained', 0, timing.drainSoak) + slowest('distrusting', people, timing.trustSoak),
    // How long an operator then lets the key lie is no part of the rotation.
    cool: timing.destroyKeys === 'operator' ? timing.cooling : slowest('cooling', 0, timing.cooling),
  };
}

function sum(parts: RotationParts): number {
  return Object.values(parts).reduce((total, part) => total + part, 0);
}
