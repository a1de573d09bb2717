import { ringRotation } from '../config/rotation.js';
import type { Context } from '../context.js';
import { startByOf } from '../rotation/outlook/start-by.js';
import { decideStart } from '../rotation/schedule/decide.js';
import { maintenanceWindows } from '../rotation/schedule/windows.js';
import type { RotationState } from '../rotation/types.js';

/** How often is looked whether a ring is due: that is a matter of days. */
const intervalMs = 60_000;
const restartPhases: readonly RotationState[] = ['trusting', 'retrusting', 'distrusting', 'untrusting', 'spreading', 'cut'];

/** Starts rotations of rings that are due, where all that is needed for one is there. Never rejects: what fails is logged. */
export function createAutomaticStart(context: Context): () => Promise<void> {
  let last = 0;
  return async () => {
    const now = context.clock.now().getTime();
    if (Math.abs(now - last) < intervalMs) return;
    last = now;
    if (!context.config.rotation.automatic) return;
    for (const { name } of context.ca.rings()) {
      await startIfDue(context, name, now).catch((error: unknown) => {
        context.logger.warn({ err: error, ring: name }, 'whether the ring is due could not be found out');
      });
    }
  };
}

async function startIfDue(context: Context, ring: string, now: number): Promise<void> {
  const { config, rotations, consumers, logger } = context;
  const settings = ringRotation(config.rotation, ring);
  const startBy = await startByOf(context, ring);
  if (now < startBy.dueAt) return;
  const running = await rotations.running();
  const { start, waitsFor } = decideStart({
    ...{ now, startBy, automatic: config.rotation.automatic, ringAutomatic: settings.automatic },
    classes: (await consumers.verifiers(ring)).classes,
    window: maintenanceWindows(settings.windows).at(now),
    running: running.find((one) => one.ring === ring)?.id,
    restarting: running.find((one) => one.ring !== ring && restartPhases.includes(one.state))?.ring,
  });
  if (!start) {
    logger.warn({ ring, waitsFor: waitsFor.map(({ text }) => text) }, 'a rotation is due and cannot start');
    return;
  }
  const reason = startBy.reason === 'age' ? 'the authority has reached its planned age' : 'the authority expires';
  const request = { ring, kind: 'planned', policy: settings.policy, crossSign: settings.crossSign, options: {}, reason } as const;
  await rotations.start(request, 'system:rotunda');
}
