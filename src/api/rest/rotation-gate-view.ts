import { z } from 'zod';

import type { Blocker, Gate } from '../../rotation/types.js';
import { defined, optionalTime, timeText } from './schemas.js';

const count = z.number().int();

export const blockerSchema = z
  .object({
    subject: z.string().meta({ description: 'A consumer, class, certificate, copy or token; `time`, `operator`' }),
    kind: z.enum(['consumer', 'class', 'certificate', 'copy', 'pin', 'probe', 'time', 'operator', 'authority']),
    requirement: z.string(),
    lastEvidence: z.string().meta({ description: 'What is known about it' }),
    since: timeText.optional(),
    remedies: z.array(z.string()),
  })
  .meta({ id: 'Blocker', description: 'One thing that keeps a gate shut' });

export const gateSchema = z
  .object({
    name: z.enum([
      ...([
        'start',
        'trust',
        'canary',
        'drain',
        'approval',
        'distrust',
        'cooling',
        'spread',
        'cut',
        'recover',
      ] as const),
    ]),
    passes: z.boolean(),
    satisfied: count.meta({ description: 'Of what has to hold: how much does' }),
    required: count,
    blocked: count.meta({ description: 'How much does not; the first of it are in `blockers`' }),
    blockers: z.array(blockerSchema),
    opensAt: timeText.optional().meta({ description: 'When it opens by itself, where time alone is missing' }),
  })
  .meta({ id: 'Gate', description: 'What has to hold for a state to be left' });

export type GateView = z.output<typeof gateSchema>;
export type BlockerView = z.output<typeof blockerSchema>;

export function gateView({ name, passes, satisfied, required, blocked, blockers, opensAt }: Gate): GateView {
  return defined({
    ...{ name, passes, satisfied, required, blocked },
    blockers: blockers.map(blockerView),
    opensAt: optionalTime(opensAt),
  });
}

export function blockerView({ subject, kind, requirement, lastEvidence, since, remedies }: Blocker): BlockerView {
  return defined({
    ...{ subject, kind, requirement, lastEvidence },
    since: optionalTime(since),
    remedies: [...remedies],
  });
}
