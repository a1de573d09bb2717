import { measured, type PhaseDurations } from '../schedule/measured.js';
import { unmeasuredTrust } from '../schedule/start-by.js';
import type { Facts, Rotation, RotationState } from '../types.js';
import type { Work } from './work.js';

/** How long a state lasts, milliseconds from now where it is the present one. */
export type Expected = {
  readonly least: number;
  readonly usual: number;
  /** Undefined: nothing but people can end it. */
  readonly worst: number | undefined;
  /** From earlier rotations, from configuration and lifetimes, or guessed because people have to act. */
  readonly basis: 'measured' | 'configured' | 'guessed';
  readonly why: string;
};

export type ExpectedInput = {
  readonly state: RotationState;
  /** Whether it is the state that the rotation is in. */
  readonly present: boolean;
  readonly rotation: Rotation;
  readonly facts: Facts;
  readonly work: readonly Work[];
  readonly history: readonly PhaseDurations[];
  /** The longest time that a leaf of the ring is good for, milliseconds. */
  readonly longestLeaf: number;
};

const dayMs = 86_400_000;
/** Kubelets choose their own time, at the latest here. */
const latestRenewal = 0.9;

/** How long a state lasts: as earlier rotations show where there were any, and never less than what is configured. */
export function expected(input: ExpectedInput): Expected {
  const { fromNow, ...estimate } = estimates[input.state](input);
  if (fromNow === true) return estimate;
  const known = estimate.basis === 'configured' ? estimate : (fromHistory(input, estimate) ?? estimate);
  return input.present ? less(known, input.facts.now - input.rotation.stateSince) : known;
}

/** `fromNow`: it ends at a moment, however long the state has lasted. */
type Estimate = (input: ExpectedInput) => Expected & { readonly fromNow?: true };

function fromHistory({ history, state }: ExpectedInput, { least }: Expected): Expected | undefined {
  const [median, most] = [measured(history, state, 0.5), measured(history, state, 0.99)];
  if (median === undefined || most === undefined) return undefined;
  const why = history.length === 1 ? 'as in the rotation before' : `as in ${String(history.length)} earlier rotations`;
  return { least, usual: Math.max(least, median), worst: Math.max(least, most), basis: 'measured', why };
}

function less(of: Expected, elapsed: number): Expected {
  const left = (duration: number): number => Math.max(0, duration - Math.max(0, elapsed));
  return {
    ...of,
    least: left(of.least),
    usual: left(of.usual),
    worst: of.worst === undefined ? undefined : left(of.worst),
  };
}

function exactly(duration: number, why: string): Expected {
  return { least: duration, usual: duration, worst: duration, basis: 'configured', why };
}

const atOnce: Estimate = () => exactly(0, 'at once');

const waitForStart: Estimate = ({ facts }) => {
  const wait = facts.window.open || facts.window.next === undefined ? 0 : facts.window.next - facts.now;
  if (facts.restarting === undefined)
    return { ...exactly(wait, wait === 0 ? 'at once' : 'until the next maintenance window'), fromNow: true };
  const why = `until ${facts.restarting} needs no restarts any more`;
  return { least: wait, usual: wait, worst: undefined, basis: 'guessed', why, fromNow: true };
};

/** Bundles have to be loaded: files first, then whatever takes its time or wants a restart. */
const loading: Estimate = ({ facts, work, state }) => {
  const soak = state === 'trusting' || state === 'retrusting' ? facts.timing.trustSoak : 0;
  const delay = Math.max(soak, ...work.map(({ delayMs }) => delayMs ?? 0));
  if (!work.some(({ effect }) => effect === 'restart' || effect === 'never'))
    return { ...exactly(delay, delay > soak ? 'the slowest reload' : 'the trust soak'), least: soak };
  const people = facts.old === undefined ? 7 * dayMs : unmeasuredTrust(facts.old);
  const why = 'until people have restarted what needs it; no earlier rotation to go by';
  return {
    least: soak,
    usual: Math.max(delay, Math.min(dayMs, people)),
    worst: Math.max(delay, people),
    basis: 'guessed',
    why,
  };
};

const draining: Estimate = ({ facts, longestLeaf, state, present, rotation }) => {
  // Trusted again on the way back: the signer is returned without waiting.
  if (state === 'issuing' && rotation.back) return exactly(0, 'at once');
  if (rotation.kind === 'keys')
    return exactly(facts.timing.longestToken, 'until the last token of the old key has expired');
  const { latestNotAfter } = state === 'returning' ? facts.newUse : facts.oldUse;
  const last = latestNotAfter === undefined ? undefined : Math.max(0, latestNotAfter - facts.now);
  // Until the signer changes, leaves go on being issued by the other one.
  const worst = present || state === 'returning' ? (last ?? 0) : Math.max(last ?? 0, longestLeaf);
  const usual = Math.round(latestRenewal * (last ?? worst));
  const why = 'until every leaf is replaced, and expired at the latest';
  return {
    least: 0,
    usual: Math.min(usual, worst),
    worst,
    basis: 'guessed',
    why,
    ...(present ? { fromNow: true } : {}),
  };
};

const approving: Estimate = ({ facts, rotation }) => {
  const soak = facts.timing.drainSoak;
  if (rotation.policy === 'automatic')
    return { ...exactly(soak, 'the drain soak, which an operator may cut short'), least: 0 };
  return { least: 0, usual: soak, worst: undefined, basis: 'guessed', why: 'until an operator advances it' };
};

const cooling: Estimate = ({ facts: { timing } }) => {
  if (timing.destroyKeys === 'automatic') return exactly(timing.cooling, 'the cooling time');
  return {
    ...exactly(timing.cooling, 'the cooling time, and until an operator lets the key be erased'),
    worst: undefined,
  };
};

const spreading: Estimate = (input) => {
  const { options, startedAt } = input.rotation;
  if (options.preference === 'security-first') return exactly(0, 'security first: nothing is waited for');
  const half = Math.max(0, ((options.deadline ?? startedAt) - startedAt) / 2);
  const why = 'until everybody trusts it, for half of the deadline at the longest';
  return { least: 0, usual: Math.min(half, loading(input).usual), worst: half, basis: 'configured', why };
};

const untilDeadline: Estimate = ({ rotation, facts, present }) => {
  const { deadline } = rotation.options;
  const left = Math.max(0, (deadline ?? facts.now) - facts.now);
  // Half of it may be spent on trust before.
  const usual = present || rotation.options.preference === 'security-first' ? left : left / 2;
  return {
    least: 0,
    usual,
    worst: left,
    basis: 'configured',
    why: 'until everything is replaced, or the deadline',
    fromNow: true,
  };
};

const estimates: Readonly<Record<RotationState, Estimate>> = {
  staged: waitForStart,
  declared: atOnce,
  trusting: loading,
  retrusting: loading,
  distrusting: loading,
  cut: loading,
  canary: ({ facts: { timing } }) => exactly(timing.canarySoak, 'the canary soak'),
  issuing: draining,
  returning: draining,
  recovering: draining,
  untrusting: atOnce,
  drained: approving,
  cooling,
  spreading,
  reissuing: untilDeadline,
  finished: atOnce,
  'rolled-back': atOnce,
  aborted: atOnce,
};
