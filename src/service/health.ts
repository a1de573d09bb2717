import { monitorEventLoopDelay } from 'node:perf_hooks';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Context } from '../context.js';
import { countHeldRequests } from '../store/queries/requests.js';
import { collectRotations } from './rotation-metrics.js';
import { createStoreProbe } from './store-probe.js';

/** Rows that a scrape counts leaves for, with the label that names each. */
const horizons = [
  { within: '24h', ms: 86_400_000 },
  { within: '7d', ms: 7 * 86_400_000 },
  { within: '30d', ms: 30 * 86_400_000 },
] as const;

export type Readiness = { draining(): boolean };

/** /healthz, /livez, /readyz for anybody, and /metrics for whoever may read it. */
export function registerHealth(app: FastifyInstance, context: Context, readiness: Readiness): void {
  const live = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    answer(request, reply, [['ping', undefined]]);
  app.get('/livez', live);
  app.get('/healthz', live);
  const probe = createStoreProbe(context);
  app.get('/readyz', async (request, reply) => {
    const checks: Check[] = [
      ['ping', undefined],
      ['shutdown', readiness.draining() ? 'the service is shutting down' : undefined],
      ['store', await probe.problem()],
    ];
    return answer(request, reply, checks);
  });
  app.get('/metrics', async (request, reply) => {
    await reply.type(context.metrics.contentType).send(await context.metrics.render());
  });
  fillGauges(context);
  collectRotations(context);
  measureLoop(app, context);
}

type Check = readonly [name: string, problem: string | undefined];

function answer(request: FastifyRequest, reply: FastifyReply, checks: readonly Check[]): FastifyReply {
  const failed = checks.some(([, problem]) => problem !== undefined);
  const verbose = failed || 'verbose' in (request.query as Record<string, unknown>);
  const path = request.url.split('?')[0] ?? '';
  const lines = checks.map(([name, problem]) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  const text = verbose ? [...lines, `${path.slice(1)} check ${failed ? 'failed' : 'passed'}`, ''].join('\n') : 'ok';
  return reply
    .code(failed ? 500 : 200)
    .type('text/plain; charset=utf-8')
    .send(text);
}

function fillGauges(context: Context): void {
  context.metrics.onScrape(async (gauges) => {
    const now = context.clock.now().getTime();
    const expiry = await context.ca.certificates.expiry(
      now,
      horizons.map((horizon) => horizon.ms),
    );
    gauges.certificatesExpiring.reset();
    for (const ring of context.ca.rings()) {
      for (const { within } of horizons) gauges.certificatesExpiring.set({ ring: ring.name, within }, 0);
    }
    for (const { ring, withinMs, count } of expiry.counts) {
      const within = horizons.find((horizon) => horizon.ms === withinMs)?.within;
      if (within !== undefined) gauges.certificatesExpiring.set({ ring, within }, count);
    }
    gauges.secondsToFirstExpiry.set(expiry.next === undefined ? Number.POSITIVE_INFINITY : (expiry.next - now) / 1000);
    gauges.requestsHeld.set(await countHeldRequests(context.store.db));
    gauges.authorityExpiry.reset();
    for (const authority of context.ca.authorities()) {
      const notAfter = Math.max(...authority.certificates.map((certificate) => certificate.facts.notAfter));
      gauges.authorityExpiry.set({ ring: authority.ring, authority: authority.ski }, notAfter / 1000);
    }
  });
}

/** How long work waits for the event loop, since the last scrape. */
function measureLoop(app: FastifyInstance, { metrics }: Context): void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  app.addHook('onClose', () => {
    delay.disable();
    return Promise.resolve();
  });
  metrics.onScrape(({ eventLoopDelay }) => {
    for (const quantile of [50, 99])
      eventLoopDelay.set({ quantile: `0.${String(quantile)}` }, delay.percentile(quantile) / 1e9);
    eventLoopDelay.set({ quantile: '1' }, delay.max / 1e9);
    delay.reset();
    return Promise.resolve();
  });
}
