import type { Context } from '../context.js';
import { probedConsumers } from '../rotation/probing/consumers.js';
import { createCredentials } from '../rotation/probing/credentials.js';
import { createProber } from '../rotation/probing/prober.js';
import { createRounds, type Rounds } from '../rotation/probing/rounds.js';
import type { EffectHandlers } from '../rotation/effects.js';
import { wavesByPrivilege } from '../rotation/renewal/privilege.js';
import { createAutomaticStart } from './automatic-start.js';
import type { Rotation } from '../rotation/types.js';
import { copyKey, copyPhases } from '../rotation/planning/restarts.js';
import { readCopies } from './copies.js';
import type { Duties } from './maintenance.js';
import type { RotationChores } from './rotating.js';

/** What the leader does for rotations, beside moving them, with what this service has at hand. */
export async function rotationChores(context: Context, maintenance: Duties): Promise<RotationChores> {
  const { consumers, config, rotations } = context;
  await consumers.syncConfigured(config.consumers);
  const rounds = roundsOf(context);
  const startDue = createAutomaticStart(context);
  const readAll = copyReader(context);
  return {
    look: async () => {
      readAll(await rotations.running());
    },
    before: async () => {
      await startDue();
      rounds.kick(await rotations.running());
    },
    effects: effectHandlers(context, maintenance, rounds),
    stop: () => rounds.stop(),
  };
}

/** Reads copies back beside the machine, which has a lease to keep: an API server that is down answers late. */
function copyReader(context: Context): (running: readonly Rotation[]) => void {
  let reading = false;
  const read = async (running: readonly Rotation[]): Promise<void> => {
    for (const rotation of running)
      if (copyPhases.includes(rotation.state))
        context.copies.set(copyKey(rotation), await readCopies(context, rotation));
  };
  return (running) => {
    const present = new Set(running.map(copyKey));
    for (const key of context.copies.keys()) if (!present.has(key)) context.copies.delete(key);
    if (reading) return;
    reading = true;
    read(running)
      .catch((error: unknown) => {
        context.logger.warn({ err: error }, 'what others keep of a bundle could not be read back');
      })
      .finally(() => {
        reading = false;
      });
  };
}

function roundsOf(context: Context): Rounds {
  const { ca, store, clock, random, logger, consumers, config } = context;
  const prober = createProber({
    ...{ store, clock, random, logger: logger.child({ component: 'probes' }) },
    credentials: createCredentials({ canary: (order) => ca.canary(order), clock, random }),
    authorities: (ring) => ca.authorities(ring),
    consumers: probedConsumers({ store, clock, topology: config.topology }),
    prove: (proof) => consumers.prove(undefined, proof),
  });
  return createRounds({ prober, clock, logger });
}

function effectHandlers(context: Context, maintenance: Duties, rounds: Rounds): EffectHandlers {
  const { rotations, renewals, logger, ca } = context;
  return {
    // What failed of it is left to do, and shows as that.
    'own-certificates': () => maintenance.complete(),
    'published-objects': () => maintenance.complete(),
    renewals: async ({ rotation: id, ring }) => {
      const { kind, oldKey, newKey, options, stateSince } = await rotations.get(id);
      // Whoever holds a leaf of the authority that does not sign any more is asked for it, each at its own moment.
      const authority = ca.ring(ring).active.ski === newKey ? oldKey : newKey;
      if (kind !== 'emergency') {
        await renewals.ask({ ring, authority, reason: 'rotation' }, 'system:rotunda');
        return;
      }
      const emergency = { ring, authority, since: stateSince, deadline: options.deadline ?? stateSince };
      for (const wave of wavesByPrivilege(context.config.profiles, emergency))
        await renewals.ask(wave, 'system:rotunda');
    },
    probes: async () => {
      rounds.kick(await rotations.running(), { now: true });
    },
    copies: () => Promise.resolve(),
    notify: ({ rotation, ring }) => {
      logger.info({ rotation, ring }, 'a rotation has moved; rotunda rotation explain shows what it waits for');
      return Promise.resolve();
    },
  };
}
