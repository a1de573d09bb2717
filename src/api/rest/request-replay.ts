import { z } from 'zod';

import { durationSchema } from '../../config/duration.js';
import { policyFrom } from '../../config/policy.js';
import type { Context } from '../../context.js';
import type { Replay, ReplayChange } from '../../csr/replay.js';
import type { Verdict } from '../../csr/replay-verdict.js';
import type { RestApp } from './app.js';
import { ruleSchema } from './request-decisions.js';
import { defined, json, problems, timeOf, timeText } from './schemas.js';

const dayMs = 86_400_000;

const bodySchema = z
  .strictObject({
    since: durationSchema.optional().meta({ description: 'How far to go back, such as `7d`, which is the default' }),
    facts: z
      .enum(['recorded', 'today'])
      .default('recorded')
      .meta({ description: 'Enrolment as it was when each request was decided, or as it is now' }),
    config: z
      .record(z.string(), z.unknown())
      .meta({ description: 'A configuration file as JSON; only what decides about requests is looked at' }),
  })
  .meta({ id: 'ReplayOrder', description: 'A policy to try on requests of the past' });

const outcomes = ['approve', 'deny', 'hold', 'fail', 'unserved'] as const;

const verdictSchema = z
  .object({
    outcome: z.enum(outcomes),
    reason: z.string(),
    message: z.string(),
    ring: z.string().optional().meta({ description: 'Of the certificate' }),
    lifetimeSeconds: z.number().int().optional().meta({ description: 'Of the certificate' }),
  })
  .meta({ id: 'ReplayVerdict', description: 'What one policy says' });

const changeSchema = z
  .object({
    request: z.string().meta({ description: 'Name of the last request that asked this' }),
    uid: z.string(),
    signerName: z.string(),
    requester: z.string(),
    createdAt: timeText,
    count: z.number().int().meta({ description: 'Requests that asked the same' }),
    state: z.enum(['pending', 'approved', 'denied', 'failed', 'issued']).meta({ description: 'What became of it' }),
    before: verdictSchema,
    after: verdictSchema,
    rules: z.array(z.object({ rule: z.string(), before: ruleSchema.optional(), after: ruleSchema.optional() })),
  })
  .meta({ id: 'ReplayChange', description: 'A question that the other policy answers differently' });

const tally = z.record(z.string(), z.number().int());

const replaySchema = z
  .object({
    since: timeText,
    facts: z.enum(['recorded', 'today']),
    requests: z.number().int().meta({ description: 'Requests that were looked at' }),
    questions: z.number().int().meta({ description: 'The same, where those that ask the same count once' }),
    changed: z.number().int().meta({ description: 'Requests that the other policy answers differently' }),
    factsOfToday: z
      .number()
      .int()
      .meta({ description: 'Requests for which facts of today stood in for unrecorded ones' }),
    truncated: z.boolean().meta({ description: 'Whether there were more than are looked at in one go' }),
    before: tally,
    after: tally,
    changes: z.array(changeSchema),
    omitted: z.number().int().meta({ description: 'Changes beyond those listed' }),
  })
  .meta({ id: 'Replay', description: 'What another policy would have said to requests of the past' });

export type ReplayView = z.output<typeof replaySchema>;

export function replayRoute(app: RestApp, { requests, clock }: Context): void {
  app.post(
    '/requests/replay',
    {
      config: { access: { verb: 'get', resource: 'replays' } },
      schema: {
        operationId: 'replayRequests',
        summary: 'Try another policy on requests of the past; changes nothing and signs nothing',
        tags: ['requests'],
        body: bodySchema,
        response: { 200: json('What would be different', replaySchema), ...problems },
      },
    },
    async ({ body }) => {
      const since = clock.now().getTime() - (body.since ?? 7 * dayMs);
      const replay = await requests.replay({ policy: policyFrom(body.config), since, facts: body.facts });
      return { since: timeOf(since), facts: body.facts, ...viewOf(replay) };
    },
  );
}

function viewOf({ ofToday, changes, before, after, ...replay }: Replay): Omit<ReplayView, 'since' | 'facts'> {
  const tallies = { before: defined(before), after: defined(after) };
  return { ...replay, ...tallies, factsOfToday: ofToday, changes: changes.map(changeView) };
}

function changeView({ question, count, before, after, rules }: ReplayChange): ReplayView['changes'][number] {
  const { name, uid, spec, createdAt, state } = question;
  return {
    ...{ request: name, uid, count, state, signerName: spec.signerName, requester: spec.username ?? '' },
    createdAt: timeOf(createdAt),
    before: verdictView(before),
    after: verdictView(after),
    rules: rules.map((change) => defined({ ...change })),
  };
}

function verdictView({ rules: _rules, ...verdict }: Verdict): z.output<typeof verdictSchema> {
  return verdict;
}
