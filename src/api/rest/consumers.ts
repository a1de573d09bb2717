import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Consumer, ConsumerRing } from '../../fleet/consumers/types.js';
import type { RestApp } from './app.js';
import { defined, json, optionalTime, pageOf, pageQuery, problems, text, timeOf, timeText } from './schemas.js';

export const evidence = z.enum(['self-report', 'restart', 'canary-probe', 'reverse-handshake', 'in-process']);
const consumerState = z.enum(['live', 'silent', 'quarantined', 'gone']);

const ringSchema = z.object({
  ring: z.string(),
  verifies: z.boolean(),
  presents: z.boolean(),
  joiner: z.boolean().meta({
    description: 'Joined while the CA is replaced without saying which bundle it holds, and has shown nothing since',
  }),
  current: z.number().int().meta({ description: "The ring's current bundle generation" }),
  delivered: z.number().int().meta({ description: 'Generation that lies where it reads it; 0 when that is not known' }),
  deliveredAt: timeText.optional().meta({ description: 'By its own clock' }),
  loaded: z.number().int().meta({ description: 'Generation that its process has loaded; 0 when that is not known' }),
  evidence: evidence.optional().meta({ description: 'How that is known' }),
  minimum: z
    .enum(['attestation', ...evidence.options])
    .meta({ description: 'The least evidence that counts for its class here' }),
  counts: z.boolean().meta({ description: 'Whether its evidence is enough, and of its present process' }),
  clean: z.boolean().meta({ description: 'The evidence does not rest on a cross-certificate' }),
  acknowledgedAt: timeText.optional(),
  streamsSince: timeText.optional().meta({ description: 'Start of its oldest connection under this ring' }),
});

export const consumerSchema = z
  .object({
    name: z.string().meta({ description: '`<class>/<name>`' }),
    class: z.string(),
    node: z.string().optional().meta({ description: 'The machine that it runs on' }),
    source: z.enum(['api', 'agent', 'configuration', 'issued', 'enrolled', 'service']),
    state: consumerState.meta({
      description: '`silent`: its lease ran out. `gone`: its last credential has expired',
    }),
    process: z.object({ id: z.string(), startedAt: timeText }).optional(),
    lastSeenAt: timeText.optional(),
    leaseSeconds: z.number().optional().meta({ description: 'Without a word for as long it is silent' }),
    expiresAt: timeText.optional(),
    software: z.string(),
    endpoints: z.array(z.string()),
    algorithms: z.array(z.string()).meta({ description: 'Key types that it says it verifies' }),
    clockSkewSeconds: z.number().optional().meta({ description: 'Its clock minus this service’s' }),
    quarantine: z.object({ at: timeText, by: z.string(), reason: z.string() }).optional(),
    registeredAt: timeText,
    registeredBy: z.string(),
    rings: z.array(ringSchema),
  })
  .meta({ id: 'Consumer', description: 'A program that presents or verifies certificates, and what it has loaded' });

/** A consumer's name holds slashes: it is one percent-encoded segment of a path. */
export const consumerName = text(400);
export const consumerParams = z.strictObject({ consumer: consumerName });

const draftSchema = z
  .strictObject({
    name: consumerName.meta({ description: '`<class>/<name>`, or with `class` the name alone' }),
    class: text(63).optional(),
    node: text(253).optional().meta({ description: 'The machine that it runs on; its node may report for it' }),
    rings: z
      .array(z.strictObject({ ring: text(63), verifies: z.boolean().optional(), presents: z.boolean().optional() }))
      .max(32)
      .optional()
      .meta({
        description:
          'What it has to do with which ring; what its class does when left out. A role that is left out stays; in a ring that is new to it and none of its class, it verifies unless it is said to present',
      }),
    endpoints: z.array(text(300)).max(16).optional().meta({ description: '`HOST:PORT`, for probes' }),
    software: text(128, 0).optional().meta({ description: 'Program and version, such as `kubelet 1.36.3`' }),
    algorithms: z.array(text(63)).max(64).optional().meta({ description: 'Key types that it verifies' }),
    leaseSeconds: z.number().int().min(1).max(2_592_000).optional(),
    forgetProcess: z.boolean().optional().meta({
      description: 'Forget its present process and what is known of it, where its clock was far ahead',
    }),
  })
  .meta({ id: 'ConsumerDraft', description: 'A consumer to register, or to change: what is left out stays' });

