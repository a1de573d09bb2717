import { formatDuration } from '../../config/duration.js';
import type { Blocker, Gate, GateName, Rotation } from '../types.js';

/** Blockers that are shown; a fleet that has not heard of anything yet would fill pages. */
export const mostShown = 50;

/** One requirement: what holds counts, what does not is a blocker. */
export type Check = {
  readonly held: number;
  readonly blockers: readonly Blocker[];
  readonly opensAt?: number | undefined;
};

/** A gate from its requirements: it passes when nothing blocks it. */
export function gateOf(name: GateName, checks: readonly Check[]): Gate {
  const blockers = checks.flatMap((check) => check.blockers);
  const satisfied = checks.reduce((sum, check) => sum + check.held, 0);
  const onlyTime = blockers.length > 0 && blockers.every(({ kind }) => kind === 'time');
  const times = checks.flatMap(({ opensAt }) => (opensAt === undefined ? [] : [opensAt]));
  return {
    name,
    passes: blockers.length === 0,
    satisfied,
    required: satisfied + blockers.length,
    blockers: blockers.slice(0, mostShown),
    blocked: blockers.length,
    opensAt: onlyTime && times.length > 0 ? Math.max(...times) : undefined,
  };
}

export function passed(count = 1): Check {
  return { held: count, blockers: [] };
}

export function blockedBy(...blockers: Blocker[]): Check {
  return { held: 0, blockers };
}

/** Opens at a time, by itself. */
export function notBefore(at: number, now: number, requirement: string): Check {
  if (now >= at) return passed();
  const lastEvidence = `${formatDuration(Math.ceil((at - now) / 1000) * 1000)} to go`;
  const remedies = ['wait: this passes by itself'];
  return {
    held: 0,
    blockers: [{ subject: 'time', kind: 'time', requirement, lastEvidence, since: undefined, remedies }],
    opensAt: at,
  };
}

/** A person has to say so. */
export function operatorCheck({ id }: Pick<Rotation, 'id'>, requirement: string): Check {
  const remedies = [`rotunda rotation advance ${id}`];
  const text = { requirement, lastEvidence: 'no operator has said so', since: undefined };
  return blockedBy({ subject: 'operator', kind: 'operator', ...text, remedies });
}

/** RFC 3339, UTC, whole seconds. */
export function iso(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
