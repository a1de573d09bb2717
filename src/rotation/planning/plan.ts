import { purposesOf } from '../../fleet/consumers/classes.js';
import { groupHolders } from './groups.js';
import { pathFrom } from './paths.js';
import { begin, failuresIn, type Frame, stepsOf } from './steps.js';
import type { Plan, PlanInput } from './types.js';
import { verifyingWorkers } from './work.js';

/**
 * The ordered plan of a rotation from where it is to its end: a pure function of what is known. The path and what each
 * step does to the ring are the machine's own transitions. Undefined where a rollback is asked for that is not possible.
 */
export function planRotation(input: PlanInput): Plan | undefined {
  const { rotation, rollback } = input;
  // A successor that was not made cannot be found unfit.
  const facts = input.started ? input.facts : { ...input.facts, preflight: [] };
  const path = rollback ? pathFrom(rotation, true) : pathFrom(rotation);
  if (path === undefined) return undefined;
  const frame: Frame = {
    ...input,
    facts,
    purposes: purposesOf(input.topology, rotation.ring),
    holders: groupHolders(facts.verifiers, facts.classes, facts.now),
    verifying: verifyingWorkers(facts.verifiers, facts.classes, input.software, facts.now),
  };
  const steps = stepsOf(frame, path);
  const worst = steps.reduce<number | undefined>(
    (sum, { duration }) => (sum === undefined || duration.worst === undefined ? undefined : sum + duration.worst),
    facts.now,
  );
  const { id, ring, kind, crossSigned, oldKey, newKey } = rotation;
  return {
    ...{ rotation: input.started ? id : undefined, ring, kind, crossSigned, oldKey, newKey, steps },
    now: facts.now,
    finish: { usual: steps[steps.length - 1]?.from ?? facts.now, worst },
    failsNow: failuresIn(frame, begin(frame)),
    leaves: input.leaves.reduce((sum, { count }) => sum + count, 0),
    consumers: facts.verifiers.length,
  };
}
