import { z } from 'zod';

import type { CertificateFilter } from '../../ca/types.js';
import type { Context } from '../../context.js';
import { negotiate, pemChainType } from './accept.js';
import type { RestApp } from './app.js';
import { supersedeRoute } from './certificate-supersession.js';
import { certificateSchema, certificateView, serialOf } from './certificate-view.js';
import { defined, json, jsonOrPem, nameText, pageOf, pageQuery, problems, text } from './schemas.js';

/** RFC 5280 section 5.3.1, without those that only make sense in delta CRLs or can be undone. */
const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;

const duration = z
  .string()
  .max(16)
  .regex(/^\d{1,9}(s|m|h|d)$/, 'must be a whole number and s, m, h or d, such as 7d');

const querySchema = z.strictObject({
  ...pageQuery,
  ring: nameText.optional(),
  authority: text(64).optional().meta({ description: 'Subject key identifier of the authority that signed it' }),
  inUse: z.enum(['true']).optional().meta({
    description: 'Only those that may still be presented: neither expired nor revoked nor superseded',
  }),
  profile: text(571).optional(),
  node: nameText.optional(),
  cluster: nameText.optional(),
  member: nameText.optional(),
  name: text(253).optional().meta({ description: 'Common name or DNS name, exact' }),
  address: text(64).optional().meta({ description: 'IP address' }),
  serial: text(64).optional(),
  expiringWithin: duration.optional().meta({ description: 'Good now and not any more after this time, such as `7d`' }),
  expiresBefore: z.iso.datetime({ offset: true }).optional().meta({ description: 'RFC 3339' }),
});
const params = z.strictObject({ serial: text(64) });

export function certificateRoutes(app: RestApp, context: Context): void {
  readRoutes(app, context);
  revokeRoute(app, context);
  supersedeRoute(app, context);
}

function readRoutes(app: RestApp, { ca, bans, clock }: Context): void {
  app.get(
    '/certificates',
    {
      config: { access: { verb: 'list', resource: 'certificates' } },
      schema: {
        operationId: 'listCertificates',
        summary: 'Search the inventory of issued certificates',
        tags: ['certificates'],
        querystring: querySchema,
        response: { 200: json('The certificates', pageOf(certificateSchema)), ...problems },
      },
    },
    async (request) => {
      const page = await ca.certificates.list(filterOf(request.query, clock.now().getTime()));
      return defined({ items: page.items.map((record) => certificateView(record, bans)), continue: page.continue });
    },
  );
  app.get(
    '/certificates/:serial',
    {
      config: { access: { verb: 'get', resource: 'certificates', param: 'serial' } },
      schema: {
        operationId: 'getCertificate',
        summary: 'Get one certificate, as PEM by Accept',
        tags: ['certificates'],
        params,
        response: { 200: jsonOrPem('The certificate', certificateSchema), ...problems },
      },
    },
    async (request, reply) => {
      const format = negotiate(request.headers.accept);
      const record = await ca.certificates.get(serialOf(request.params.serial));
      reply.header('vary', 'accept');
      if (format === 'json') return reply.send(certificateView(record, bans));
      return reply.type(pemChainType).send(record.pem);
    },
  );
}

function revokeRoute(app: RestApp, { ca, bans, revocation }: Context): void {
  app.post(
    '/certificates/:serial/revoke',
    {
      config: { access: { verb: 'update', resource: 'certificates', subresource: 'revoke', param: 'serial' } },
      schema: {
        operationId: 'revokeCertificate',
        summary: 'Revoke a certificate: its holder is refused at once',
        tags: ['certificates'],
        params,
        body: z
          .strictObject({ reason: z.enum(revocationReasons).optional() })
          .meta({ id: 'CertificateRevocation', description: 'Why, in the words of RFC 5280 section 5.3.1' }),
        response: { 200: json('The revoked certificate', certificateSchema), ...problems },
      },
    },
    async (request) => {
      const serial = serialOf(request.params.serial);
      await revocation.revoke(serial, { actor: request.identity, ...defined(request.body) });
      return certificateView(await ca.certificates.get(serial), bans);
    },
  );
}

function filterOf(query: z.output<typeof querySchema>, now: number): CertificateFilter {
  const { expiringWithin, expiresBefore, serial, inUse, ...rest } = query;
  const within = expiringWithin === undefined ? undefined : now + durationMs(expiringWithin);
  const before = expiresBefore === undefined ? undefined : Date.parse(expiresBefore);
  const ends = [within, before].filter((time) => time !== undefined);
  return {
    ...defined(rest),
    ...(serial === undefined ? {} : { serial: serialOf(serial) }),
    ...(inUse === undefined ? {} : { inUseAt: now }),
    ...(ends.length === 0 ? {} : { expiresBefore: Math.min(...ends) }),
    ...(within === undefined ? {} : { expiresAfter: now }),
  };
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationMs(duration: string): number {
  return Number(duration.slice(0, -1)) * (unitMs[duration.slice(-1)] ?? 0);
}
