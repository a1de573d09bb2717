import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Attestation } from '../../fleet/consumers/types.js';
import type { RestApp } from './app.js';
import { consumerName } from './consumers.js';
import { paginate } from './page.js';
import { defined, json, optionalTime, pageOf, pageQuery, problems, text, timeOf, timeText } from './schemas.js';

const statement = z.enum(['absent', 'loaded', 'streams-ended']).meta({
  description:
    '`absent`: there is none of the class. `loaded`: they have loaded the generation. `streams-ended`: none of their connections is older than this',
});
const state = z.enum(['live', 'expired', 'revoked']);

const attestationSchema = z
  .object({
    id: z.string(),
    ring: z.string(),
    class: z.string().optional(),
    consumer: z.string().optional(),
    statement,
    generation: z.number().int().optional(),
    by: z.string().meta({ description: 'Who answers for it' }),
    reason: z.string(),
    createdAt: timeText,
    expiresAt: timeText,
    revokedAt: timeText.optional(),
    state,
  })
  .meta({ id: 'Attestation', description: 'What a person says in place of evidence, by name and until a day' });

const draftSchema = z
  .strictObject({
    ring: text(63),
    class: text(63).optional().meta({ description: 'A class that verifies certificates of the ring' }),
    consumer: consumerName.optional().meta({ description: 'Instead of a class: one consumer' }),
    statement,
    generation: z.number().int().min(1).max(2_147_483_647).optional().meta({ description: 'For `loaded`' }),
    ttlSeconds: z
      .number()
      .int()
      .min(0)
      .max(100_000_000)
      .default(2_592_000)
      .meta({ description: 'From a minute to 365 days; 30 days when left out' }),
    reason: text(1024).meta({ description: 'What was looked at' }),
  })
  .meta({ id: 'AttestationDraft', description: 'A statement to make by name' });

const params = z.strictObject({ attestation: text(64) });
const listQuery = z.strictObject({ ...pageQuery, ring: text(63).optional(), state: state.optional() });
const tags = ['consumers'];

export type AttestationView = z.output<typeof attestationSchema>;

export function attestationRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
}

function collectionRoutes(app: RestApp, { consumers }: Context): void {
  app.get(
    '/attestations',
    {
      config: { access: { verb: 'list', resource: 'attestations' } },
      schema: {
        operationId: 'listAttestations',
        summary: 'List what people say in place of evidence',
        tags,
        querystring: listQuery,
        response: { 200: json('The attestations', pageOf(attestationSchema)), ...problems },
      },
    },
    async (request) => {
      const { ring, state: wanted, ...query } = request.query;
      const all = await consumers.attestations(ring === undefined ? {} : { ring });
      const shown = all.filter((one) => wanted === undefined || one.state === wanted);
      const page = paginate(shown, ({ id }) => id, query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.post(
    '/attestations',
    {
      config: { access: { verb: 'create', resource: 'attestations' } },
      schema: {
        operationId: 'createAttestation',
        summary: 'Answer by name for what cannot be seen',
        tags,
        body: draftSchema,
        response: { 201: json('Attested', attestationSchema), ...problems },
      },
    },
    async (request, reply) => {
      const { ttlSeconds, ...draft } = request.body;
      const made = await consumers.attest({ ...defined(draft), ttlMs: ttlSeconds * 1000 }, request.identity);
      return reply.code(201).header('location', `/pki/v1/attestations/${made.id}`).send(viewOf(made));
    },
  );
}

function objectRoutes(app: RestApp, { consumers }: Context): void {
  app.get(
    '/attestations/:attestation',
    {
      config: { access: { verb: 'get', resource: 'attestations', param: 'attestation' } },
      schema: {
        operationId: 'getAttestation',
        summary: 'Get one attestation',
        tags,
        params,
        response: { 200: json('The attestation', attestationSchema), ...problems },
      },
    },
    async (request) => viewOf(await consumers.attestation(request.params.attestation)),
  );
  app.delete(
    '/attestations/:attestation',
    {
      config: { access: { verb: 'delete', resource: 'attestations', param: 'attestation' } },
      schema: {
        operationId: 'revokeAttestation',
        summary: 'Take an attestation back; it stays in the list as revoked',
        tags,
        params,
        response: { 200: json('Revoked', attestationSchema), ...problems },
      },
    },
    async (request) => viewOf(await consumers.revokeAttestation(request.params.attestation, request.identity)),
  );
}

function viewOf(attestation: Attestation): AttestationView {
  const { createdAt, expiresAt, revokedAt, ...rest } = attestation;
  return defined({
    ...rest,
    createdAt: timeOf(createdAt),
    expiresAt: timeOf(expiresAt),
    revokedAt: optionalTime(revokedAt),
  });
}
