import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Token } from '../../identity/types.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import {
  defined,
  json,
  nameText,
  optionalTime,
  pageOf,
  pageQuery,
  problems,
  text,
  timeOf,
  timeText,
} from './schemas.js';

const usage = z.enum(['authentication', 'signing']);

const tokenFields = {
  id: z.string().meta({ description: 'The part before the dot, which is no secret' }),
  kind: z.enum(['node', 'unbound', 'etcd-member', 'control-plane']),
  node: z.string().optional().meta({ description: 'The machine that it is bound to' }),
  cluster: z.string().optional().meta({ description: 'The etcd cluster of the member that it is bound to' }),
  member: z.string().optional().meta({ description: 'The etcd member that it is bound to' }),
  groups: z.array(z.string()),
  usages: z.array(usage),
  description: z.string(),
  reusable: z.boolean(),
  state: z.enum(['active', 'used', 'revoked', 'expired']),
  expiresAt: timeText.optional(),
  createdAt: timeText,
  createdBy: z.string(),
  usedAt: timeText.optional(),
};
const tokenSchema = z.object(tokenFields).meta({ id: 'Token', description: 'A bootstrap token, without its secret' });
const createdSchema = z
  .object({
    token: z.string().meta({ description: '`<id>.<secret>`; it is shown here and never again' }),
    ...tokenFields,
  })
  .meta({ id: 'CreatedToken', description: 'A bootstrap token with its secret' });

const draftSchema = z
  .strictObject({
    node: z
      .strictObject({
        name: nameText,
        addresses: z.array(text(64)).max(64).default([]),
        dnsNames: z.array(nameText).max(64).default([]),
      })
      .optional()
      .meta({ description: 'Binds to a node, and enrols it' }),
    etcdMember: z
      .strictObject({ cluster: nameText, name: nameText })
      .optional()
      .meta({ description: 'Binds to an enrolled etcd member' }),
    controlPlane: nameText.optional().meta({ description: 'Binds to a control-plane machine' }),
    ttlSeconds: z.number().int().min(0).max(31_536_000).optional().meta({
      description:
        'Lifetime; an hour for a bound token and a day for an unbound one when left out. 0: no expiry, for unbound and reusable ones',
    }),
    reusable: z.boolean().optional(),
    groups: z.array(text(253)).max(16).optional(),
    usages: z.array(usage).max(2).optional(),
    description: text(1024, 0).optional(),
    token: z.string().max(23).optional().meta({ description: 'A chosen token; made up when left out' }),
  })
  .refine(
    (draft) => [draft.node, draft.etcdMember, draft.controlPlane].filter((bound) => bound !== undefined).length <= 1,
    'a token is bound to one of node, etcdMember and controlPlane',
  )
  .meta({ id: 'TokenDraft', description: 'A bootstrap token to create; bound to nothing, it serves expected nodes' });
const params = z.strictObject({ token: nameText });

export type TokenView = z.output<typeof tokenSchema>;

export type CreatedTokenView = z.output<typeof createdSchema>;

export function tokenRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
}

function collectionRoutes(app: RestApp, { tokens }: Context): void {
  app.get(
    '/tokens',
    {
      config: { access: { verb: 'list', resource: 'tokens' } },
      schema: {
        operationId: 'listTokens',
        summary: 'List bootstrap tokens',
        tags: ['tokens'],
        querystring: z.strictObject(pageQuery),
        response: { 200: json('The tokens', pageOf(tokenSchema)), ...problems },
      },
    },
    async (request) => {
      const page = paginate(await tokens.list(), ({ id }) => id, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.post(
    '/tokens',
    {
      // The answer holds a secret, which must not rest anywhere in the clear: it is not kept for a repeated call.
      config: { access: { verb: 'create', resource: 'tokens' }, idempotency: 'refused' },
      schema: {
        operationId: 'createToken',
        summary: 'Create a bootstrap token',
        tags: ['tokens'],
        body: draftSchema,
        response: { 201: json('Created; the only answer that holds the secret', createdSchema), ...problems },
      },
    },
    async (request, reply) => {
      const { ttlSeconds, ...draft } = request.body;
      const ttl = ttlSeconds === undefined ? {} : { ttlMs: ttlSeconds * 1000 };
      const { token, secret } = await tokens.create({ ...defined(draft), ...ttl }, request.identity);
      return reply
        .code(201)
        .header('location', `/pki/v1/tokens/${token.id}`)
        .header('cache-control', 'no-store')
        .send({ token: `${token.id}.${secret}`, ...viewOf(token) });
    },
  );
}

function objectRoutes(app: RestApp, { tokens }: Context): void {
  app.get(
    '/tokens/:token',
    {
      config: { access: { verb: 'get', resource: 'tokens', param: 'token' } },
      schema: {
        operationId: 'getToken',
        summary: 'Get one bootstrap token by its id, without its secret',
        tags: ['tokens'],
        params,
        response: { 200: json('The token', tokenSchema), ...problems },
      },
    },
    async (request) => viewOf(await tokens.get(request.params.token)),
  );
  app.delete(
    '/tokens/:token',
    {
      config: { access: { verb: 'delete', resource: 'tokens', param: 'token' } },
      schema: {
        operationId: 'revokeToken',
        summary: 'Revoke a bootstrap token',
        description: 'The token stays in the list as revoked. Certificates that it was given stay good.',
        tags: ['tokens'],
        params,
        response: { 200: json('Revoked', tokenSchema), ...problems },
      },
    },
    async (request) => viewOf(await tokens.revoke(request.params.token, request.identity)),
  );
}

function viewOf(token: Token): TokenView {
  const { id, kind, node, cluster, member, description, reusable, state, createdBy } = token;
  return defined({
    id,
    kind,
    node,
    cluster,
    member,
    groups: [...token.groups],
    usages: [...token.usages],
    description,
    reusable,
    state,
    expiresAt: optionalTime(token.expiresAt),
    createdAt: timeOf(token.createdAt),
    createdBy,
    usedAt: optionalTime(token.usedAt),
  });
}
