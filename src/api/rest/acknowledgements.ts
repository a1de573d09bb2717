import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Heartbeat, Reported } from '../../fleet/consumers/report-types.js';
import type { BlastRadius } from '../../fleet/consumers/types.js';
import type { RestApp } from './app.js';
import { consumerParams, consumerSchema, consumerView } from './consumers.js';
import { acknowledgementOf, shown } from './reverse-handshake.js';
import { defined, json, problems, text, timeOf, timeText } from './schemas.js';

const time = z.iso.datetime({ offset: true });
const generation = z.number().int().min(1).max(2_147_483_647);
const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits')
  .meta({ description: 'Of the bundle, as `/pki/v1/rings/{ring}/bundle` gives it' });
const claim = { generation, digest };

const processSchema = z.strictObject({
  id: text(128).meta({ description: 'Another one for each run of the program' }),
  startedAt: time.meta({ description: 'By the clock of its machine' }),
});

const heartbeatSchema = z
  .strictObject({
    process: processSchema,
    reportedAt: time.meta({ description: 'By the clock of its machine: tells a later report from an earlier one' }),
    leaseSeconds: z.number().int().min(1).max(2_592_000).optional(),
    software: text(128, 0).optional(),
    algorithms: z.array(text(63)).max(64).optional(),
    rings: z
      .array(
        z.strictObject({
          ring: text(63),
          delivered: z.strictObject({ ...claim, at: time }).optional(),
          loaded: z.strictObject(claim).optional(),
          clean: z.boolean().optional().meta({
            description: 'False where it is known only from a handshake whose chain had a cross-certificate',
          }),
          streamsSince: time.optional().meta({
            description: 'Start of its oldest connection under this ring; the time of the report where it has none',
          }),
        }),
      )
      .max(32),
  })
  .meta({ id: 'ConsumerHeartbeat', description: 'What a consumer says of itself' });

const acknowledgementSchema = z
  .strictObject({
    ring: text(63),
    ...claim,
    evidence: z.enum(['self-report', 'restart', 'reverse-handshake']).default('self-report').meta({
      description:
        '`reverse-handshake`: over a connection to `candidate.<ring>.rotunda.internal`, whose certificate the caller has verified with what its process has loaded. Probes are gathered by the service, and cannot be claimed',
    }),
    process: processSchema.optional().meta({ description: 'Needed of the consumer itself' }),
    reportedAt: time.optional().meta({ description: 'Needed of the consumer itself' }),
    deliveredAt: time.optional().meta({ description: 'For `restart`: when the file was there' }),
    startedAt: time.optional().meta({ description: 'For `restart`, where its process is not known' }),
    clean: z.boolean().optional(),
  })
  .meta({ id: 'ConsumerAcknowledgement', description: 'That a consumer has loaded a bundle' });

const reportedSchema = z
  .object({
    outcome: z.enum(['applied', 'unchanged', 'late', 'other-process']).meta({
      description: '`late` and `other-process` changed nothing: a newer report, or a newer process, is known',
    }),
    consumer: consumerSchema,
  })
  .meta({ id: 'ConsumerReport', description: 'What became of a report' });

const radiusSchema = z
  .object({
    consumer: z.string(),
    leaves: z.array(
      z.object({
        serial: z.string(),
        ring: z.string(),
        profile: z.string(),
        commonName: z.string(),
        notAfter: timeText,
      }),
    ),
    moreLeaves: z.boolean(),
    verifies: z.array(z.string()),
    presents: z.array(z.string()),
    breaks: z.array(z.string()).meta({ description: 'Sentences' }),
    quarantined: z.boolean(),
  })
  .meta({ id: 'BlastRadius', description: 'What leaving a consumer behind breaks' });

const tags = ['consumers'];

export type BlastRadiusView = z.output<typeof radiusSchema>;
export type AcknowledgementBody = z.output<typeof acknowledgementSchema>;
export type ReportedView = z.output<typeof reportedSchema>;

export function acknowledgementRoutes(app: RestApp, context: Context): void {
  reportRoutes(app, context);
  quarantineRoutes(app, context);
}

