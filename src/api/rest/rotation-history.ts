import { z } from 'zod';

import type { RotationEvent } from '../../rotation/explain.js';
import { timeOf, timeText } from './schemas.js';

export const eventSchema = z
  .object({
    sequence: z.number().int(),
    at: timeText,
    kind: z.enum(['transition', 'operator', 'effect', 'disagreement']),
    actor: z.string(),
    from: z.string(),
    to: z.string(),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'RotationEvent', description: 'Something that happened to a rotation' });

export type RotationEventView = z.output<typeof eventSchema>;

export function eventView({ sequence, at, kind, actor, from, to, detail }: RotationEvent): RotationEventView {
  return { sequence, at: timeOf(at), kind, actor, from, to, detail: { ...detail } };
}
