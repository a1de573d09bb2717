import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import type { Context } from '../../context.js';
import { parseDuration } from '../../config/duration.js';
import { bundleRepresentation } from '../public/bundle.js';
import { allEvents, type BundleEvents, ringEvents } from '../public/bundle-events.js';
import { pollBundle } from '../public/bundle-poll.js';
import { streamBundles } from '../public/bundle-stream.js';
import { type BundleWatchers, createBundleWatchers } from '../public/bundle-watchers.js';
import { createWatchPlaces, type WatchPlaces } from '../public/watch-places.js';
import type { RestApp } from './app.js';
import { nameText, problems } from './schemas.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The answer came when there was something to tell, which says nothing about how long answers take. */
    waited: boolean;
  }
}

const minuteMs = 60_000;
const standardWaitMs = minuteMs;
const longestWaitMs = 5 * minuteMs;

/** The largest generation that the database holds. */
export const largestGeneration = 2_147_483_647;

const wait = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= longestWaitMs) return ms;
  context.addIssue({ code: 'custom', message: 'must be a duration of at most 5m, such as 30s' });
  return z.NEVER;
});

export const waitQuery = z
  .strictObject({
    after: z.coerce.number().int().min(0).max(largestGeneration).optional().meta({
      description: 'The generation that the caller has: the answer comes when there is a higher one',
    }),
    wait: wait.optional().meta({ description: 'How long to wait for that: at most `5m`, `60s` when left out' }),
  })
  .refine(({ after, wait: given }) => after !== undefined || given === undefined, {
    path: ['after'],
    message: 'is needed to wait: the generation that the caller has',
  });

/** What waits for bundles in this process. Made when somebody first does. */
export type BundleWaiting = {
  /** Answers a long poll, past the framework. Throws 'not-found', 'too-many-requests', 'not-acceptable'. */
  poll(
    request: FastifyRequest,
    reply: FastifyReply,
    wanted: { readonly ring: string; readonly after: number; readonly waitMs: number | undefined },
  ): void;
};

type Parts = {
  readonly watchers: BundleWatchers;
  readonly all: BundleEvents;
  readonly rings: Map<string, BundleEvents>;
};

/** Routes of streams, and what the others wait with; ends it all when the server stops. */
export function bundleWaiting(app: RestApp, context: Context): BundleWaiting {
  let made: Parts | undefined;
  let places: WatchPlaces | undefined;
  const parts = (): Parts =>
    (made ??= { watchers: createBundleWatchers(context.ca), all: allEvents(context.ca), rings: new Map() });
  const enter = ({ identity, ip }: FastifyRequest): (() => void) =>
    (places ??= createWatchPlaces(context.metrics)).enter(identity, ip);
  app.decorateRequest('waited', false);
  app.addHook('preClose', async () => {
    await made?.watchers.drain();
  });
  streamRoutes(app, (request, reply, ring) => {
    const { watchers, all, rings } = parts();
    const events = ring === undefined ? all : (rings.get(ring) ?? ringEvents(context.ca, ring));
    if (ring !== undefined) rings.set(ring, events);
    const release = enter(request);
    reply.hijack();
    request.waited = true;
    const slow = (): void => {
      request.log.warn(
        { username: request.identity.username, address: request.ip },
        'a reader of bundle events does not read and is cut off',
      );
    };
    const lastEventId = request.headers['last-event-id'];
    streamBundles(watchers, events, {
      ring,
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      response: reply.raw,
      slow,
      release,
    });
  });
  return {
    poll: (request, reply, { ring, after, waitMs = standardWaitMs }) => {
      const { accept, 'if-none-match': ifNoneMatch } = request.headers;
      // Refuses what cannot be answered while the framework still answers.
      bundleRepresentation(context.ca.bundle(ring), accept);
      const release = enter(request);
      reply.hijack();
      request.waited = true;
      pollBundle(parts().watchers, context.ca, {
        ring,
        after,
        waitMs,
        accept,
        ifNoneMatch,
        response: reply.raw,
        release,
      });
    },
  };
}

type OpenStream = (request: FastifyRequest, reply: FastifyReply, ring: string | undefined) => void;

const eventsAnswer = {
  description:
    'Events `bundle` with the data `{"ring", "generation", "digest"}`, the present one first, then each change',
  content: { 'text/event-stream': { schema: z.string() } },
};

const resumeHeaders = z.object({
  'last-event-id': z
    .string()
    .optional()
    .meta({ description: 'The last event that the caller has: only what it does not know yet is sent' }),
});

/** A stream cannot be asked for its head alone. */
const common = { exposeHeadRoute: false } as const;

function streamRoutes(app: RestApp, open: OpenStream): void {
  app.get(
    '/rings/:ring/bundle/events',
    {
      ...common,
      config: { access: { verb: 'watch', resource: 'rings', subresource: 'bundle', param: 'ring' } },
      schema: {
        operationId: 'watchBundle',
        summary: 'Follow the bundle of a ring by server-sent events; the id of an event is the generation',
        tags: ['bundles'],
        security: [{}],
        params: z.strictObject({ ring: nameText }),
        headers: resumeHeaders,
        querystring: z.strictObject({}),
        response: { 200: eventsAnswer, ...problems },
      },
    },
    (request, reply) => {
      open(request, reply, request.params.ring);
    },
  );
  app.get(
    '/bundles/events',
    {
      ...common,
      config: { access: { verb: 'watch', resource: 'bundles' } },
      schema: {
        operationId: 'watchBundles',
        summary: 'Follow the bundles of all rings by server-sent events',
        tags: ['bundles'],
        security: [{}],
        headers: resumeHeaders,
        querystring: z.strictObject({}),
        response: { 200: eventsAnswer, ...problems },
      },
    },
    (request, reply) => {
      open(request, reply, undefined);
    },
  );
}
