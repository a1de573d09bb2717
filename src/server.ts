import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { TLSSocket } from 'node:tls';

import { fastify, type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';

import { registerKubernetesApi } from './api/kubernetes/index.js';
import { renderStatus } from './api/kubernetes/status.js';
import { renderProblem } from './api/rest/problem.js';
import { registerRestApi } from './api/rest/index.js';
import type { Context } from './context.js';
import { RotundaError } from './errors.js';
import type { Credentials, Identity } from './identity/types.js';
import { registerHealth } from './service/health.js';
import { type CallerLimits, createCallerLimits } from './limits/callers.js';
import type { CandidateListener } from './service/candidate-listener.js';
import type { ServedAuthority } from './service/served-authorities.js';
import type { OwnCertificate } from './service/own-certificate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; set before any handler runs. */
    identity: Identity;
    /** The authority that the client has verified in this connection's handshake, where it came for that. */
    candidate: ServedAuthority | undefined;
    /** Why a connection that came for that shows nothing. */
    candidateProblem: string | undefined;
  }
}

export type RotundaServer = {
  readonly app: FastifyInstance;
  /** Presents another certificate, and asks clients for certificates of the current anchors, from the next connection on. */
  present(own: OwnCertificate): void;
  /** From now on /readyz fails, so that load balancers look elsewhere. */
  drain(): void;
};

/** How long a client may take to send a whole request; a watch's answer is not bounded by it. */
const requestTimeoutMs = 30_000;
/** Longer than client-go keeps an idle connection (90 s), so that the client closes first. */
const keepAliveTimeoutMs = 120_000;

/**
 * How long a connection may stand still while its answer is on its way, before it is closed. Watches have a clock of
 * their own.
 */
const idleTimeoutMs = 60_000;

/** Bytes; as kube-apiserver. */
const bodyLimit = 3 * 1024 * 1024;

/** An API server sends a line for each group of a user, who may be in a thousand; Node's own bound is 16 KiB. */
const maxHeaderSize = 128 * 1024;

/** The one TLS listener with every surface on it, and with `candidates` by name. Not listening yet. */
export async function createRotundaServer(
  context: Context,
  own: OwnCertificate,
  candidates?: CandidateListener,
): Promise<RotundaServer> {
  let https: Server | undefined;
  let draining = false;
  const loggerInstance: FastifyBaseLogger = context.logger;
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // One logger for all requests: a child for each costs more than it tells.
    childLoggerFactory: (logger) => logger,
    bodyLimit,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    routerOptions: { maxParamLength: 1024 },
    serverFactory: (handler) => (https = listenerFor(handler, context, own, candidates)),
  });
  app.decorateRequest('identity');
  app.decorateRequest('candidate');
  app.decorateRequest('candidateProblem');
  const callers = createCallerLimits({ ...context, limits: context.config.limits });
  app.addHook('onRequest', async (request) => {
    request.identity = await identify(context, callers, request);
    request.candidate = candidates?.candidateOf(request.raw.socket);
    request.candidateProblem = candidates?.problemOf(request.raw.socket);
    authorizeUtility(context, request);
  });
  app.addHook('onResponse', (request, reply, done) => {
    // Who waited for a change has not waited for an answer.
    if (request.waited) {
      done();
      return;
    }
    const labels = { surface: surfaceOf(request.url), method: request.method, status: reply.statusCode };
    context.metrics.httpSeconds(labels, reply.elapsedTime / 1000);
    done();
  });
  app.setErrorHandler((error, request, reply) =>
    isNative(request.url) ? renderProblem(error, request, reply) : renderStatus(error, request, reply),
  );
  app.setNotFoundHandler((request, reply) => {
    if (isNative(request.url))
      throw new RotundaError('not-found', `there is no ${request.method} ${request.url.split('?')[0] ?? ''}`);
    return reply.code(404).type('text/plain; charset=utf-8').send('404 page not found\n');
  });
  registerHealth(app, context, { draining: () => draining });
  await registerKubernetesApi(app, context);
  await registerRestApi(app, context);
  return {
    app,
    present: (next) => {
      https?.setSecureContext(tlsOptions(context, next));
    },
    drain: () => {
      draining = true;
    },
  };
}

