import { z } from 'zod';

import type { Context } from '../../context.js';
import { supersede } from '../../identity/supersession.js';
import type { RestApp } from './app.js';
import { certificateSchema, certificateView, serialOf } from './certificate-view.js';
import { json, problems, text } from './schemas.js';

const params = z.strictObject({ serial: text(64) });

export function supersedeRoute(app: RestApp, context: Context): void {
  const { ca, bans } = context;
  app.post(
    '/certificates/:serial/supersede',
    {
      config: { access: { verb: 'update', resource: 'certificates', subresource: 'supersede', param: 'serial' } },
      schema: {
        operationId: 'supersedeCertificate',
        summary: 'Say that nothing presents a certificate any more, so that it does not keep its authority in use',
        description: 'It stays valid. Where it is presented to this service after all, it counts as in use again.',
        tags: ['certificates'],
        params,
        body: z
          .strictObject({ reason: text(1024) })
          .meta({ id: 'CertificateSupersession', description: 'How that is known, for the record' }),
        response: { 200: json('The certificate', certificateSchema), ...problems },
      },
    },
    async (request) => {
      const serial = serialOf(request.params.serial);
      await supersede(context, serial, { reason: request.body.reason, actor: request.identity });
      return certificateView(await ca.certificates.get(serial), bans);
    },
  );
}
