import { z } from 'zod';

import type { Context } from '../../context.js';
import type { CertificateRequest, Decision } from '../../csr/types.js';
import type { Identity } from '../../identity/types.js';
import { requireAccess } from './access.js';
import type { RestApp } from './app.js';
import { requestSchema, requestViewer } from './request-view.js';
import { defined, json, nameText, optionalTime, problems, text, timeText } from './schemas.js';

const decisionSchema = z
  .object({
    outcome: z.enum(['approve', 'deny', 'hold']),
    reason: z.string(),
    message: z.string(),
    retryAt: timeText.optional(),
    rules: z.array(
      z.object({
        rule: z.string(),
        kind: z.enum(['hard', 'fact']).meta({ description: '`fact` rules may be overridden by a person' }),
        outcome: z.enum(['passed', 'failed', 'missing']),
        message: z.string(),
      }),
    ),
  })
  .meta({ id: 'Decision', description: 'What would be decided now, rule by rule' });

export type DecisionView = z.output<typeof decisionSchema>;

const verdictSchema = z
  .strictObject({ reason: text(128).optional(), message: text(1024).optional() })
  .meta({ id: 'Verdict', description: 'Why, for the record' });

const params = z.strictObject({ request: nameText });
const k8s = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', param: 'request' };

export function decisionRoutes(app: RestApp, context: Context): void {
  explainRoute(app, context);
  verdictRoute(app, context, 'approve', 'Approved', 'Approve a request as a person');
  verdictRoute(app, context, 'deny', 'Denied', 'Deny a request as a person');
}

function explainRoute(app: RestApp, { requests }: Context): void {
  app.get(
    '/requests/:request/explain',
    {
      config: { access: { ...k8s, verb: 'get' } },
      schema: {
        operationId: 'explainRequest',
        summary: 'Explain what would be decided now, rule by rule; changes nothing',
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
        response: { 200: json('The decided request', requestSchema), ...problems },
      },
    },
    async (request) => {
      const { request: name } = request.params;
      await mayDecideFor(context, request.identity, name);
      const verdictOptions = { identity: request.identity, ...defined(request.body) };
      const text = await context.requests.decide(name, verdict, verdictOptions);
      return requestView(JSON.parse(text) as CertificateRequest);
    },
  );
}

/** Beside the right to the subresource, upstream asks for the verb `approve` on the signer. */
async function mayDecideFor(context: Context, identity: Identity, name: string): Promise<void> {
  const { spec } = JSON.parse(await context.requests.get(name)) as CertificateRequest;
  const attributes = { verb: 'approve', group: 'certificates.k8s.io', resource: 'signers', name: spec.signerName };
  requireAccess(context.authorize, identity, attributes);
}

function decisionView(decision: Decision): DecisionView {
  const { outcome, reason, message, retryAt, rules } = decision;
  return defined({
    outcome,
    reason,
    message,
    retryAt: optionalTime(retryAt),
    rules: rules.map((rule) => ({ ...rule })),
  });
}
