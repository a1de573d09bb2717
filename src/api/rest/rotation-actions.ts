import { z } from 'zod';

import type { Context } from '../../context.js';
import type { RestApp } from './app.js';
import { findRotation, rotationParams } from './rotation-names.js';
import { rotationSchema, rotationView } from './rotation-views.js';
import { json, nameText, problems, text } from './schemas.js';

type Verb = 'pause' | 'resume' | 'advance' | 'rollback';

const orderSchema = z
  .strictObject({
    reason: text(1024).optional().meta({ description: 'For the record' }),
    version: z.number().int().min(1).optional().meta({
      description: 'The version that this was decided on: 409 where the rotation was changed since',
    }),
  })
  .meta({ id: 'RotationOrder', description: 'Why, and on which version of the rotation' });

const advanceSchema = orderSchema
  .extend({
    confirm: nameText.optional().meta({
      description: 'Of an emergency that is not to wait any longer: the name of the ring',
    }),
  })
  .meta({ id: 'RotationAdvance', description: 'Why, on which version, and in an emergency that it is meant' });

const verbs: readonly { readonly verb: Verb; readonly summary: string; readonly description: string }[] = [
  {
    verb: 'pause',
    summary: 'Keep a rotation where it is',
    description:
      'What is issued and served goes on. The deadline of an emergency passes all the same: nothing is cut off while it is paused.',
  },
  {
    verb: 'resume',
    summary: 'Let a paused rotation go on',
    description: '409 while the ring is not as the rotation left it.',
  },
  {
    verb: 'advance',
    summary: 'Allow the present state to be left, where a person has to say so',
    description:
      'No gate opens by it but the one that waits for a person. In an emergency it ends the waiting, whoever is left behind, and has to be confirmed. For administrators.',
  },
  {
    verb: 'rollback',
    summary: 'Turn back to the old authority',
    description:
      "409 where there is no way back: the old key is gone, or may be somebody else's too. For administrators.",
  },
];

export function rotationActionRoutes(app: RestApp, context: Context): void {
  for (const { verb, summary, description } of verbs) {
    app.post(
      `/rotations/:rotation/${verb}`,
      {
        config: { access: { verb: 'update', resource: 'rotations', subresource: verb, param: 'rotation' } },
        schema: {
          operationId: `${verb}Rotation`,
          ...{ summary, description, tags: ['rotations'] },
          params: rotationParams,
          body: verb === 'advance' ? advanceSchema : orderSchema,
          response: { 200: json('The rotation', rotationSchema), ...problems },
        },
      },
      async (request) => {
        const { reason = '', version, confirm }: z.output<typeof advanceSchema> = request.body;
        const { id } = await findRotation(context, request.params.rotation);
        const order = { actor: request.identity.username, reason, version, confirm };
        return rotationView(await context.rotations[verb](id, order));
      },
    );
  }
}
