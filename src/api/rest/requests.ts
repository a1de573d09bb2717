import { z } from 'zod';

import type { Context } from '../../context.js';
import type { CertificateRequest, RequestFilter } from '../../csr/types.js';
import type { RestApp } from './app.js';
import { decisionRoutes } from './request-decisions.js';
import { requestSchema, requestStates, requestViewer, stateOf } from './request-view.js';
import { replayRoute } from './request-replay.js';
import { importRoute } from './request-import.js';
import { submitRoute } from './request-submit.js';
import { defined, json, jsonOrPem, nameText, pageOf, pageQuery, problems, text } from './schemas.js';
import { negotiate, pemChainType } from './accept.js';
import { RotundaError } from '../../errors.js';

const querySchema = z.strictObject({
  ...pageQuery,
  signerName: text(571).optional(),
  state: z.enum(requestStates).optional(),
  requester: text(512).optional().meta({ description: 'User name' }),
});
const params = z.strictObject({ request: nameText });

/** Requests are certificates.k8s.io objects on every surface, and so are the rights to them. */
const k8s = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests' };

export function requestRoutes(app: RestApp, context: Context): void {
  submitRoute(app, context);
  importRoute(app, context);
  listRoute(app, context);
  objectRoutes(app, context);
  decisionRoutes(app, context);
  replayRoute(app, context);
}

function listRoute(app: RestApp, { requests, config }: Context): void {
  const requestView = requestViewer(config.profiles);
  app.get(
    '/requests',
    {
      config: { access: { ...k8s, verb: 'list' } },
      schema: {
        operationId: 'listRequests',
        summary: 'List requests',
        tags: ['requests'],
        querystring: querySchema,
        response: { 200: json('The requests', pageOf(requestSchema)), ...problems },
      },
    },
    async (request) => {
      const list = await requests.list(filterOf(request.query));
      const items = list.items.map((item) => requestView(JSON.parse(item) as CertificateRequest));
      return defined({ items, continue: list.continue === '' ? undefined : list.continue });
    },
  );
}

function objectRoutes(app: RestApp, { requests, config }: Context): void {
  const requestView = requestViewer(config.profiles);
  app.get(
    '/requests/:request',
    {
      config: { access: { ...k8s, verb: 'get', param: 'request' } },
      schema: {
        operationId: 'getRequest',
        summary: 'Get one request, its certificate as PEM by Accept',
        tags: ['requests'],
        params,
        response: { 200: jsonOrPem('The request', requestSchema), ...problems },
      },
    },
    async (request, reply) => {
      const format = negotiate(request.headers.accept);
      const view = requestView(JSON.parse(await requests.get(request.params.request)) as CertificateRequest);
      reply.header('vary', 'accept');
      if (format === 'json') return reply.send(view);
      if (view.certificate === undefined) throw withoutCertificate(view.name, view.state);
      return reply.type(pemChainType).send(view.certificate);
    },
  );
  app.delete(
    '/requests/:request',
    {
      config: { access: { ...k8s, verb: 'delete', param: 'request' } },
      schema: {
        operationId: 'deleteRequest',
        summary: 'Delete a request; its certificate stays in the inventory',
        tags: ['requests'],
        params,
        response: { 204: z.undefined().describe('Deleted'), ...problems },
      },
    },
    async (request, reply) => {
      await requests.delete(request.params.request, { identity: request.identity });
      return reply.code(204).send();
    },
  );
}

function withoutCertificate(name: string, state: string): RotundaError {
  return new RotundaError(
    'not-acceptable',
    `request ${JSON.stringify(name)} is ${state} and has no certificate to give as PEM`,
    {
      hint: `ask for application/json, or rotunda request explain ${name}`,
    },
  );
}

function filterOf(query: z.output<typeof querySchema>): RequestFilter {
  const { state, requester, ...rest } = query;
  const stored = state === 'held' ? 'pending' : state;
  const exact = state === 'held' || state === 'pending' || requester !== undefined;
  const matches = (request: CertificateRequest): boolean =>
    (state === undefined || stateOf(request) === state) &&
    (requester === undefined || request.spec.username === requester);
  return { ...defined(rest), ...(stored === undefined ? {} : { state: stored }), ...(exact ? { matches } : {}) };
}
