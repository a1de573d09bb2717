import { z } from 'zod';

import type { Identity } from '../../identity/types.js';
import type { RestApp } from './app.js';
import { defined, json, problems } from './schemas.js';

const whoamiSchema = z
  .object({
    username: z.string(),
    groups: z.array(z.string()),
    kind: z.enum(['anonymous', 'certificate', 'token', 'user', 'internal']),
    ring: z.string().optional().meta({ description: 'The ring that vouches, for certificates' }),
    serial: z.string().optional().meta({ description: 'Of the certificate' }),
    token: z.string().optional().meta({ description: 'Id of the token' }),
    node: z.string().optional().meta({ description: 'The enrolled machine that the caller is' }),
    member: z
      .object({ cluster: z.string(), name: z.string() })
      .optional()
      .meta({ description: 'The etcd member that the caller is' }),
    roles: z.array(z.string()),
  })
  .meta({ id: 'Whoami', description: 'The caller, as the service sees it' });

export type WhoamiView = z.output<typeof whoamiSchema>;

export function whoamiRoutes(app: RestApp): void {
  app.get(
    '/whoami',
    {
      config: { access: 'authenticated' },
      schema: {
        operationId: 'whoami',
        summary: 'Show the caller as the service sees it',
        tags: ['identity'],
        response: { 200: json('The caller', whoamiSchema), ...problems },
      },
    },
    (request) => viewOf(request.identity),
  );
}

function viewOf(identity: Identity): WhoamiView {
  const { username, groups, kind, ring, certificate, token, node, member, roles } = identity;
  return defined({
    username,
    groups: [...groups],
    kind,
    ring,
    serial: certificate?.serial,
    token: token?.id,
    node,
    member,
    roles: [...roles],
  });
}
