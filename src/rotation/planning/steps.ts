import type { Topology } from '../../config/types.js';
import { offers } from '../reducer.js';
import type { Gate, Rotation, RotationState } from '../types.js';
import { crossProduct, type Failure } from './cross-product.js';
import { meaning, whatBegins, whatIsDone } from './describe.js';
import { expected, type Expected } from './expected.js';
import { foreseen, gateTexts } from './foreseen.js';
import type { HolderGroup } from './groups.js';
import { pathFrom, type PathStep } from './paths.js';
import { restartPhases, waitsFor } from './restarts.js';
import { after, type Situation } from './situation.js';
import { stepWork } from './step-work.js';
import type { PlanInput, PlanStep } from './types.js';
import type { Workers } from './work.js';

/** What stays the same from step to step. */
export type Frame = PlanInput & {
  readonly purposes: readonly (keyof Topology)[];
  readonly holders: readonly HolderGroup[];
  readonly verifying: readonly Workers[];
};

/** How things are now. */
export function begin({ facts, leaves, generations, rotation, started }: PlanInput): Situation {
  const { generation, anchors } = facts.ring;
  const earlier = generations.filter((one) => one.generation < generation);
  const { state, crossSigned } = rotation;
  const joinsHeld = started && !(crossSigned ? admitting : admitting.slice(0, 2)).includes(state);
  return { generations: [...earlier, { generation, anchors }], signer: facts.ring.active, leaves, joinsHeld };
}

/** The steps of a path, each from how the ones before leave things. */
export function stepsOf(frame: Frame, path: readonly PathStep[]): PlanStep[] {
  const steps: PlanStep[] = [];
  let situation = begin(frame);
  let from = frame.facts.now;
  for (const [index, { state, by }] of path.entries()) {
    const present = index === 0;
    // The way back is marked as such from its first step on.
    const rotation = { ...frame.rotation, state, back: frame.rotation.back || (frame.rollback && !present) };
    const change = by?.change?.(rotation);
    const does = present ? doneAlready(frame, rotation) : whatIsDone(rotation, situation, by, change);
    situation = after(situation, change);
    const work = present && frame.rollback ? [] : stepWork(frame, rotation);
    const needsRestarts = restartPhases.includes(state) && work.some(({ effect }) => effect === 'restart');
    const duration = present && frame.rollback ? atOnce : expected({ ...frame, state, present, rotation, work });
    const { blockers, blocked } = inTheWay(frame, rotation, present);
    steps.push({
      ...{ state, present, meaning: meaning(rotation), does, work, duration, from, blockers, blocked },
      needsRestarts,
      waitsFor: needsRestarts && !present ? waitsFor(rotation, frame.others) : [],
      gate: gateOf(frame, rotation, present),
      back: pathFrom(rotation, true)
        ?.slice(1)
        .map((step) => step.state),
      wouldFail: change === undefined ? [] : failuresIn(frame, situation),
    });
    from += duration.usual;
  }
  return steps;
}

const atOnce: Expected = { least: 0, usual: 0, worst: 0, basis: 'configured', why: 'at once' };
/** In these, joiners are taken that cannot say which bundle they have; without a cross-certificate in the first two alone. */
const admitting: readonly RotationState[] = ['staged', 'trusting', 'canary', 'issuing', 'drained'];

function gateOf({ rollback }: Frame, { state, back }: Rotation, present: boolean): string {
  if (rollback && present) return 'it is rolled back';
  return back && state === 'issuing' ? 'nothing is waited for' : gateTexts[state];
}

function doneAlready({ started }: Frame, rotation: Rotation): readonly string[] {
  return started ? [] : whatBegins(rotation, rotation.crossSigned);
}

/** What cannot be verified in a situation. */
export function failuresIn(frame: Frame, { leaves, generations }: Situation): readonly Failure[] {
  if (frame.rotation.kind === 'keys') return [];
  return crossProduct({ leaves, generations, holders: frame.holders, purposes: frame.purposes });
}

function inTheWay(frame: Frame, rotation: Rotation, present: boolean): Pick<Gate, 'blockers' | 'blocked'> {
  if (present && !frame.rollback) {
    const gate = offers(rotation, frame.facts).find(({ by }) => by === 'machine')?.gate;
    return { blockers: gate?.blockers ?? [], blocked: gate?.blocked ?? 0 };
  }
  const blockers = present ? [] : foreseen(rotation.state, rotation, frame.facts);
  return { blockers, blocked: blockers.length };
}
