import { z } from 'zod';

import type { Explanation } from '../../rotation/explain.js';
import { pathFrom } from '../../rotation/planning/paths.js';
import type { Plan } from '../../rotation/planning/types.js';
import type { Rotation, RotationState } from '../../rotation/types.js';
import { gateSchema, gateView } from './rotation-gate-view.js';
import { eventSchema, eventView } from './rotation-history.js';
import { defined, optionalTime, timeOf, timeText } from './schemas.js';

/** In the order in which they come, the ways back and the emergency's behind the way on. */
export const rotationStates = [
  ...(['staged', 'trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling'] as const),
  ...(['untrusting', 'returning', 'retrusting'] as const),
  ...(['declared', 'spreading', 'reissuing', 'cut', 'recovering'] as const),
  ...(['finished', 'rolled-back', 'aborted'] as const),
] as const satisfies readonly RotationState[];

const stateSchema = z.enum(rotationStates).meta({ id: 'RotationState', description: 'Where a rotation is' });
const count = z.number().int();

export const rotationSchema = z
  .object({
    id: z.string(),
    ring: z.string(),
    kind: z.enum(['planned', 'emergency', 'reissue', 'keys']),
    state: stateSchema,
    version: count.meta({ description: 'Goes up with each change; an action may name the one that it was decided on' }),
    paused: z.boolean(),
    back: z.boolean().meta({ description: 'On its way back to the old authority' }),
    policy: z
      .enum(['automatic', 'manual'])
      .meta({ description: '`automatic`: goes on as soon as a gate passes. `manual`: when it is told to as well' }),
    crossSigned: z.boolean().meta({ description: 'The old authority vouches for the new one' }),
    oldKey: z.string().meta({ description: 'Subject key identifier, or kid of a signing key' }),
    newKey: z.string(),
    advanced: stateSchema.optional().meta({ description: 'The state that somebody has allowed to be left' }),
    disagreement: z.string().optional().meta({ description: 'What of the ring contradicts it: it stands still' }),
    path: z
      .array(
        z.object({
          state: stateSchema,
          phase: z.enum(['done', 'now', 'ahead']),
          at: timeText.optional().meta({ description: 'When it was entered, the last time' }),
          generation: count.optional().meta({ description: 'Of the bundle that was current from then on' }),
        }),
      )
      .meta({ description: 'The states that it was in, the one that it is in, and those that are to come' }),
    keyType: z.string().optional().meta({ description: 'Of the new authority, where it was asked for' }),
    deadline: timeText.optional().meta({ description: 'Of an emergency: when stragglers are cut off' }),
    preference: z.enum(['availability-first', 'security-first']).optional(),
    reason: z.string(),
    startedBy: z.string(),
    startedAt: timeText,
    stateSince: timeText,
    finishedAt: timeText.optional(),
  })
  .meta({ id: 'Rotation', description: "One replacement of a ring's authority, step by step" });

export const explanationSchema = z
  .object({
    rotation: rotationSchema,
    checkedAt: timeText.meta({ description: 'The time of the service when this was looked at' }),
    standstill: z.string().optional().meta({ description: 'Why nothing moves although a gate may pass' }),
    ways: z
      .array(
        z.object({
          name: z.string(),
          to: stateSchema,
          by: z.enum(['machine', 'operator']),
          gate: gateSchema,
        }),
      )
      .meta({ description: 'Every way on from here' }),
    verifiers: z.object({
      total: count,
      current: count.meta({ description: 'Have loaded the present bundle' }),
      joiners: count.meta({ description: 'Joined without saying which bundle they hold' }),
      silent: count,
    }),
    leaves: z
      .object({ old: count, new: count })
      .meta({ description: 'Certificates in use, by the old and the new authority; counted up to 10000' }),
    pending: z
      .array(z.object({ kind: z.string(), attempts: count, problem: z.string().optional() }))
      .meta({ description: 'What earlier steps have left to do and is not done' }),
    opensAt: timeText.optional(),
    estimate: z
      .object({ usual: timeText, latest: timeText.optional() })
      .optional()
      .meta({ description: 'When it is over; without `latest` that is up to people' }),
    events: z.array(eventSchema).meta({ description: 'Its history, oldest first; at most 500' }),
  })
  .meta({ id: 'RotationExplanation', description: 'Where a rotation is, what it waits for, and what would help' });

export type RotationView = z.output<typeof rotationSchema>;
export type ExplanationView = z.output<typeof explanationSchema>;

export function rotationView(rotation: Rotation): RotationView {
  const { id, ring, kind, state, version, paused, back, policy, crossSigned, oldKey, newKey } = rotation;
  const { keyType, deadline, preference } = rotation.options;
  return defined({
    ...{ id, ring, kind, state, version, paused, back, policy, crossSigned, oldKey, newKey },
    advanced: rotation.advanced,
    disagreement: rotation.disagreement,
    path: pathOf(rotation),
    ...{ keyType, deadline: optionalTime(deadline), preference },
    ...{ reason: rotation.reason, startedBy: rotation.startedBy, startedAt: timeOf(rotation.startedAt) },
    stateSince: timeOf(rotation.stateSince),
    finishedAt: optionalTime(rotation.finishedAt),
  });
}

function pathOf(rotation: Rotation): RotationView['path'] {
  const entered = (state: RotationState) => rotation.marks[state];
  const done = rotationStates
    .filter((state) => state !== rotation.state && entered(state) !== undefined)
    .sort((a, b) => (entered(a)?.at ?? 0) - (entered(b)?.at ?? 0));
  const passed = (state: RotationState, phase: 'done' | 'now') => {
    const mark = entered(state);
    return defined({ state, phase, at: optionalTime(mark?.at), generation: mark?.generation });
  };
  const ahead = pathFrom(rotation).slice(1);
  return [
    ...done.map((state) => passed(state, 'done')),
    passed(rotation.state, 'now'),
    ...ahead.map(({ state }) => ({ state, phase: 'ahead' as const })),
  ];
}

export function explanationView(
  explanation: Explanation,
  { now, finish }: { readonly now: number; readonly finish: Plan['finish'] | undefined },
): ExplanationView {
  const { rotation, standstill, ways, verifiers, oldLeaves, newLeaves, pending, opensAt, events } = explanation;
  return defined({
    rotation: rotationView(rotation),
    checkedAt: timeOf(now),
    standstill,
    ways: ways.map(({ name, to, by, gate }) => ({ name, to, by, gate: gateView(gate) })),
    verifiers: { ...verifiers },
    leaves: { old: oldLeaves, new: newLeaves },
    pending: pending.map((one) => defined({ ...one })),
    opensAt: optionalTime(opensAt),
    estimate: finish && defined({ usual: timeOf(finish.usual), latest: optionalTime(finish.worst) }),
    events: events.map(eventView),
  });
}
