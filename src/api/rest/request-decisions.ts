import { z } from 'zod';

import type { Context } from '../../context.js';
import type { CertificateRequest, Explanation } from '../../csr/types.js';
import type { Identity } from '../../identity/types.js';
import { requireAccess } from './access.js';
import type { RestApp } from './app.js';
import { asSchema, draftOf, requestDraft, usagesOf } from './request-submit.js';
import { requestSchema, requestViewer } from './request-view.js';
import { defined, json, nameText, optionalTime, problems, text, timeText } from './schemas.js';

export const ruleSchema = z
  .object({
    rule: z.string(),
    kind: z.enum(['hard', 'fact']).meta({ description: '`fact` rules may be overridden by a person' }),
    outcome: z.enum(['passed', 'failed', 'missing']),
    message: z.string(),
  })
  .meta({ id: 'RuleResult', description: 'What one rule says: `failed` denies, `missing` holds' });

export const decisionSchema = z
  .object({
    outcome: z
      .enum(['approve', 'deny', 'hold', 'refuse'])
      .meta({ description: '`refuse`: it would not even be taken; only for what was not submitted' }),
    reason: z.string(),
    message: z.string(),
    retryAt: timeText.optional(),
    state: z.enum(['pending', 'approved', 'denied', 'failed', 'issued']).optional(),
    decided: z
      .object({
        condition: z.enum(['Approved', 'Denied', 'Failed']),
        reason: z.string(),
        message: z.string(),
        at: z.string().optional(),
      })
      .optional()
      .meta({ description: 'What was decided already, by the rules or by a person' }),
    facts: z
      .enum(['today', 'recorded'])
      .meta({ description: 'Whether the rules saw things as they are now, or as they were when it was decided' }),
    rules: z.array(ruleSchema),
  })
  .meta({ id: 'Decision', description: 'What the rules say to a request, one by one' });

export type DecisionView = z.output<typeof decisionSchema>;

const verdictSchema = z
  .strictObject({ reason: text(128).optional(), message: text(1024).optional() })
  .meta({ id: 'Verdict', description: 'Why, for the record' });

const decidedSchema = requestSchema
  .extend({
    overrides: z.array(ruleSchema).optional().meta({
      description:
        'Rules that had not passed when it was approved. Those of kind `fact` are overridden, one of kind `hard` makes it fail',
    }),
  })
  .meta({ id: 'DecidedRequest', description: 'A request that a person has decided' });

export type DecidedView = z.output<typeof decidedSchema>;

const params = z.strictObject({ request: nameText });
const k8s = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', param: 'request' };

export function decisionRoutes(app: RestApp, context: Context): void {
  explainRoutes(app, context);
  verdictRoute(app, context, 'approve', 'Approved', 'Approve a request as a person');
  verdictRoute(app, context, 'deny', 'Denied', 'Deny a request as a person');
}

const draftSchema = z
  .strictObject({ ...requestDraft, as: asSchema.optional() })
  .meta({ id: 'ExplainDraft', description: 'A request to think of, and who would submit it' });

function explainRoutes(app: RestApp, context: Context): void {
  const { requests, config } = context;
  app.post(
    '/requests/explain',
    {
      config: { access: { verb: 'get', resource: 'explanations' } },
      schema: {
        operationId: 'explainRequestDraft',
        summary: 'Explain what would become of a request that was not submitted; changes nothing',
        tags: ['requests'],
        body: draftSchema,
        response: { 200: json('The decision', decisionSchema), ...problems },
      },
    },
    async ({ body, identity }) => {
      const { as, ...draft } = body;
      const usages = draft.usages ?? usagesOf(config.profiles, draft.signerName);
      return decisionView(await requests.explainDraft(draftOf(draft, usages), as ?? identity));
    },
  );
  app.get(
    '/requests/:request/explain',
    {
      config: { access: { ...k8s, verb: 'get' } },
      schema: {
        operationId: 'explainRequest',
        summary:
          'Explain a request rule by rule: as things are now, or as they were when it was decided; changes nothing',
        tags: ['requests'],
        params,
        response: { 200: json('The decision', decisionSchema), ...problems },
      },
    },
    async (request) => decisionView(await requests.explain(request.params.request)),
  );
}

function verdictRoute(
  app: RestApp,
  context: Context,
  verb: 'approve' | 'deny',
  verdict: 'Approved' | 'Denied',
  summary: string,
): void {
  const requestView = requestViewer(context.config.profiles);
  app.post(
    `/requests/:request/${verb}`,
    {
      config: { access: { ...k8s, verb: 'update', subresource: 'approval' } },
      schema: {
        operationId: `${verb}Request`,
        summary,
        tags: ['requests'],
        params,
        body: verdictSchema,
        response: { 200: json('The decided request', decidedSchema), ...problems },
      },
    },
    async (request) => {
      const { request: name } = request.params;
      await mayDecideFor(context, request.identity, name);
      const { rules, state } = await context.requests.explain(name);
      const verdictOptions = { identity: request.identity, ...defined(request.body) };
      const text = await context.requests.decide(name, verdict, verdictOptions);
      const open =
        verdict === 'Approved' && state === 'pending' ? rules.filter((rule) => rule.outcome !== 'passed') : [];
      const view = requestView(JSON.parse(text) as CertificateRequest);
      return open.length === 0 ? view : { ...view, overrides: open.map((rule) => ({ ...rule })) };
    },
  );
}

/** Beside the right to the subresource, upstream asks for the verb `approve` on the signer. */
async function mayDecideFor(context: Context, identity: Identity, name: string): Promise<void> {
  const { spec } = JSON.parse(await context.requests.get(name)) as CertificateRequest;
  const attributes = { verb: 'approve', group: 'certificates.k8s.io', resource: 'signers', name: spec.signerName };
  requireAccess(context.authorize, identity, attributes);
}

function decisionView({ retryAt, rules, ...explanation }: Explanation): DecisionView {
  return defined({ ...explanation, retryAt: optionalTime(retryAt), rules: rules.map((rule) => ({ ...rule })) });
}
