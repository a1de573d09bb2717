import { z } from 'zod';

import type { EmergencyRadius, Some } from '../../rotation/outlook/blast-radius.js';
import { renderRadius } from '../../rotation/outlook/radius-text.js';
import type { Failure } from '../../rotation/planning/cross-product.js';
import type { Plan, PlanStep } from '../../rotation/planning/types.js';
import type { Work } from '../../rotation/planning/work.js';
import { blockerSchema, blockerView } from './rotation-gate-view.js';
import { rotationStates } from './rotation-views.js';
import { defined, optionalTime, timeOf, timeText } from './schemas.js';

const count = z.number().int();
const seconds = z.number().int();
const names = z.array(z.string());

const failureSchema = z
  .object({
    purpose: z.string().optional(),
    presenter: z.string(),
    profile: z.string(),
    authority: z.string(),
    leaves: count,
    presenters: names,
    verifier: z.string(),
    consumers: count.optional().meta({ description: 'Absent where nobody has said how many there are' }),
    verifiers: names,
    generations: z.array(count).meta({ description: 'The bundles with which it fails' }),
    certainty: z.enum(['holds', 'may hold']),
  })
  .meta({ id: 'VerificationFailure', description: 'Leaves that some verifiers cannot verify' });

const workSchema = z
  .object({
    class: z.string(),
    consumers: count.optional(),
    names,
    file: z.string(),
    effect: z.enum(['hot', 'delayed', 'restart', 'never']),
    delaySeconds: seconds.optional(),
    when: z.string().optional(),
    what: z.string(),
    see: z.string(),
    text: z.string(),
    commands: names,
    assumed: z.string().optional(),
  })
  .meta({ id: 'ConsumerWork', description: 'What has to be done at the consumers of a class for one file' });

const stepSchema = z
  .object({
    state: z.enum(rotationStates),
    present: z.boolean(),
    meaning: z.string(),
    does: names.meta({ description: 'What Rotunda does when it enters the state' }),
    work: z.array(workSchema),
    needsRestarts: z.boolean(),
    waitsFor: names.meta({ description: 'Rotations of other rings that have to need no restarts any more' }),
    from: timeText,
    duration: z.object({
      leastSeconds: seconds,
      usualSeconds: seconds,
      worstSeconds: seconds.optional().meta({ description: 'Absent where nothing but people can end it' }),
      basis: z.enum(['measured', 'configured', 'guessed']),
      why: z.string(),
    }),
    gate: z.string().meta({ description: 'What has to hold for it to be left' }),
    blockers: z.array(blockerSchema),
    blocked: count,
    back: names.optional().meta({ description: 'The states that a rollback goes through; absent where there is none' }),
    wouldFail: z
      .array(failureSchema)
      .meta({ description: 'What would fail if it were entered now, without waiting for anything' }),
  })
  .meta({ id: 'PlanStep', description: 'One state that a rotation goes through' });

export const planSchema = z
  .object({
    rotation: z.string().optional().meta({ description: 'Absent where it was not started' }),
    ring: z.string(),
    kind: z.enum(['planned', 'emergency', 'reissue', 'keys']),
    crossSigned: z.boolean(),
    oldKey: z.string(),
    newKey: z.string().meta({ description: '`new` where it was not made yet' }),
    now: timeText,
    finish: z.object({ usual: timeText, latest: timeText.optional() }),
    leaves: count,
    consumers: count,
    failsNow: z.array(failureSchema),
    steps: z.array(stepSchema),
  })
  .meta({ id: 'RotationPlan', description: 'What a rotation will do, in order' });

const someSchema = z.object({ count, names });

export const radiusSchema = z
  .object({
    ring: z.string(),
    authority: z.string(),
    deadline: timeText,
    takesOver: z.string().optional().meta({ description: 'The rotation that is turned into the emergency' }),
    leaves: z.object({
      total: count,
      exact: z.boolean(),
      groups: z.array(z.object({ profile: z.string(), count, latestNotAfter: timeText, names })),
    }),
    verifiers: z.object({ total: count, behind: someSchema, silent: someSchema, undeclared: names }),
    text: z.string().meta({ description: 'The same for people, in lines' }),
  })
  .meta({ id: 'EmergencyRadius', description: 'Who is cut off by an emergency unless it follows in time' });

export type PlanView = z.output<typeof planSchema>;
type RadiusView = z.output<typeof radiusSchema>;

export function planView(plan: Plan): PlanView {
  const { rotation, ring, kind, crossSigned, oldKey, newKey, leaves, consumers, finish } = plan;
  return defined({
    ...{ rotation, ring, kind, crossSigned, oldKey, newKey, now: timeOf(plan.now), leaves, consumers },
    finish: defined({ usual: timeOf(finish.usual), latest: optionalTime(finish.worst) }),
    failsNow: plan.failsNow.map(failureView),
    steps: plan.steps.map(stepView),
  });
}

function stepView(step: PlanStep): PlanView['steps'][number] {
  const { state, present, meaning, does, work, needsRestarts, waitsFor, duration, gate, blockers, blocked, back } =
    step;
  return defined({
    ...{ state, present, meaning, does: [...does], work: work.map(workView), needsRestarts, gate, blocked },
    ...{ waitsFor: [...waitsFor], from: timeOf(step.from), blockers: blockers.map(blockerView) },
    duration: defined({
      leastSeconds: secondsOf(duration.least),
      usualSeconds: secondsOf(duration.usual),
      worstSeconds: duration.worst === undefined ? undefined : secondsOf(duration.worst),
      basis: duration.basis,
      why: duration.why,
    }),
    back: back && [...back],
    wouldFail: step.wouldFail.map(failureView),
  });
}

function workView({ delayMs, names: who, commands, ...work }: Work): PlanView['steps'][number]['work'][number] {
  const delaySeconds = delayMs === undefined ? undefined : secondsOf(delayMs);
  return defined({ ...work, names: [...who], commands: [...commands], delaySeconds });
}

function failureView(failure: Failure): PlanView['failsNow'][number] {
  const { presenters, verifiers, generations, ...rest } = failure;
  return defined({
    ...rest,
    presenters: [...presenters],
    verifiers: [...verifiers],
    generations: [...generations],
  });
}

export function radiusView(radius: EmergencyRadius, now: number): RadiusView {
  return { ...radiusData(radius), text: renderRadius(radius, now) };
}

function radiusData({
  ring,
  authority,
  deadline,
  takesOver,
  leaves,
  verifiers,
}: EmergencyRadius): Omit<RadiusView, 'text'> {
  const some = ({ count: many, names: who }: Some) => ({ count: many, names: [...who] });
  return defined({
    ...{ ring, authority, deadline: timeOf(deadline), takesOver: takesOver?.id },
    leaves: {
      ...{ total: leaves.total, exact: leaves.exact },
      groups: leaves.groups.map(({ profile, latestNotAfter, ...group }) => ({
        ...{ profile, latestNotAfter: timeOf(latestNotAfter) },
        ...some(group),
      })),
    },
    verifiers: {
      ...{ total: verifiers.total, undeclared: [...verifiers.undeclared] },
      ...{ behind: some(verifiers.behind), silent: some(verifiers.silent) },
    },
  });
}

function secondsOf(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
