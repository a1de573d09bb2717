import { createHash } from 'node:crypto';

import type { FastifyInstance, FastifyRequest } from 'fastify';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import {
  completeIdempotencyKey,
  deleteIdempotencyKey,
  findIdempotencyKey,
  idempotencyKeysKeptMs,
  type IdempotencyRow,
  insertIdempotencyKey,
} from '../../store/queries/idempotency.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `refused`: the answer holds a secret and is not kept. */
    idempotency?: 'refused';
  }
  interface FastifyRequest {
    /** Set while this call holds an Idempotency-Key. */
    idempotency: { readonly key: string; readonly identity: string } | undefined;
  }
}

/** After this a call that never ended (a crash) does not block its key any more. */
const runningMs = 60_000;

type KeptAnswer = { readonly body: string; readonly type: string; readonly location?: string };

/**
 * `Idempotency-Key` on POST: the first call under a key runs, and for a day a repeated one by the same caller with the
 * same content gets the first one's answer, marked `Idempotency-Replayed: true`. Other content under the same key is
 * 'invalid', a key whose first call still runs 'conflict'. Answers above 499, and 429, are not kept.
 */
export function keepIdempotent(app: FastifyInstance, context: Context): void {
  app.decorateRequest('idempotency', undefined);
  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request);
    if (key === undefined) return;
    const taken = await take(context, request, key);
    if (taken === undefined) return;
    const kept = JSON.parse(taken.body) as KeptAnswer;
    reply.code(taken.status).header('idempotency-replayed', 'true').type(kept.type);
    if (kept.location !== undefined) reply.header('location', kept.location);
    await reply.send(kept.body);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const held = request.idempotency;
    if (held === undefined) return payload;
    request.idempotency = undefined;
    const location = reply.getHeader('location');
    const answer: KeptAnswer = {
      body: typeof payload === 'string' ? payload : '',
      type: String(reply.getHeader('content-type') ?? 'application/json'),
      ...(location === undefined ? {} : { location: String(location) }),
    };
    await finish(context, held, reply.statusCode, answer);
    return payload;
  });
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined || request.method !== 'POST') return undefined;
  if (request.routeOptions.config.idempotency === 'refused') {
    throw new RotundaError(
      'bad-request',
      'Idempotency-Key does not work here, because the answer holds a secret that is not kept',
      {
        hint: 'choose the token yourself in the field token: creating it again is then answered already-exists',
      },
    );
  }
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new RotundaError('bad-request', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
}

/** The kept answer, or undefined when this call now holds the key. */
async function take(context: Context, request: FastifyRequest, key: string): Promise<IdempotencyRow | undefined> {
  const identity = callerOf(request.identity);
  const digest = digestOf(request);
  const now = context.clock.now().getTime();
  const earlier = await context.store.write(async ({ db }) => {
    const row = await findIdempotencyKey(db, key, identity);
    const kept = row?.status === 0 ? runningMs : idempotencyKeysKeptMs;
    const abandoned = row !== undefined && row.created_at < now - kept;
    if (row !== undefined && !abandoned) return row;
    if (abandoned) await deleteIdempotencyKey(db, key, identity);
    await insertIdempotencyKey(db, { key, identity, digest, status: 0, body: '', created_at: now });
    return undefined;
  });
  if (earlier === undefined) {
    request.idempotency = { key, identity };
    return undefined;
  }
  if (earlier.digest !== digest) throw new RotundaError('invalid', 'this Idempotency-Key was used for another call');
  if (earlier.status === 0)
    throw new RotundaError('conflict', 'the first call with this Idempotency-Key is still running', {
      retryAfterSeconds: 1,
    });
  return earlier;
}

async function finish(
  context: Context,
  held: { key: string; identity: string },
  status: number,
  answer: KeptAnswer,
): Promise<void> {
  await context.store.write(async ({ db }) => {
    if (status >= 500 || status === 429) await deleteIdempotencyKey(db, held.key, held.identity);
    else await completeIdempotencyKey(db, { ...held, status, body: JSON.stringify(answer) });
  });
}

/** The same name in two rings is two callers. */
function callerOf({ kind, ring, username }: Identity): string {
  return `${ring ?? kind}/${username}`;
}

function digestOf(request: FastifyRequest): string {
  const content = JSON.stringify([request.url, request.headers.accept ?? '', request.body]);
  return createHash('sha256').update(content).digest('hex');
}
