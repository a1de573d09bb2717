import { z } from 'zod';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { estimate, planOf } from '../../rotation/outlook/plans.js';
import { renderPlan } from '../../rotation/planning/render.js';
import { requireAccess } from './access.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { rotationActionRoutes } from './rotation-actions.js';
import { requireConfirmation, rotationDraftSchema, startRequestOf } from './rotation-draft.js';
import { dryRun, dryRunSchema, jsonOrText, negotiatePlan, plainType } from './rotation-dry-run.js';
import { rotationEventRoutes } from './rotation-events.js';
import { findRotation, rotationParams } from './rotation-names.js';
import { planSchema, planView } from './rotation-plan-view.js';
import { explanationSchema, explanationView, rotationSchema, rotationView } from './rotation-views.js';
import { json, nameText, pageOf, pageQuery, problems } from './schemas.js';

/** A ring has a rotation a year. */
const mostListed = 10_000;

const listQuery = z.strictObject({
  ...pageQuery,
  ring: nameText.optional(),
  running: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Only those that are not over, or only those that are' }),
});

export function rotationRoutes(app: RestApp, context: Context): void {
  listRoute(app, context);
  startRoute(app, context);
  rotationEventRoutes(app, context);
  readRoutes(app, context);
  planRoute(app, context);
  rotationActionRoutes(app, context);
}

function listRoute(app: RestApp, { rotations }: Context): void {
  app.get(
    '/rotations',
    {
      config: { access: { verb: 'list', resource: 'rotations' } },
      schema: {
        operationId: 'listRotations',
        summary: 'List rotations, newest first',
        tags: ['rotations'],
        querystring: listQuery,
        response: { 200: json('The rotations', pageOf(rotationSchema)), ...problems },
      },
    },
    async (request) => {
      const { ring, running, ...page } = request.query;
      const all = await rotations.list({ ring, limit: mostListed });
      const wanted =
        running === undefined
          ? all
          : all.filter(({ finishedAt }) => (finishedAt === undefined) === (running === 'true'));
      const { items, ...more } = paginate(wanted, ({ startedAt, id }) => `${newestFirst(startedAt)}/${id}`, page);
      return { ...more, items: items.map(rotationView) };
    },
  );
}

/** A text that sorts later times first. */
function newestFirst(milliseconds: number): string {
  return String(Number.MAX_SAFE_INTEGER - milliseconds).padStart(16, '0');
}

function startRoute(app: RestApp, context: Context): void {
  app.post(
    '/rotations',
    {
      // Looking ahead changes nothing and is for whoever may read; starting is checked below.
      config: { access: { verb: 'list', resource: 'rotations' } },
      schema: {
        operationId: 'startRotation',
        summary: "Replace a ring's authority, or with `dryRun` see what that would do",
        description:
          'A planned rotation makes the next authority and publishes nothing yet. An emergency freezes the ring at once, and turns a planned rotation that runs into its own. Starting is for administrators.',
        tags: ['rotations'],
        body: rotationDraftSchema,
        response: {
          200: jsonOrText('`dryRun`: the plan, and for an emergency who would be cut off', dryRunSchema),
          201: json('Started', rotationSchema),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const draft = request.body;
      if (draft.dryRun === true) {
        const format = negotiatePlan(request.headers.accept);
        const answer = await dryRun(context, await startRequestOf(context, draft));
        if (format === 'json') return reply.code(200).send(answer.view);
        return reply.code(200).type(plainType).send(answer.text());
      }
      requireAccess(context.authorize, request.identity, {
        verb: 'create',
        group: 'rotunda.dev',
        resource: 'rotations',
      });
      const wanted = await startRequestOf(context, draft);
      requireConfirmation(draft, wanted);
      const rotation = await context.rotations.start(wanted, request.identity.username);
      return reply.code(201).header('location', `/pki/v1/rotations/${rotation.id}`).send(rotationView(rotation));
    },
  );
}

function readRoutes(app: RestApp, context: Context): void {
  const { rotations, clock } = context;
  app.get(
    '/rotations/:rotation',
    {
      config: { access: { verb: 'get', resource: 'rotations', param: 'rotation' } },
      schema: {
        operationId: 'getRotation',
        summary: 'Get one rotation',
        tags: ['rotations'],
        params: rotationParams,
        response: { 200: json('The rotation', rotationSchema), ...problems },
      },
    },
    async (request) => rotationView(await findRotation(context, request.params.rotation)),
  );
  app.get(
    '/rotations/:rotation/explanation',
    {
      config: { access: { verb: 'get', resource: 'rotations', param: 'rotation' } },
      schema: {
        operationId: 'explainRotation',
        summary: 'See what a rotation waits for, who is missing and what would help',
        tags: ['rotations'],
        params: rotationParams,
        response: { 200: json('Where it is', explanationSchema), ...problems },
      },
    },
    async (request) => {
      const { id } = await findRotation(context, request.params.rotation);
      const explanation = await rotations.explain(id);
      const running = explanation.rotation.finishedAt === undefined;
      const finish = running ? await estimate(context, explanation.rotation) : undefined;
      return explanationView(explanation, { now: clock.now().getTime(), finish });
    },
  );
}

function planRoute(app: RestApp, context: Context): void {
  app.get(
    '/rotations/:rotation/plan',
    {
      config: { access: { verb: 'get', resource: 'rotations', param: 'rotation' } },
      schema: {
        operationId: 'getRotationPlan',
        summary: 'See what a rotation still has to do, or what rolling it back would; as text by Accept',
        tags: ['rotations'],
        params: rotationParams,
        querystring: z.strictObject({
          rollback: z.enum(['true', 'false']).optional().meta({ description: 'The way back instead of the way on' }),
        }),
        response: { 200: jsonOrText('The plan', planSchema), ...problems },
      },
    },
    async (request, reply) => {
      const format = negotiatePlan(request.headers.accept);
      const rotation = await findRotation(context, request.params.rotation);
      const plan = await planOf(context, rotation, request.query.rollback === 'true');
      if (plan === undefined)
        throw new RotundaError('conflict', `the rotation ${rotation.id} cannot be rolled back from ${rotation.state}`);
      return format === 'json' ? reply.send(planView(plan)) : reply.type(plainType).send(renderPlan(plan));
    },
  );
}
