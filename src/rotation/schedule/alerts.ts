import type { RotationState } from '../types.js';
import type { StartBy } from './start-by.js';

/** How urgent it is that a ring's authority is replaced. */
export type ScheduleAlert = {
  readonly severity: 'none' | 'warning' | 'critical';
  /** Since when, milliseconds. */
  readonly since: number | undefined;
  readonly message: string;
  /** What it turns into by itself, and when. */
  readonly next: { readonly severity: 'warning' | 'critical'; readonly at: number } | undefined;
};

/** The states in which another authority signs already, so that the end of the old one no longer matters. */
const replaced: readonly RotationState[] = [
  'issuing',
  'drained',
  'distrusting',
  'cooling',
  'retrusting',
  'reissuing',
  'cut',
  'recovering',
];

/**
 * A warning from two rotations before the authority ends, critical from one. `running` is the state of the ring's
 * rotation, where there is one, and `back` whether it returns to the old authority.
 */
export function scheduleAlert(facts: {
  readonly ring: string;
  readonly now: number;
  readonly notAfter: number;
  readonly startBy: StartBy;
  readonly running: { readonly state: RotationState; readonly back: boolean } | undefined;
}): ScheduleAlert {
  const { ring, now, notAfter, running } = facts;
  const { startBy, lastChance } = facts.startBy;
  if (running !== undefined && !running.back && replaced.includes(running.state))
    return {
      severity: 'none',
      since: undefined,
      message: `Another authority signs for the ring ${ring} already.`,
      next: undefined,
    };
  const ends = `The authority of the ring ${ring} ends at ${utc(notAfter)}`;
  const doing =
    running === undefined ? 'start its rotation now' : `its rotation is ${running.state}: see what blocks it`;
  if (now >= notAfter)
    return { severity: 'critical', since: lastChance, message: `${ends}: it has expired; ${doing}.`, next: undefined };
  if (now >= lastChance) {
    const message = `${ends}, which is less than one rotation may take: ${doing}, and expect to cut off what cannot follow.`;
    return { severity: 'critical', since: lastChance, message, next: undefined };
  }
  if (now >= startBy) {
    const message = `${ends}, which leaves room for one rotation and not for a second try: ${doing}.`;
    return { severity: 'warning', since: startBy, message, next: { severity: 'critical', at: lastChance } };
  }
  return { severity: 'none', since: undefined, message: `${ends}.`, next: { severity: 'warning', at: startBy } };
}

function utc(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16)}Z`;
}
