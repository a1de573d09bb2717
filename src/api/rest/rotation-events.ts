import { z } from 'zod';

import type { Context } from '../../context.js';
import { listRotationEvents } from '../../store/queries/rotations.js';
import { createWatchPlaces, type WatchPlaces } from '../public/watch-places.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { eventSchema, eventView } from './rotation-history.js';
import { findRotation, rotationParams } from './rotation-names.js';
import { createRotationStreams } from './rotation-stream.js';
import { json, pageOf, pageQuery, problems } from './schemas.js';

/** Far more than a rotation that turns back several times has. */
const mostEvents = 10_000;

export function rotationEventRoutes(app: RestApp, context: Context): void {
  pageRoute(app, context);
  streamRoute(app, context);
}

function pageRoute(app: RestApp, context: Context): void {
  app.get(
    '/rotations/:rotation/events',
    {
      config: { access: { verb: 'get', resource: 'rotations', param: 'rotation' } },
      schema: {
        operationId: 'listRotationEvents',
        summary: 'List what happened to a rotation, oldest first',
        tags: ['rotations'],
        params: rotationParams,
        querystring: z.strictObject(pageQuery),
        response: { 200: json('Its history', pageOf(eventSchema)), ...problems },
      },
    },
    async (request) => {
      const { id } = await findRotation(context, request.params.rotation);
      const rows = await listRotationEvents(context.store.db, id, mostEvents);
      const { items, ...more } = paginate(rows, ({ sequence }) => String(sequence).padStart(10, '0'), request.query);
      return {
        ...more,
        items: items.map(({ from_state: from, to_state: to, detail, ...row }) =>
          eventView({ ...row, from, to, detail: JSON.parse(detail) as Record<string, unknown> }),
        ),
      };
    },
  );
}

const streamAnswer = {
  description:
    'Events `rotation` with the data `{"id", "ring", "state"}`: those that run first, then one for each step and each order of a person. The id of an event says where to go on',
  content: { 'text/event-stream': { schema: z.string() } },
};

function streamRoute(app: RestApp, context: Context): void {
  let places: WatchPlaces | undefined;
  const streams = createRotationStreams(context);
  app.addHook('preClose', () => streams.drain());
  app.get(
    '/rotations/events',
    {
      // A stream cannot be asked for its head alone.
      exposeHeadRoute: false,
      config: { access: { verb: 'watch', resource: 'rotations' } },
      schema: {
        operationId: 'watchRotations',
        summary: 'Follow all rotations by server-sent events',
        tags: ['rotations'],
        headers: z.object({
          'last-event-id': z.string().optional().meta({
            description:
              'The last event that the caller has: what came since is sent, or the present state where that is not known any more',
          }),
        }),
        querystring: z.strictObject({}),
        response: { 200: streamAnswer, ...problems },
      },
    },
    (request, reply) => {
      const release = (places ??= createWatchPlaces(context.metrics, 'rotations')).enter(request.identity, request.ip);
      const lastEventId = request.headers['last-event-id'];
      reply.hijack();
      void streams.open({
        response: reply.raw,
        lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
        release,
      });
    },
  );
}
