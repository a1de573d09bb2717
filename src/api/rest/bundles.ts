import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import type { Bundle } from '../../ca/types.js';
import type { Context } from '../../context.js';
import { answerBundle } from '../public/bundle.js';
import type { RestApp } from './app.js';
import { jsonOrPem, nameText, problems, timeText } from './schemas.js';

const bundleSchema = z
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
  })
  .meta({ id: 'Bundle', description: "A ring's published set of anchors" });

const notModified = { description: 'If-None-Match names the current one' };
const headers = z.object({
  'if-none-match': z.string().max(2048).optional().meta({ description: 'ETag of the copy at hand' }),
});

export type BundleView = z.output<typeof bundleSchema>;

/** Anyone may read bundles: clients need them before they can trust anything. */
export function bundleRoutes(app: RestApp, { ca }: Context): void {
  app.get(
    '/rings/:ring/bundle',
    {
      config: { access: { verb: 'get', resource: 'rings', subresource: 'bundle', param: 'ring' } },
      schema: {
        operationId: 'getBundle',
        summary: 'Get the current bundle of a ring, as PEM by Accept',
        tags: ['bundles'],
        security: [{}],
        headers,
        params: z.strictObject({ ring: nameText }),
        response: {
          200: jsonOrPem('The bundle', bundleSchema),
          304: z.undefined().describe(notModified.description),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      await send(request, reply, ca.bundle(request.params.ring), false);
      return reply;
    },
  );
  app.get(
    '/rings/:ring/bundles/:generation',
    {
      config: { access: { verb: 'get', resource: 'rings', subresource: 'bundles', param: 'ring' } },
      schema: {
        operationId: 'getBundleGeneration',
        summary: 'Get one generation of the bundle of a ring, as PEM by Accept',
        tags: ['bundles'],
        security: [{}],
        headers,
        params: z.strictObject({ ring: nameText, generation: z.coerce.number().int().min(1).max(2_147_483_647) }),
        response: {
          200: jsonOrPem('The bundle', bundleSchema),
          304: z.undefined().describe(notModified.description),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { ring, generation } = request.params;
      await send(request, reply, await ca.bundleAt(ring, generation), true);
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
