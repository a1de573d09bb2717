import type { Context } from '../context.js';
import type { Maintenance } from './maintenance.js';
import type { RotationChores } from './rotating.js';

/** What the leader does for rotations, beside moving them, with what this service has at hand. */
export async function rotationChores(context: Context, maintenance: Maintenance): Promise<RotationChores> {
  const { consumers, config, logger } = context;
  await consumers.syncConfigured(config.consumers);
  return {
    before: () => Promise.resolve(),
    effects: {
      'own-certificates': () => maintenance.run(),
      'published-objects': () => maintenance.run(),
      renewals: () => Promise.resolve(),
      probes: () => Promise.resolve(),
      copies: () => Promise.resolve(),
      notify: ({ rotation, ring }) => {
        logger.info({ rotation, ring }, 'a rotation has moved; rotunda rotation explain shows what it waits for');
        return Promise.resolve();
      },
    },
  };
}