const listQuery = z.strictObject({
  ...pageQuery,
  ring: text(63).optional(),
  class: text(63).optional(),
  state: consumerState.optional(),
});
const tags = ['consumers'];

export type ConsumerView = z.output<typeof consumerSchema>;

export function consumerRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
}

function collectionRoutes(app: RestApp, { consumers }: Context): void {
  app.get(
    '/consumers',
    {
      config: { access: { verb: 'list', resource: 'consumers' } },
      schema: {
        operationId: 'listConsumers',
        summary: 'List who presents and verifies certificates',
        tags,
        querystring: listQuery,
        response: { 200: json('The consumers', pageOf(consumerSchema)), ...problems },
      },
    },
    async (request) => {
      const page = await consumers.list(defined(request.query));
      return defined({ items: page.items.map(consumerView), continue: page.continue });
    },
  );
  app.post(
    '/consumers',
    {
      config: { access: { verb: 'create', resource: 'consumers' } },
      schema: {
        operationId: 'registerConsumer',
        summary: 'Register a consumer, or change one that is registered',
        tags,
        body: draftSchema,
        response: {
          200: json('Registered before, and now like this', consumerSchema),
          201: json('Registered', consumerSchema),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { leaseSeconds, rings, ...draft } = request.body;
      const more = { leaseMs: leaseSeconds && leaseSeconds * 1000, rings: rings?.map(defined) };
      const { consumer, created } = await consumers.register(defined({ ...draft, ...more }), request.identity);
      return reply
        .code(created ? 201 : 200)
        .header('location', `/pki/v1/consumers/${encodeURIComponent(consumer.name)}`)
        .send(consumerView(consumer));
    },
  );
}

function objectRoutes(app: RestApp, { consumers }: Context): void {
  app.get(
    '/consumers/:consumer',
    {
      config: { access: { verb: 'get', resource: 'consumers', param: 'consumer' } },
      schema: {
        operationId: 'getConsumer',
        summary: 'Get one consumer; its name is one percent-encoded segment',
        tags,
        params: consumerParams,
        response: { 200: json('The consumer', consumerSchema), ...problems },
      },
    },
    async (request) => consumerView(await consumers.get(request.params.consumer)),
  );
  app.delete(
    '/consumers/:consumer',
    {
      config: { access: { verb: 'delete', resource: 'consumers', param: 'consumer' } },
      schema: {
        operationId: 'deleteConsumer',
        summary: 'Forget a consumer that holds no live certificate',
        tags,
        params: consumerParams,
        response: { 204: z.undefined().describe('Forgotten'), ...problems },
      },
    },
    async (request, reply) => {
      await consumers.delete(request.params.consumer, request.identity);
      return reply.code(204).send();
    },
  );
}

export function consumerView(consumer: Consumer): ConsumerView {
  const { name, class: of, node, source, state, process, software, quarantine, registeredBy } = consumer;
  return defined({
    ...{ name, class: of, node, source, state, software, registeredBy },
    process: process && { id: process.id, startedAt: timeOf(process.startedAt) },
    lastSeenAt: optionalTime(consumer.lastSeenAt),
    leaseSeconds: consumer.leaseMs === undefined ? undefined : consumer.leaseMs / 1000,
    expiresAt: optionalTime(consumer.expiresAt),
    endpoints: [...consumer.endpoints],
    algorithms: [...consumer.algorithms],
    clockSkewSeconds: consumer.clockSkewMs === undefined ? undefined : consumer.clockSkewMs / 1000,
    quarantine: quarantine && { ...quarantine, at: timeOf(quarantine.at) },
    registeredAt: timeOf(consumer.registeredAt),
    rings: consumer.rings.map(ringView),
  });
}

function ringView(ring: ConsumerRing): ConsumerView['rings'][number] {
  const { deliveredAt, acknowledgedAt, streamsSince, process: _process, ...rest } = ring;
  return defined({
    ...rest,
    deliveredAt: optionalTime(deliveredAt),
    acknowledgedAt: optionalTime(acknowledgedAt),
    streamsSince: optionalTime(streamsSince),
  });
}
