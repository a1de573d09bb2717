import type { DomainChange } from './domain.js';
import { type EffectKind, type Transition, type TransitionName, transitions } from './transitions.js';
import type { EndState, Facts, Gate, Mark, Rotation, RotationState } from './types.js';

const ends: readonly RotationState[] = ['finished', 'rolled-back', 'aborted'] satisfies readonly EndState[];

/** A way on from where a rotation is, and what its gate says now. */
export type Offer = {
  readonly name: TransitionName;
  readonly to: RotationState;
  readonly by: 'machine' | 'operator';
  readonly gate: Gate;
};

/** What a transition does: the row as it is from then on, the ring's change, and what is to be done after. */
export type Step = {
  readonly name: TransitionName;
  readonly from: RotationState;
  readonly to: RotationState;
  readonly back: boolean;
  readonly change: DomainChange | undefined;
  readonly effects: readonly EffectKind[];
};

export function isOver({ state }: Pick<Rotation, 'state'>): boolean {
  return ends.includes(state);
}

/** Every way on from here with its gate, whoever may take it. */
export function offers(rotation: Rotation, facts: Facts): readonly Offer[] {
  return waysOn(rotation).map((transition) => {
    const { name, to, by, gate } = transition;
    return { name, to, by, gate: gate(rotation, facts) };
  });
}

/**
 * What the machine does next; undefined while it waits. A pause, a contradiction between state and facts, or a rotation
 * that is led by hand and was not told to go on, each keep it where it is.
 */
export function next(rotation: Rotation, facts: Facts): Step | undefined {
  if (rotation.paused || rotation.disagreement !== undefined) return undefined;
  const told = rotation.policy === 'automatic' || rotation.advanced === rotation.state;
  if (!told) return undefined;
  const transition = waysOn(rotation).find(({ by, gate }) => by === 'machine' && gate(rotation, facts).passes);
  return transition && stepOf(transition, rotation, facts);
}

/** The way back from here; undefined where there is none: the old key is gone, or may be somebody else's too. */
export function rollBack(rotation: Rotation, facts: Facts): Step | undefined {
  const transition = waysOn(rotation).find(({ name, gate }) => name === 'roll-back' && gate(rotation, facts).passes);
  return transition && stepOf(transition, rotation, facts);
}

/** The row after a step that left the ring with `mark.generation`. */
export function after(rotation: Rotation, step: Step, mark: Mark): Rotation {
  return {
    ...rotation,
    state: step.to,
    version: rotation.version + 1,
    epoch: step.change === undefined ? rotation.epoch : step.change.epoch + 1,
    back: step.back,
    advanced: undefined,
    marks: { ...rotation.marks, [step.to]: mark },
    stateSince: mark.at,
    finishedAt: ends.includes(step.to) ? mark.at : undefined,
  };
}

function waysOn({ kind, state, back }: Rotation): Transition[] {
  return transitions.filter(
    (transition) =>
      transition.kinds.includes(kind) &&
      transition.from.includes(state) &&
      (transition.back === undefined || transition.back === back),
  );
}

function stepOf({ name, to, change, effects }: Transition, rotation: Rotation, facts: Facts): Step {
  const made = change?.(rotation);
  return {
    name,
    from: rotation.state,
    to,
    back: rotation.back || name === 'roll-back',
    change: made && { ring: rotation.ring, epoch: facts.ring.epoch, ...made },
    effects,
  };
}
