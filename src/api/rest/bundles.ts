import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import type { Bundle } from '../../ca/types.js';
import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { answerBundle } from '../public/bundle.js';
import type { RestApp } from './app.js';
import { bundleWaiting, largestGeneration, waitQuery } from './bundle-waiting.js';
import { jsonOrPem, nameText, problems, text, timeText } from './schemas.js';

const manifestSchema = z
  .object({
    text: z.string().meta({ description: 'JSON, the very bytes that are signed' }),
    signature: z.string().meta({ description: 'base64; as `openssl dgst` makes it, ECDSA as DER' }),
    signedBy: z
      .string()
      .meta({ description: 'Subject key identifier of the authority that signed for the ring before' }),
    algorithm: z
      .string()
      .optional()
      .meta({ description: '`ecdsa-sha256`, `ecdsa-sha384`, `rsa-sha256` (PKCS #1 v1.5) or `ed25519`' }),
  })
  .meta({ id: 'BundleManifest', description: 'What the bundle says about itself, signed' });

export const bundleSchema = z
  .object({
    ring: z.string(),
    generation: z.number().int().meta({ description: 'Never goes back' }),
    digest: z.string().meta({ description: '`sha256:<hex>` over the DER of the anchors, sorted by fingerprint' }),
    anchors: z.array(
      z.object({
        pem: z.string(),
        subject: z.string().meta({ description: 'RFC 4514' }),
        ski: z.string().meta({ description: 'Subject key identifier, lower-case hex' }),
        fingerprint: z.string().meta({ description: 'SHA-256 of the DER, lower-case hex' }),
        notBefore: timeText,
        notAfter: timeText,
      }),
    ),
    manifest: manifestSchema.optional(),
  })
  .meta({ id: 'Bundle', description: "A ring's published set of anchors" });

const headers = z.object({
  'if-none-match': z.string().max(2048).optional().meta({ description: 'ETag of the copy at hand' }),
});
const answers = {
  200: jsonOrPem('The bundle', bundleSchema),
  304: z.undefined().describe('If-None-Match names the current one, or there was no newer one'),
  ...problems,
};
const common = { tags: ['bundles'], security: [{}], headers, response: answers };

export type BundleView = z.output<typeof bundleSchema>;

/** Anyone may read bundles: clients need them before they can trust anything. */
export function bundleRoutes(app: RestApp, context: Context): void {
  currentRoute(app, context);
  generationRoute(app, context);
  signerRoute(app, context);
}

function currentRoute(app: RestApp, context: Context): void {
  const waiting = bundleWaiting(app, context);
  app.get(
    '/rings/:ring/bundle',
    {
      config: { access: { verb: 'get', resource: 'rings', subresource: 'bundle', param: 'ring' } },
      schema: {
        ...common,
        operationId: 'getBundle',
        summary: 'Get the current bundle of a ring, as PEM by Accept; with `after`, wait for a newer one',
        params: z.strictObject({ ring: nameText }),
        querystring: waitQuery,
      },
    },
    async (request, reply) => {
      const { after, wait: waitMs } = request.query;
      const bundle = context.ca.bundle(request.params.ring);
      if (after === undefined) await send(request, reply, bundle, false);
      else waiting.poll(request, reply, { ring: bundle.ring, after, waitMs });
      return reply;
    },
  );
}

function generationRoute(app: RestApp, { ca }: Context): void {
  app.get(
    '/rings/:ring/bundles/:generation',
    {
      config: { access: { verb: 'get', resource: 'rings', subresource: 'bundles', param: 'ring' } },
      schema: {
        ...common,
        operationId: 'getBundleGeneration',
        summary: 'Get one generation of the bundle of a ring, as PEM by Accept',
        params: z.strictObject({ ring: nameText, generation: z.coerce.number().int().min(1).max(largestGeneration) }),
      },
    },
    async (request, reply) => {
      const { ring, generation } = request.params;
      await send(request, reply, await ca.bundleAt(ring, generation), true);
      return reply;
    },
  );
}

/** Whoever submits a request knows the signer, and which ring that is belongs to the configuration. */
function signerRoute(app: RestApp, { ca, config }: Context): void {
  app.get(
    '/signers/:signer/bundle',
    {
      config: { access: { verb: 'get', resource: 'rings', subresource: 'bundle' } },
      schema: {
        ...common,
        operationId: 'getSignerBundle',
        summary: 'Get the current bundle of the ring that a signer name issues from, as PEM by Accept',
        params: z.strictObject({ signer: text(571).meta({ description: '`/` as `%2F`' }) }),
      },
    },
    async (request, reply) => {
      const { signer } = request.params;
      const profile = config.profiles.find(({ signerName }) => signerName === signer);
      if (profile === undefined) throw new RotundaError('not-found', `there is no signer ${JSON.stringify(signer)}`);
      await send(request, reply, ca.bundle(profile.ring), false);
      return reply;
    },
  );
}

/** The representation is made once per bundle, so it bypasses the serializer. */
function send(request: FastifyRequest, reply: FastifyReply, bundle: Bundle, byGeneration: boolean): FastifyReply {
  const answer = answerBundle(bundle, {
    accept: request.headers.accept,
    ifNoneMatch: request.headers['if-none-match'],
    byGeneration,
  });
  reply.code(answer.status).headers(answer.headers);
  return answer.status === 304 ? reply.send() : reply.send(answer.body);
}
