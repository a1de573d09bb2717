import { z } from 'zod';

import type { Ring } from '../../ca/types.js';
import type { RestApp } from './app.js';
import type { Context } from '../../context.js';
import { paginate } from './page.js';
import { json, nameText, pageOf, pageQuery, problems } from './schemas.js';

const ringSchema = z
  .object({
    name: z.string(),
    generation: z.number().int().meta({ description: 'Of the current bundle' }),
    epoch: z.number().int().meta({ description: 'Counts changes of the signing authority' }),
    activeAuthority: z.string().meta({ description: 'Subject key identifier of the authority that signs' }),
    subject: z.string().meta({ description: 'Subject of that authority, RFC 4514' }),
    frozen: z.boolean().meta({ description: "Nothing is signed: the key may be somebody else's too" }),
    joinFloor: z.number().int().meta({
      description: 'The bundle generation that a request has to state at least; 0 while none is asked for',
    }),
    joinsHeld: z.boolean().meta({ description: 'Whoever cannot say which bundle it holds has to wait' }),
  })
  .meta({ id: 'Ring', description: 'A trust domain' });

export type RingView = z.output<typeof ringSchema>;

export function ringRoutes(app: RestApp, { ca }: Context): void {
  app.get(
    '/rings',
    {
      config: { access: { verb: 'list', resource: 'rings' } },
      schema: {
        operationId: 'listRings',
        summary: 'List rings',
        tags: ['rings'],
        querystring: z.strictObject(pageQuery),
        response: { 200: json('The rings', pageOf(ringSchema)), ...problems },
      },
    },
    (request) => {
      const page = paginate(ca.rings(), (ring) => ring.name, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.get(
    '/rings/:ring',
    {
      config: { access: { verb: 'get', resource: 'rings', param: 'ring' } },
      schema: {
        operationId: 'getRing',
        summary: 'Get one ring',
        tags: ['rings'],
        params: z.strictObject({ ring: nameText }),
        response: { 200: json('The ring', ringSchema), ...problems },
      },
    },
    (request) => viewOf(ca.ring(request.params.ring)),
  );
}

function viewOf(ring: Ring): RingView {
  const { name, generation, epoch, active, frozen, joinFloor, joinsHeld } = ring;
  const { ski: activeAuthority, subject } = active;
  return { name, generation, epoch, activeAuthority, subject, frozen, joinFloor, joinsHeld };
}