function reportRoutes(app: RestApp, { consumers, clock }: Context): void {
  const access = (subresource: string) => ({
    access: { verb: 'create', resource: 'consumers', subresource, param: 'consumer' },
  });
  const response = { 200: json('What became of it', reportedSchema), ...problems };
  app.post(
    '/consumers/:consumer/heartbeat',
    {
      config: access('heartbeat'),
      schema: {
        operationId: 'reportConsumer',
        summary: 'Say that a consumer is there, and what it has loaded',
        tags,
        params: consumerParams,
        body: heartbeatSchema,
        response,
      },
    },
    async (request) =>
      viewOf(await consumers.heartbeat(request.params.consumer, heartbeatOf(request.body), request.identity)),
  );
  app.post(
    '/consumers/:consumer/acknowledgements',
    {
      config: access('acknowledgements'),
      schema: {
        operationId: 'acknowledgeBundle',
        summary: 'Say that a consumer has loaded a bundle',
        tags,
        params: consumerParams,
        body: acknowledgementSchema,
        response,
      },
    },
    async (request) => {
      const { evidence } = request.body;
      if (evidence === 'reverse-handshake') return viewOf(await shown({ consumers, clock }, request));
      const said = { ...acknowledgementOf(request.params.consumer, request.body), evidence };
      return viewOf(await consumers.acknowledge(said, request.identity));
    },
  );
}

function quarantineRoutes(app: RestApp, { consumers }: Context): void {
  const access = (subresource: string) => ({
    access: { verb: 'update', resource: 'consumers', subresource, param: 'consumer' },
  });
  app.post(
    '/consumers/:consumer/quarantine',
    {
      config: access('quarantine'),
      schema: {
        operationId: 'quarantineConsumer',
        summary: 'Leave a consumer behind: gates do not wait for it, and it gets no renewal',
        tags,
        params: consumerParams,
        body: z
          .strictObject({
            reason: text(1024),
            dryRun: z.boolean().default(false).meta({ description: 'Show what it breaks, and change nothing' }),
          })
          .meta({ id: 'ConsumerQuarantine', description: 'Why a consumer is left behind' }),
        response: { 200: json('What it breaks', radiusSchema), ...problems },
      },
    },
    async (request) => {
      const options = { ...request.body, actor: request.identity };
      return radiusView(await consumers.quarantine(request.params.consumer, options));
    },
  );
  app.post(
    '/consumers/:consumer/unquarantine',
    {
      config: access('unquarantine'),
      schema: {
        operationId: 'unquarantineConsumer',
        summary: 'Wait for a consumer again, once it has shown that it holds the current bundles',
        tags,
        params: consumerParams,
        body: z.strictObject({}).meta({ id: 'ConsumerUnquarantine', description: 'Nothing to say' }),
        response: { 200: json('The consumer', consumerSchema), ...problems },
      },
    },
    async (request) => consumerView(await consumers.unquarantine(request.params.consumer, request.identity)),
  );
}

function heartbeatOf(body: z.output<typeof heartbeatSchema>): Heartbeat {
  const { process, reportedAt, leaseSeconds, rings, ...words } = body;
  return {
    ...defined(words),
    process: { id: process.id, startedAt: Date.parse(process.startedAt) },
    reportedAt: Date.parse(reportedAt),
    ...(leaseSeconds !== undefined && { leaseMs: leaseSeconds * 1000 }),
    rings: rings.map(({ delivered, streamsSince, ...ring }) => ({
      ...defined(ring),
      ...(delivered && { delivered: { ...delivered, at: Date.parse(delivered.at) } }),
      ...(streamsSince !== undefined && { streamsSince: Date.parse(streamsSince) }),
    })),
  };
}

function viewOf({ outcome, consumer }: Reported): ReportedView {
  return { outcome, consumer: consumerView(consumer) };
}

function radiusView(radius: BlastRadius): BlastRadiusView {
  const { leaves, verifies, presents, breaks, ...rest } = radius;
  return {
    ...rest,
    leaves: leaves.map((leaf) => ({ ...leaf, notAfter: timeOf(leaf.notAfter) })),
    verifies: [...verifies],
    presents: [...presents],
    breaks: [...breaks],
  };
}
