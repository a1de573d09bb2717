import type { FastifyReply, FastifyRequest } from 'fastify';

import type { ConfigMaps } from '../../config-maps/types.js';
import type { Context } from '../../context.js';
import type { OpenCalls } from '../../limits/open-calls.js';
import type { Representation } from './codec/negotiate.js';
import type { Query, Target } from './target.js';
import type { Watches } from './watch/watches.js';

/** What the handlers of this surface need of the service. */
export type Api = Pick<
  Context,
  | 'authorize'
  | 'bans'
  | 'ca'
  | 'clock'
  | 'config'
  | 'logger'
  | 'metrics'
  | 'nodes'
  | 'random'
  | 'requests'
  | 'store'
  | 'tokens'
> & {
  readonly watches: Watches;
  readonly configMaps: ConfigMaps;
  /** Lists that are being answered. */
  readonly lists: OpenCalls;
};

/** One request on its way through a handler, authorized and negotiated. */
export type Call = {
  readonly api: Api;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly target: Target;
  readonly query: Query;
  readonly representation: Representation;
};

export type Handler = (call: Call) => Promise<FastifyReply> | FastifyReply;

const nothing = Buffer.alloc(0);

/** The raw body; empty when there is none. */
export function bodyOf(call: Call): Buffer {
  return Buffer.isBuffer(call.request.body) ? call.request.body : nothing;
}

/** The rendering that this call asked for. */
export function renderingOf({ api, query, representation }: Call): {
  representation: Representation;
  query: Query;
  clock: Context['clock'];
} {
  return { representation, query, clock: api.clock };
}

/** Adds upstream's Warning header, all warnings in one line. */
export function warn(reply: FastifyReply, warnings: readonly string[]): void {
  if (warnings.length === 0) return;
  // Only printable ASCII may stand in a header; a field name can hold anything.
  const texts = warnings
    .slice(0, 50)
    .map((text) => `299 - ${JSON.stringify(text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300))}`);
  reply.header('warning', texts.join(', '));
}
