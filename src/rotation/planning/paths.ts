import { type Transition, transitions } from '../transitions.js';
import type { Rotation, RotationKind, RotationState } from '../types.js';

/** One state that is gone through, and what leads into it; undefined for the one that it is in already. */
export type PathStep = { readonly state: RotationState; readonly by: Transition | undefined };

type From = Pick<Rotation, 'kind' | 'state' | 'back'>;

/** Where a rotation begins. */
export function firstState(kind: RotationKind): RotationState {
  return kind === 'emergency' ? 'declared' : 'staged';
}

/**
 * The states that a rotation is still to go through, the present one first: the machine's own transitions, one after the
 * other. `rollback`: as if it were rolled back now; undefined where that is not possible.
 */
export function pathFrom(from: From, rollback: true): readonly PathStep[] | undefined;
export function pathFrom(from: From): readonly PathStep[];
export function pathFrom(from: From, rollback = false): readonly PathStep[] | undefined {
  const path: PathStep[] = [{ state: from.state, by: undefined }];
  let { state, back } = from;
  if (rollback) {
    const by = leading({ ...from }, 'operator');
    if (by === undefined) return undefined;
    path.push({ state: by.to, by });
    [state, back] = [by.to, true];
  }
  for (;;) {
    const by = leading({ kind: from.kind, state, back }, 'machine');
    // Each state comes once: a table that led in a circle would be a defect, and must not hang whoever asks.
    if (by === undefined || path.some((step, index) => index > 0 && step.state === by.to)) return path;
    path.push({ state: by.to, by });
    state = by.to;
  }
}

/** All states of a rotation that goes through without turning back. */
export function forwardPath(kind: RotationKind): readonly RotationState[] {
  return pathFrom({ kind, state: firstState(kind), back: false }).map(({ state }) => state);
}

function leading({ kind, state, back }: From, by: Transition['by']): Transition | undefined {
  return transitions.find(
    (one) =>
      one.by === by &&
      one.kinds.includes(kind) &&
      one.from.includes(state) &&
      (one.back === undefined || one.back === back),
  );
}
