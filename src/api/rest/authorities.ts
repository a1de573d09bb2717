import { z } from 'zod';

import type { Authority } from '../../ca/types.js';
import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { negotiate, pemChainType } from './accept.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { json, jsonOrPem, nameText, pageOf, pageQuery, problems, timeOf, timeText } from './schemas.js';

const authoritySchema = z
  .object({
    ski: z.string().meta({ description: 'Subject key identifier, lower-case hex: its name' }),
    ring: z.string(),
    subject: z.string().meta({ description: 'RFC 4514' }),
    state: z.enum(['staged', 'trusted', 'active', 'draining', 'distrusted', 'destroyed']),
    tainted: z.boolean(),
    keyType: z.enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519']),
    createdAt: timeText,
    certificates: z.array(
      z.object({
        kind: z.enum(['self-signed', 'reissued', 'withdrawn', 'cross-signed', 'subordinate']),
        serial: z.string(),
        fingerprint: z.string().meta({ description: 'SHA-256 of the DER, lower-case hex' }),
        notBefore: timeText,
        notAfter: timeText,
        certificate: z.string().meta({ description: 'PEM' }),
      }),
    ),
  })
  .meta({
    id: 'Authority',
    description: 'One CA generation of a ring: one key, one Subject, one or more certificates',
  });

export type AuthorityView = z.output<typeof authoritySchema>;

export function authorityRoutes(app: RestApp, { ca }: Context): void {
  app.get(
    '/authorities',
    {
      config: { access: { verb: 'list', resource: 'authorities' } },
      schema: {
        operationId: 'listAuthorities',
        summary: 'List authorities',
        tags: ['authorities'],
        querystring: z.strictObject({ ...pageQuery, ring: nameText.optional() }),
        response: { 200: json('The authorities', pageOf(authoritySchema)), ...problems },
      },
    },
    (request) => {
      const page = paginate(ca.authorities(request.query.ring), (authority) => authority.ski, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.get(
    '/authorities/:ski',
    {
      config: { access: { verb: 'get', resource: 'authorities', param: 'ski' } },
      schema: {
        operationId: 'getAuthority',
        summary: 'Get one authority, its certificates as PEM by Accept',
        tags: ['authorities'],
        params: z.strictObject({ ski: nameText }),
        response: { 200: jsonOrPem('The authority', authoritySchema), ...problems },
      },
    },
    async (request, reply) => {
      const format = negotiate(request.headers.accept);
      const authority = find(ca.authorities(), request.params.ski);
      reply.header('vary', 'accept');
      if (format === 'json') return reply.send(viewOf(authority));
      return reply.type(pemChainType).send(authority.certificates.map(({ pem }) => pem).join(''));
    },
  );
}

function find(authorities: readonly Authority[], ski: string): Authority {
  const wanted = ski.replaceAll(':', '').toLowerCase();
  const found = authorities.find((authority) => authority.ski === wanted);
  if (found !== undefined) return found;
  throw new RotundaError('not-found', `there is no authority ${JSON.stringify(ski)}`, {
    object: { resource: 'authorities', name: ski },
    hint: 'rotunda authority list shows the subject key identifiers',
  });
}

function viewOf(authority: Authority): AuthorityView {
  const { ski, ring, subject, state, tainted, keyType, createdAt, certificates } = authority;
  return {
    ski,
    ring,
    subject,
    state,
    tainted,
    keyType,
    createdAt: timeOf(createdAt),
    certificates: certificates.map(({ kind, facts, pem }) => ({
      kind,
      serial: facts.serial,
      fingerprint: facts.fingerprint,
      notBefore: timeOf(facts.notBefore),
      notAfter: timeOf(facts.notAfter),
      certificate: pem,
    })),
  };
}
