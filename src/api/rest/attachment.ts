import { z } from 'zod';

import type { AttachmentStatus } from '../../attach/attachment.js';
import type { Context } from '../../context.js';
import type { RestApp } from './app.js';
import { defined, json, optionalTime, problems, timeText } from './schemas.js';

const dnsLabel = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a lower-case DNS label');

const serviceSchema = z.strictObject({
  name: dnsLabel,
  namespace: dnsLabel,
  port: z.number().int().min(1).max(65_535),
});

const draftSchema = z
  .strictObject({
    service: serviceSchema.meta({
      description: 'The Service that the API server finds this service by; the serving certificate gets its name',
    }),
    cluster: z
      .strictObject({
        server: z.url({ protocol: /^https$/, error: 'must be an https URL' }).max(2048),
        certificateAuthority: z.string().min(1).max(32_768).meta({ description: 'What it is verified with, PEM' }),
      })
      .optional()
      .meta({ description: 'The API server; without it, this service asks nothing of it' }),
  })
  .meta({ id: 'AttachmentDraft', description: 'That this service stands behind an API server' });

const attachmentSchema = z
  .object({
    service: serviceSchema.optional().meta({ description: 'Absent: this service stands alone' }),
    server: z.string().optional().meta({ description: 'The API server' }),
    since: timeText.optional(),
    by: z.string().optional(),
    servingRing: z.string().meta({ description: 'The ring of its serving certificate, which the API server verifies' }),
    credential: z
      .object({
        state: z.enum(['none', 'ready', 'failing']),
        notAfter: timeText.optional(),
        problem: z.string().optional(),
      })
      .meta({ description: 'What this service asks the API server with' }),
    caBundle: z
      .object({
        state: z.enum(['in-step', 'behind', 'detached', 'manual']),
        generation: z.number().int().meta({ description: 'Of the ring that serves' }),
        problem: z.string().optional(),
      })
      .optional()
      .meta({ description: 'Whether the APIService has the current bundle; `manual`: an administrator keeps it' }),
    frontProxyProblem: z.string().optional().meta({
      description:
        'Why the API server does not tell this service whose request headers to believe; absent when it does',
    }),
    tokenSecrets: z
      .object({ written: z.number().int(), waiting: z.number().int(), problems: z.array(z.string()) })
      .meta({ description: 'Bootstrap tokens as Secrets on the API server' }),
  })
  .meta({ id: 'Attachment', description: 'How this service stands behind an API server' });

export type AttachmentView = z.output<typeof attachmentSchema>;

const access = { resource: 'attachment' };

export function attachmentRoutes(app: RestApp, { attachment }: Context): void {
  app.get(
    '/attachment',
    {
      config: { access: { ...access, verb: 'get' } },
      schema: {
        operationId: 'getAttachment',
        summary: 'Show how this service stands behind an API server',
        tags: ['attachment'],
        response: { 200: json('The attachment', attachmentSchema), ...problems },
      },
    },
    async () => viewOf(await attachment.status()),
  );
  app.put(
    '/attachment',
    {
      config: { access: { ...access, verb: 'update' } },
      schema: {
        operationId: 'setAttachment',
        summary:
          'Let this service stand behind an API server; rotunda kubernetes attach does the rest on the API server',
        tags: ['attachment'],
        body: draftSchema,
        response: { 200: json('The attachment', attachmentSchema), ...problems },
      },
    },
    async (request) => {
      const { service, cluster } = request.body;
      const known =
        cluster === undefined ? {} : { cluster: { server: cluster.server, ca: cluster.certificateAuthority } };
      await attachment.set({ service, ...known }, request.identity.username);
      return viewOf(await attachment.status());
    },
  );
  app.delete(
    '/attachment',
    {
      config: { access: { ...access, verb: 'delete' } },
      schema: {
        operationId: 'clearAttachment',
        summary: 'Let this service stand alone again',
        tags: ['attachment'],
        response: { 204: z.undefined().describe('It stands alone now'), ...problems },
      },
    },
    async (request, reply) => {
      await attachment.clear(request.identity.username);
      return reply.code(204).send();
    },
  );
}

function viewOf(status: AttachmentStatus): AttachmentView {
  const { record, credential, sink, frontProxyProblem, tokenSecrets } = status;
  return defined({
    service: record?.service,
    server: record?.cluster?.server,
    since: optionalTime(record?.since),
    by: record?.by,
    servingRing: status.servingRing,
    credential: defined({ ...credential, notAfter: optionalTime(credential.notAfter) }),
    caBundle: sink,
    frontProxyProblem: record === undefined ? undefined : frontProxyProblem,
    tokenSecrets: { ...tokenSecrets, problems: [...tokenSecrets.problems] },
  });
}
