import { createHash } from 'node:crypto';

import { z } from 'zod';

import type { KeySet } from '../../ca/key-sets/key-sets.js';
import { publicPem } from '../../ca/key-sets/signing-key.js';
import type { Context } from '../../context.js';
import { matchesEtag } from '../public/bundle.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { json, nameText, pageOf, pageQuery, problems, text, timeOf, timeText } from './schemas.js';

const name = text(63).regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, 'must be a lower-case DNS label');

const keySetSchema = z
  .object({
    ring: z.string(),
    generation: z.number().int().meta({ description: 'Never goes back' }),
    digest: z.string().meta({ description: '`sha256:<hex>` over what is published, whatever the order' }),
    active: z.string().meta({ description: 'kid of the key that signs now' }),
    keys: z.array(
      z.object({
        kid: z
          .string()
          .meta({ description: 'base64url of SHA-256 over the SubjectPublicKeyInfo, as kube-apiserver has it' }),
        algorithm: z.enum(['RS256', 'ES256', 'ES384', 'ES512']),
        state: z.enum(['staged', 'trusted', 'active', 'draining', 'distrusted', 'destroyed']),
        createdAt: timeText,
        publicKey: z.string().meta({ description: 'PEM' }),
      }),
    ),
  })
  .meta({ id: 'KeySet', description: 'A ring of keys that sign tokens; their private halves are elsewhere' });

const draftSchema = z
  .strictObject({
    ring: name,
    publicKey: z.string().min(1).max(16_384).meta({ description: 'Of the key that signs now, PEM' }),
  })
  .meta({ id: 'KeySetDraft', description: 'A ring of signing keys and the first of them' });

export type KeySetView = z.output<typeof keySetSchema>;

/** Bytes of a key set as whoever verifies tokens reads it. */
const published = {
  jwks: {
    type: 'application/jwk-set+json',
    body: (set: KeySet) => JSON.stringify({ keys: set.keys.map(({ jwk }) => jwk) }),
  },
  pem: { type: 'application/x-pem-file', body: (set: KeySet) => set.keys.map(({ jwk }) => publicPem(jwk)).join('') },
} as const;

export function keySetRoutes(app: RestApp, { keySets }: Context): void {
  app.get(
    '/keysets',
    {
      config: { access: { verb: 'list', resource: 'keysets' } },
      schema: {
        operationId: 'listKeySets',
        summary: 'List rings of signing keys',
        tags: ['keysets'],
        querystring: z.strictObject(pageQuery),
        response: { 200: json('The rings', pageOf(keySetSchema)), ...problems },
      },
    },
    async (request) => {
      const page = paginate(await keySets.list(), ({ ring }) => ring, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.post(
    '/keysets',
    {
      config: { access: { verb: 'create', resource: 'keysets' } },
      schema: {
        operationId: 'createKeySet',
        summary: 'Begin a ring of signing keys with the key that is in use now',
        description: 'Its next key comes with a rotation of the kind `keys`.',
        tags: ['keysets'],
        body: draftSchema,
        response: { 201: json('Created', keySetSchema), ...problems },
      },
    },
    async (request, reply) => {
      const { ring, publicKey } = request.body;
      const made = await keySets.create(ring, publicKey, request.identity.username);
      return reply.code(201).header('location', `/pki/v1/keysets/${ring}`).send(viewOf(made));
    },
  );
  app.get(
    '/keysets/:ring',
    {
      config: { access: { verb: 'get', resource: 'keysets', param: 'ring' } },
      schema: {
        operationId: 'getKeySet',
        summary: 'Get one ring of signing keys',
        tags: ['keysets'],
        params: z.strictObject({ ring: nameText }),
        response: { 200: json('The ring', keySetSchema), ...problems },
      },
    },
    async (request) => viewOf(await keySets.get(request.params.ring)),
  );
  publicRoute(app, { keySets }, 'jwks', 'Get what is published, as a JSON Web Key Set (RFC 7517)');
  publicRoute(app, { keySets }, 'pem', 'Get what is published, as PEM for --service-account-key-file');
}

/** Anyone may read what is published: whoever verifies tokens has no credential yet. */
function publicRoute(
  app: RestApp,
  { keySets }: Pick<Context, 'keySets'>,
  form: keyof typeof published,
  summary: string,
): void {
  const { type, body } = published[form];
  app.get(
    `/keysets/:ring/${form}`,
    {
      config: { access: { verb: 'get', resource: 'keysets', subresource: form, param: 'ring' } },
      schema: {
        operationId: form === 'jwks' ? 'getJsonWebKeySet' : 'getKeySetPem',
        summary,
        tags: ['keysets'],
        security: [{}],
        headers: z.object({ 'if-none-match': z.string().max(2048).optional() }),
        params: z.strictObject({ ring: nameText }),
        response: {
          200: { description: 'The keys, newest last', content: { [type]: { schema: z.string() } } },
          304: z.undefined().describe('If-None-Match names the current one'),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const text = body(await keySets.get(request.params.ring));
      const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
      reply.headers({ etag, 'cache-control': 'public, max-age=300, stale-if-error=86400' });
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send();
      return reply.type(type).serializer(String).send(text);
    },
  );
}

function viewOf({ ring, generation, digest, active, keys }: KeySet): KeySetView {
  return {
    ...{ ring, generation, digest, active },
    keys: keys.map(({ kid, algorithm, state, createdAt, jwk }) => ({
      ...{ kid, algorithm, state },
      createdAt: timeOf(createdAt),
      publicKey: publicPem(jwk),
    })),
  };
}
