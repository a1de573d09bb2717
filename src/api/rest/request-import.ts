import { z } from 'zod';

import type { Context } from '../../context.js';
import type { CertificateRequest } from '../../csr/types.js';
import type { RestApp } from './app.js';
import { requestSchema, requestViewer } from './request-view.js';
import { defined, json, nameText, problems, text } from './schemas.js';

const map = z.record(text(317), text(16_384, 0));
const importSchema = z
  .strictObject({
    metadata: z.strictObject({
      name: nameText,
      uid: z.uuid().meta({ description: 'Kept, so that who waits for the request finds it' }),
      labels: map.optional(),
      annotations: z.record(text(317), z.string().max(32_768)).optional(),
      creationTimestamp: z.iso.datetime().optional(),
    }),
    spec: z
      .strictObject({
        request: z.base64().max(32_768).meta({ description: 'base64 of PEM, as in the Kubernetes object' }),
        signerName: text(571),
        expirationSeconds: z.number().int().optional(),
        usages: z.array(text(64)).max(32).optional(),
        username: text(1024),
        uid: text(253, 0).optional(),
        groups: z.array(text(1024)).max(256).optional(),
        extra: z.record(text(1024), z.array(text(4096, 0)).max(64)).optional(),
      })
      .meta({ description: 'As the API server recorded it; the requester in it is believed' }),
    approve: z.boolean().default(false).meta({
      description:
        'A person had approved it there, and the caller says so. Does not count for names of the cluster itself and for what no API server vouches for: these wait for a person here',
    }),
    approval: z
      .strictObject({ reason: text(128, 0), message: text(1024, 0) })
      .optional()
      .meta({ description: 'The approval that it had; kept for signers that this service does not serve' }),
  })
  .meta({ id: 'RequestImport', description: 'A request that waits on an API server' });

/** Taking along what waits on an API server when its group is handed over. */
export function importRoute(app: RestApp, { requests, proxied, config, clock }: Context): void {
  const requestView = requestViewer(config.profiles);
  app.post(
    '/requests/import',
    {
      config: { access: { verb: 'create', resource: 'requests', subresource: 'import' } },
      schema: {
        operationId: 'importRequest',
        summary: 'Take over a request that waits on an API server',
        description:
          'Name, uid and requester stay as they are there; the rules decide about it as about any other. Importing it again changes nothing. Administrators only.',
        tags: ['requests'],
        body: importSchema,
        response: { 201: json('The request', requestSchema), ...problems },
      },
    },
    async (request, reply) => {
      const { metadata, spec, approve, approval } = request.body;
      const { uid, creationTimestamp, ...kept } = defined(metadata);
      const { username, uid: userUid = '', groups = [], extra = {}, ...asked } = defined(spec);
      const requester = await proxied.identityOf({ username, uid: userUid, groups, extra });
      const createdAt = creationTimestamp === undefined ? clock.now().getTime() : Date.parse(creationTimestamp);
      const imported = { metadata: kept, spec: asked, uid, createdAt, requester, approval, approve };
      const text = await requests.import(imported, request.identity);
      return reply.code(201).send(requestView(JSON.parse(text) as CertificateRequest));
    },
  );
}
