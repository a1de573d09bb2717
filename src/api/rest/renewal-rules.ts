import type { FastifyReply } from 'fastify';
import { z } from 'zod';

import type { Context } from '../../context.js';
import { invalid, RotundaError } from '../../errors.js';
import { type RenewalRule, renewalReasons } from '../../rotation/renewal/types.js';
import type { WaveDraft } from '../../rotation/renewal/waves.js';
import { matchesEtag } from '../public/bundle.js';
import type { RestApp } from './app.js';
import { etagOf } from './etag.js';
import { defined, json, nameText, problems, text, timeOf, timeText } from './schemas.js';

const cohort = {
  ring: z.string(),
  authority: z.string().optional().meta({ description: 'SKI of the authority that signed; any when left out' }),
  profile: z.string().optional().meta({ description: 'Signer name; any when left out' }),
};

const ruleSchema = z
  .object({
    id: z.string(),
    ...cohort,
    issuedUntil: timeText.meta({ description: 'Certificates that were issued later are not meant' }),
    start: timeText,
    widthSeconds: z.number().int(),
    reason: z
      .enum(renewalReasons)
      .meta({ description: '`capacity` may put a renewal off, the others bring it forward only' }),
  })
  .meta({ id: 'RenewalRule', description: 'Asks the holders of some certificates to renew apart from their plan' });

const listSchema = z
  .object({
    slot: z.string().meta({ description: 'How a holder finds its own time in a rule' }),
    retryAfterSeconds: z.number().int().meta({ description: 'How long this list can be kept' }),
    rules: z.array(ruleSchema),
  })
  .meta({ id: 'RenewalRuleList', description: 'All rules that count, oldest first' });

const draftSchema = z
  .strictObject({
    ring: nameText,
    authority: text(128).optional(),
    profile: text(571).optional(),
    reason: z.enum(renewalReasons),
    start: z.iso.datetime({ offset: true }).optional().meta({
      description: 'Now for a compromise, otherwise when everybody has had the time to hear of it',
    }),
    widthSeconds: z.number().int().min(1).max(31_536_000).optional().meta({
      description: 'So that the wave takes half of what can be issued, when left out',
    }),
  })
  .meta({ id: 'RenewalRuleDraft', description: 'Certificates to be renewed in a wave' });

const params = z.strictObject({ rule: nameText });
const tags = ['renewals'];
const slot =
  'start + widthSeconds * h / 2^48, h the first 12 hex digits of SHA-256 over "<serial, lower-case hex>/<id>"';

export type RenewalRuleView = z.output<typeof ruleSchema>;
export type RenewalRuleListView = z.output<typeof listSchema>;

export function renewalRuleRoutes(app: RestApp, context: Context): void {
  listRoute(app, context);
  readRoute(app, context);
  changeRoutes(app, context);
}

/** One document for everybody: holders find their own time in it, and nobody has to ask for each certificate. */
function listRoute(app: RestApp, { renewals, config }: Context): void {
  let made: Made | undefined;
  app.get(
    '/renewal-rules',
    {
      config: { access: { verb: 'list', resource: 'renewalrules' } },
      schema: {
        operationId: 'listRenewalRules',
        summary: 'List the rules by which certificates are renewed apart from their plan',
        tags,
        security: [{}],
        headers: z.object({ 'if-none-match': z.string().max(2048).optional() }),
        response: {
          200: json('The rules', listSchema),
          304: z.undefined().describe('If-None-Match names the current list'),
          ...problems,
        },
      },
    },
    (request, reply) => {
      const rules = renewals.rules();
      if (made?.rules !== rules) made = makeList(rules, config.renewal.retryAfterMs);
      void sendList(reply, made, request.headers['if-none-match']);
    },
  );
}

/** The list is made once, so it bypasses the serializer. */
type Made = { readonly rules: readonly RenewalRule[]; readonly body: string; readonly etag: string };

function makeList(rules: readonly RenewalRule[], retryAfterMs: number): Made {
  const view: RenewalRuleListView = {
    slot,
    retryAfterSeconds: Math.floor(retryAfterMs / 1000),
    rules: rules.map(viewOf),
  };
  const body = JSON.stringify(view);
  return { rules, body, etag: etagOf(body) };
}

function sendList(reply: FastifyReply, { body, etag }: Made, ifNoneMatch: string | undefined): FastifyReply {
  reply.headers({ etag, 'cache-control': 'public, max-age=60, stale-if-error=86400' });
  if (matchesEtag(ifNoneMatch, etag)) return reply.code(304).send();
  return reply.type('application/json; charset=utf-8').send(body);
}

function readRoute(app: RestApp, { renewals }: Context): void {
  app.get(
    '/renewal-rules/:rule',
    {
      config: { access: { verb: 'get', resource: 'renewalrules', param: 'rule' } },
      schema: {
        operationId: 'getRenewalRule',
        summary: 'Get one rule',
        tags,
        security: [{}],
        params,
        response: { 200: json('The rule', ruleSchema), ...problems },
      },
    },
    (request) => {
      const id = request.params.rule;
      const found = renewals.rules().find((rule) => rule.id === id);
      if (found !== undefined) return viewOf(found);
      const object = { resource: 'renewal-rules', name: id };
      throw new RotundaError('not-found', `there is no renewal rule ${JSON.stringify(id)}`, { object });
    },
  );
}

function changeRoutes(app: RestApp, { renewals }: Context): void {
  app.post(
    '/renewal-rules',
    {
      config: { access: { verb: 'create', resource: 'renewalrules' } },
      schema: {
        operationId: 'createRenewalRule',
        summary: 'Ask the holders of some certificates to renew in a wave',
        tags,
        body: draftSchema,
        response: { 201: json('Created', ruleSchema), ...problems },
      },
    },
    async (request, reply) => {
      const rule = await renewals.ask(draftOf(request.body), request.identity.username);
      if (rule === undefined) throw needless();
      return reply.code(201).header('location', `/pki/v1/renewal-rules/${rule.id}`).send(viewOf(rule));
    },
  );
  app.delete(
    '/renewal-rules/:rule',
    {
      config: { access: { verb: 'delete', resource: 'renewalrules', param: 'rule' } },
      schema: {
        operationId: 'deleteRenewalRule',
        summary: 'Delete a rule: certificates are renewed by their plan again',
        tags,
        params,
        response: { 204: z.undefined().describe('Deleted'), ...problems },
      },
    },
    async (request, reply) => {
      await renewals.withdraw(request.params.rule, request.identity.username);
      return reply.code(204).send();
    },
  );
}

function draftOf({ start, widthSeconds, ...rest }: z.output<typeof draftSchema>): WaveDraft {
  return defined({
    ...rest,
    notBefore: start === undefined ? undefined : Date.parse(start),
    widthMs: widthSeconds === undefined ? undefined : widthSeconds * 1000,
  });
}

function needless(): RotundaError {
  const message =
    'is needed here: there is no such certificate, or a wave would take as long as all of them take by themselves';
  return invalid([{ field: 'widthSeconds', reason: 'FieldValueRequired', message }]);
}

function viewOf({ id, ring, authority, profile, createdAt, notBefore, width, reason }: RenewalRule): RenewalRuleView {
  return defined({
    ...{ id, ring, authority, profile, reason },
    issuedUntil: timeOf(createdAt),
    start: timeOf(notBefore),
    widthSeconds: Math.ceil(width / 1000),
  });
}