function listenerFor(
  handler: RequestListener,
  context: Context,
  own: OwnCertificate,
  candidates: CandidateListener | undefined,
): Server {
  const byName: ServerOptions =
    candidates === undefined
      ? {}
      : {
          SNICallback: (serverName, answer) => {
            answer(null, candidates.contextFor(serverName));
          },
        };
  const timeouts = { requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveTimeoutMs };
  const https = createServer({ ...tlsOptions(context, own), ...byName, ...timeouts, maxHeaderSize }, handler);
  https.timeout = idleTimeoutMs;
  // Beyond a thousand lines Node drops headers without a word, and a group would be missing; the size bounds them.
  https.maxHeadersCount = 0;
  if (candidates !== undefined)
    https.on('secureConnection', (socket) => {
      candidates.connected(socket);
    });
  return https;
}

function tlsOptions(context: Context, own: OwnCertificate): ServerOptions {
  return {
    cert: own.certificatePem,
    key: own.keyPem,
    ca: clientCasOf(context),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    honorCipherOrder: true,
  };
}

/** Only hints for clients that choose by CA name: who is believed is decided per request, by ring. PEM. */
export function clientCasOf({ config: { topology }, ca }: Pick<Context, 'config' | 'ca'>): string[] {
  const rings = new Set([
    topology.kubernetesClient,
    topology.etcdPeer,
    topology.etcdServer,
    topology.etcdClient,
    topology.frontProxy,
    topology.rotunda,
  ]);
  return [...rings].map((ring) => ca.bundle(ring).pem);
}

/** Probes come from whoever watches over the service, and cost nothing. */
const probes: readonly string[] = ['/livez', '/readyz', '/healthz'];

/** Who calls, and not too often. Throws 'unauthorized', 'too-many-requests'. */
async function identify(context: Context, callers: CallerLimits, request: FastifyRequest): Promise<Identity> {
  let identity: Identity;
  try {
    identity = await context.authenticator.authenticate(credentialsOf(request));
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'unauthorized') callers.refused(request.ip);
    throw error;
  }
  if (!probes.includes(request.url)) callers.admit(identity, () => request.ip, sizeOf(request));
  return identity;
}

/** Bytes of the body, as announced; whoever does not say has it counted as the longest. */
function sizeOf({ headers, method }: FastifyRequest): number {
  if (method === 'GET' || method === 'HEAD') return 0;
  if (headers['transfer-encoding'] !== undefined) return bodyLimit;
  const length = Number(headers['content-length'] ?? 0);
  return Number.isFinite(length) ? Math.min(length, bodyLimit) : bodyLimit;
}

/** The one call that an expired certificate may be good for. */
function isRenewal({ method, url }: FastifyRequest): boolean {
  return method === 'POST' && url.split('?', 1)[0] === '/pki/v1/requests';
}

const presented = new WeakMap<TLSSocket, Pick<Credentials, 'certificate' | 'chain'>>();

function credentialsOf(request: FastifyRequest): Credentials {
  const { authorization } = request.headers;
  const { socket, rawHeaders } = request.raw;
  const fromTls = socket instanceof TLSSocket ? certificateOf(socket) : {};
  return { ...fromTls, rawHeaders, renews: isRenewal(request), ...(authorization !== undefined && { authorization }) };
}

function certificateOf(socket: TLSSocket): Pick<Credentials, 'certificate' | 'chain'> {
  const known = presented.get(socket);
  if (known !== undefined) return known;
  const found = readChain(socket);
  presented.set(socket, found);
  return found;
}

function readChain(socket: TLSSocket): Pick<Credentials, 'certificate' | 'chain'> {
  const first = socket.getPeerX509Certificate();
  if (first === undefined) return {};
  const chain: Buffer[] = [];
  let next = first.issuerCertificate;
  // A self-signed end names itself as its issuer.
  for (let depth = 0; next !== undefined && depth < 4; depth += 1) {
    chain.push(next.raw);
    next = next.issuerCertificate?.fingerprint256 === next.fingerprint256 ? undefined : next.issuerCertificate;
  }
  return { certificate: first.raw, chain };
}

/** The paths outside both APIs; those authorize for themselves. */
function authorizeUtility(context: Context, request: FastifyRequest): void {
  const path = request.url.split('?', 1)[0] ?? '';
  if (/^\/(api|apis|pki)(\/|$)/.test(path)) return;
  const verdict = context.authorize(request.identity, { verb: request.method.toLowerCase(), path });
  if (verdict.allowed) return;
  throw new RotundaError(
    'forbidden',
    `forbidden: User "${request.identity.username}" cannot ${request.method.toLowerCase()} path "${path}"`,
  );
}

function isNative(url: string): boolean {
  return url.startsWith('/pki/');
}

function surfaceOf(url: string): string {
  if (isNative(url)) return 'rest';
  return url.startsWith('/api') ? 'kubernetes' : 'utility';
}
