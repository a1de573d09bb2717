import { forwardPath } from '../planning/paths.js';
import type { Rotation, RotationState } from '../types.js';
import { quantile } from './quantile.js';

/** How long one rotation spent in each state, milliseconds. */
export type PhaseDurations = Readonly<Partial<Record<RotationState, number>>>;

/**
 * What a rotation that is over shows about the next one. Nothing where it turned back: a mark is of the last time that a
 * state was entered, so the times between them would be of another way.
 */
export function phaseDurations(rotation: Pick<Rotation, 'kind' | 'state' | 'marks' | 'finishedAt'>): PhaseDurations {
  const { kind, state, marks, finishedAt } = rotation;
  if (
    state !== 'finished' ||
    marks.untrusting !== undefined ||
    marks.returning !== undefined ||
    marks.retrusting !== undefined
  )
    return {};
  const path = forwardPath(kind);
  const at = (of: RotationState): number | undefined => marks[of]?.at ?? (of === 'finished' ? finishedAt : undefined);
  const durations: Partial<Record<RotationState, number>> = {};
  for (const [index, from] of path.entries()) {
    const next = path[index + 1];
    const [start, end] = [at(from), next === undefined ? undefined : at(next)];
    if (start !== undefined && end !== undefined && end >= start) durations[from] = end - start;
  }
  return durations;
}

/** The time in a state that this share of the earlier rotations did not exceed; undefined where none shows it. */
export function measured(history: readonly PhaseDurations[], state: RotationState, share: number): number | undefined {
  return quantile(
    history.flatMap((durations) => durations[state] ?? []),
    share,
  );
}
