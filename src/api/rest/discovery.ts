import { hash } from 'node:crypto';
import type { AddressInfo } from 'node:net';

import { z } from 'zod';

import { requireOneBundle } from '../../config-maps/published.js';
import type { Context } from '../../context.js';
import { ownUrl } from '../../service/own-url.js';
import type { RestApp } from './app.js';
import { json, problems } from './schemas.js';

const discoverySchema = z
  .object({
    server: z.string().meta({ description: 'Where kubeadm reads cluster-info: the address of this service' }),
    pins: z.array(z.string()).meta({
      description:
        '`sha256:<hex>` over the public key of each anchor; any of them is good as --discovery-token-ca-cert-hash',
    }),
  })
  .meta({ id: 'Discovery', description: 'What `kubeadm join` needs besides a token' });

export type DiscoveryView = z.output<typeof discoverySchema>;

export function discoveryRoutes(app: RestApp, { ca, config }: Context): void {
  app.get(
    '/discovery',
    {
      config: { access: { verb: 'get', resource: 'bundles' } },
      schema: {
        operationId: 'getDiscovery',
        summary: 'Get the address and the pins for kubeadm join',
        tags: ['tokens'],
        response: { 200: json('Address and pins', discoverySchema), ...problems },
      },
    },
    () => {
      requireOneBundle(config);
      const { port } = app.server.address() as AddressInfo;
      const { anchors } = ca.bundle(config.topology.kubernetesServer);
      const pins = anchors.map(({ key }) => `sha256:${hash('sha256', key.spki, 'hex')}`);
      return { server: config.advertiseUrl ?? ownUrl(config, port), pins };
    },
  );
}
