import type { RotationState } from '../types.js';
import type { Plan, PlanStep } from './types.js';

/** One step of one of several plans, milliseconds. */
export type TimelineEntry = {
  readonly ring: string;
  readonly state: RotationState;
  readonly from: number;
  readonly until: number;
  readonly needsRestarts: boolean;
  /** It begins later than its ring is ready for, because another ring needs restarts until then. */
  readonly delayed: boolean;
};

type Span = { readonly from: number; readonly until: number };

/**
 * Lays several plans beside each other so that at most one step that needs restarts lasts at a time, as the machine does:
 * in the order given, with a step that is under way already first of all, and an emergency that waits for nobody. Steps
 * last as long as usual.
 */
export function timeline(plans: readonly Plan[]): readonly TimelineEntry[] {
  const taken: Span[] = [];
  const entries: TimelineEntry[] = [];
  const urgency = (plan: Plan): number => (isUnderWay(plan.steps[0]) ? 0 : plan.kind === 'emergency' ? 1 : 2);
  for (const plan of [...plans].sort((a, b) => urgency(a) - urgency(b))) {
    let ready = plan.now;
    for (const step of plan.steps) {
      const free = step.present || plan.kind === 'emergency' || !step.needsRestarts;
      const from = free ? ready : firstFree(taken, ready, step.duration.usual);
      const until = from + step.duration.usual;
      if (step.needsRestarts) taken.push({ from, until });
      const { state, needsRestarts } = step;
      entries.push({ ring: plan.ring, state, from, until, needsRestarts, delayed: from > ready });
      ready = until;
    }
  }
  return entries.sort((a, b) => a.from - b.from);
}

function isUnderWay(step: PlanStep | undefined): boolean {
  return step?.needsRestarts === true && step.present;
}

/** The first moment from which nothing is taken for that long. */
function firstFree(taken: readonly Span[], ready: number, duration: number): number {
  let from = ready;
  for (const span of [...taken].sort((a, b) => a.from - b.from)) {
    const apart = from + duration <= span.from || from >= span.until;
    if (!apart) from = span.until;
  }
  return from;
}
