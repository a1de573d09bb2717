import { z } from 'zod';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { blastRadius } from '../../rotation/outlook/blast-radius.js';
import { imagine, planOfNew } from '../../rotation/outlook/plans.js';
import { renderRadius } from '../../rotation/outlook/radius-text.js';
import { renderPlan } from '../../rotation/planning/render.js';
import { refuseSecond, type StartRequest } from '../../rotation/start.js';
import { takeoverOf } from '../../rotation/takeover.js';
import type { Rotation } from '../../rotation/types.js';
import { preferredType } from '../public/accept.js';
import { planSchema, planView, radiusSchema, radiusView } from './rotation-plan-view.js';
import { defined } from './schemas.js';

export const dryRunSchema = z
  .object({
    plan: planSchema,
    blastRadius: radiusSchema.optional().meta({ description: 'Of an emergency' }),
  })
  .meta({ id: 'RotationDryRun', description: 'What starting a rotation would do' });

export type DryRunView = z.output<typeof dryRunSchema>;

export const plainType = 'text/plain';

/** A response that is JSON, or text for a terminal when asked for by Accept. */
export function jsonOrText<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema }, [plainType]: { schema: z.string() } } };
}

/** Throws RotundaError 'not-acceptable'. */
export function negotiatePlan(accept: string | undefined): 'json' | 'text' {
  const type = preferredType(accept, ['application/json', plainType] as const);
  if (type !== undefined) return type === plainType ? 'text' : 'json';
  throw new RotundaError('not-acceptable', 'the answer can be JSON or text, and neither is accepted', {
    hint: `ask for application/json or ${plainType}`,
  });
}

type DryRun = { readonly view: DryRunView; text(): string };

/** What would be done, and to whom. Nothing is made or written. Throws as starting does: 'conflict', 'not-found'. */
export async function dryRun(context: Context, wanted: StartRequest): Promise<DryRun> {
  const emergency = wanted.kind === 'emergency';
  if (!emergency) await refuseSecond(context, wanted.ring);
  const begun = await imagine(context, wanted);
  const running = (await context.rotations.running()).find(({ ring }) => ring === wanted.ring);
  const rotation = emergency ? await declared(context, begun, running, wanted.compromised) : begun;
  const radius = emergency ? await blastRadius(context, rotation, running) : undefined;
  const plan = await planOfNew(context, rotation);
  return {
    view: defined({ plan: planView(plan), blastRadius: radius && radiusView(radius, plan.now) }),
    text: () => `${radius === undefined ? '' : `${renderRadius(radius, plan.now)}\n`}${renderPlan(plan)}`,
  };
}

/** An emergency as it would begin: with the authorities of a running rotation, where that is turned into it. */
async function declared(
  { rotations }: Context,
  begun: Rotation,
  running: Rotation | undefined,
  compromised: string | undefined,
): Promise<Rotation> {
  const { ring } = await rotations.facts(begun);
  const takeover = takeoverOf(running, ring, compromised);
  if (takeover.kind === 'fresh' || running === undefined) return begun;
  const { state, oldKey, newKey } = takeover;
  return { ...begun, state, oldKey, newKey, marks: oldKey === running.oldKey ? running.marks : {} };
}
