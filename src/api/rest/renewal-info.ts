import type { AddressInfo } from 'node:net';

import type { FastifyReply } from 'fastify';
import { z } from 'zod';

import type { Context } from '../../context.js';
import type { RenewalInfo } from '../../rotation/renewal/info.js';
import { ownUrl } from '../../service/own-url.js';
import { matchesEtag } from '../public/bundle.js';
import { etagOf } from './etag.js';
import type { RestApp } from './app.js';
import { defined, json, problems, text, timeOf, timeText } from './schemas.js';

const infoSchema = z
  .object({
    suggestedWindow: z.object({ start: timeText, end: timeText }),
    explanationURL: z
      .string()
      .optional()
      .meta({ description: 'Why it is not the window that the certificate began with' }),
  })
  .meta({ id: 'RenewalInfo', description: 'When a certificate is to be renewed (RFC 9773 section 4.2)' });

const params = z.strictObject({
  certificate: text(220).meta({
    description: '`base64url(keyIdentifier of the AKI).base64url(serial number)` as in RFC 9773, or the serial in hex',
  }),
});
const headers = z.object({
  'if-none-match': z.string().max(2048).optional().meta({ description: 'ETag of the copy at hand' }),
});

export type RenewalInfoView = z.output<typeof infoSchema>;

/** What asks may ask again after minutes: the time to do so is in Retry-After, which caches do not look at. */
const cacheControl = 'public, max-age=300';

/** Anybody may ask, as with an ACME server: whoever has a serial has seen the certificate. */
export function renewalInfoRoutes(app: RestApp, { renewals, config }: Context): void {
  app.get(
    '/renewal-info/:certificate',
    {
      config: { access: { verb: 'get', resource: 'renewalinfo' } },
      schema: {
        operationId: 'getRenewalInfo',
        summary: 'Get the window in which a certificate is to be renewed; Retry-After says when to ask again',
        tags: ['renewals'],
        security: [{}],
        params,
        headers,
        response: {
          200: json('The window; one in the past means now', infoSchema),
          304: z.undefined().describe('If-None-Match names the current one'),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const info = await renewals.info(request.params.certificate);
      const { port } = app.server.address() as AddressInfo;
      const body = viewOf(info, config.advertiseUrl ?? ownUrl(config, port));
      return answer(reply, info, { body, ifNoneMatch: request.headers['if-none-match'] });
    },
  );
}

function answer(
  reply: FastifyReply,
  { retryAfterMs }: RenewalInfo,
  { body, ifNoneMatch }: { readonly body: RenewalInfoView; readonly ifNoneMatch: string | undefined },
): FastifyReply {
  const etag = etagOf(JSON.stringify(body));
  reply
    .header('etag', etag)
    .header('cache-control', cacheControl)
    .header('retry-after', String(Math.floor(retryAfterMs / 1000)));
  return matchesEtag(ifNoneMatch, etag) ? reply.code(304).send() : reply.send(body);
}

/** The end is rounded up, so that no window is empty. */
function viewOf({ window: { from, until, rule } }: RenewalInfo, url: string): RenewalInfoView {
  const start = timeOf(from);
  const end = timeOf(Math.max(Math.ceil(until / 1000) * 1000, Math.floor(from / 1000) * 1000 + 1000));
  return defined({
    suggestedWindow: { start, end },
    explanationURL: rule && `${url}/pki/v1/renewal-rules/${rule.id}`,
  });
}
