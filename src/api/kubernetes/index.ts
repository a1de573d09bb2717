import type { AddressInfo } from 'node:net';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { createConfigMaps } from '../../config-maps/config-maps.js';
import { type RefreshingOptions, startRefreshing } from '../../config-maps/refreshing.js';
import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { callerKey, isUnlimited } from '../../limits/callers.js';
import { createOpenCalls } from '../../limits/open-calls.js';
import { ownUrl } from '../../service/own-url.js';
import { authorizeCall, impersonationRefused } from './authorization.js';
import type { Api, Call } from './call.js';
import { negotiate } from './codec/negotiate.js';
import { route } from './routes.js';
import { renderStatus } from './status.js';
import { decorator, parseTarget, type Query, targetOf } from './target.js';
import { createWatches } from './watch/watches.js';

const paths = ['/api', '/api/*', '/apis', '/apis/*', '/version', '/openapi/v3', '/openapi/v3/*'];

/** Whole lists that one caller may have under way. */
const mostLists = 8;

/** The Kubernetes front door: everything below /api, /apis, /openapi and /version, answered as an API server would. */
export async function registerKubernetesApi(app: FastifyInstance, context: Context): Promise<void> {
  const watches = createWatches({
    now: () => context.clock.now().getTime(),
    changed: (by) => context.metrics.watches(by),
    limited: () => context.metrics.limited('watches'),
  });
  const configMaps = createConfigMaps({ ...context, ownUrl: () => ownUrl(context.config, portOf(app)) });
  const api: Api = { ...context, watches, configMaps, lists: createOpenCalls(mostLists) };
  keepRefreshed(app, { ...context, configMaps });
  app.decorateRequest(decorator, null);
  await app.register((scope, _options, done) => {
    // Bodies are decoded by their own rules, which Fastify's parsers know nothing of.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => {
      parsed(null, body);
    });
    scope.setErrorHandler(renderStatus);
    scope.addHook('onRequest', (request, _reply, next) => {
      const target = parseTarget(request.method, request.url, request.query as Query);
      request.setDecorator(decorator, target);
      next(impersonationRefused(request.identity, request.headers) ?? authorizeCall(api, request.identity, target));
    });
    scope.addHook('preClose', () => watches.drain());
    for (const url of paths) {
      scope.route({
        method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
        url,
        exposeHeadRoute: false,
        handler: (request, reply) => handle(api, request, reply),
      });
    }
    done();
  });
}

/** While the server listens. */
function keepRefreshed(app: FastifyInstance, options: RefreshingOptions): void {
  const refreshing: { stop(): Promise<void> }[] = [];
  app.addHook('onListen', (done) => {
    refreshing.push(startRefreshing(options));
    done();
  });
  app.addHook('preClose', async () => {
    await Promise.all(refreshing.splice(0).map((one) => one.stop()));
  });
}

function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo | null)?.port ?? 0;
}

/** Until the answer is out: a whole list may be large, and its reader slow. */
function takePlace({ lists, metrics }: Api, { identity }: FastifyRequest, { raw }: FastifyReply): void {
  if (isUnlimited(identity)) return;
  try {
    raw.once('close', lists.enter(callerKey(identity)));
  } catch (error) {
    metrics.limited('lists');
    throw error;
  }
}

async function handle(api: Api, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const target = targetOf(request);
  if (target === null) throw new RotundaError('internal', 'a request without a target');
  const handler = route(target, request.method);
  // Upstream authorizes HEAD as a read, and has no such route.
  if (handler !== undefined && request.method === 'HEAD')
    throw new RotundaError('method-not-allowed', 'the server does not allow this method on the requested resource', {
      object: {},
    });
  if (handler === undefined)
    return reply
      .code(404)
      .header('content-type', 'text/plain; charset=utf-8')
      .send(Buffer.from('404 page not found\n'));
  if (target.watch) api.watches.admit(request.identity);
  else if (target.verb === 'list' && target.selectedName === undefined) takePlace(api, request, reply);
  const call: Call = {
    api,
    request,
    reply,
    target,
    query: request.query as Query,
    representation: negotiate(request.headers.accept),
  };
  return handler(call);
}
