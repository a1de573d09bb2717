import { ringRotation } from '../config/rotation.js';
import type { Context } from '../context.js';
import { startByOf } from '../rotation/outlook/start-by.js';
import { restartPhases } from '../rotation/planning/restarts.js';
import { decideStart } from '../rotation/schedule/decide.js';
import { maintenanceWindows } from '../rotation/schedule/windows.js';

/** How often is looked whether a ring is due: that is a matter of days. */
const intervalMs = 60_000;
/** How long before it is due an operator hears of what stands in the way. */
const noticeMs = 30 * 86_400_000;

/** Starts rotations of rings that are due, where all that is needed for one is there. Never rejects: what fails is logged. */
export function createAutomaticStart(context: Context): () => Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  const said = new Map<string, string>();
  return async () => {
    const now = context.clock.now().getTime();
    if (Math.abs(now - last) < intervalMs) return;
    last = now;
    for (const { name } of context.ca.rings()) {
      await startIfDue(context, name, now, said).catch((error: unknown) => {
        context.logger.warn({ err: error, ring: name }, 'whether the ring is due could not be found out');
      });
    }
  };
}

async function startIfDue(context: Context, ring: string, now: number, said: Map<string, string>): Promise<void> {
  const { config, rotations, consumers } = context;
  const settings = ringRotation(config.rotation, ring);
  const startBy = await startByOf(context, ring);
  if (now < startBy.dueAt - noticeMs) return;
  const running = await rotations.running();
  const { start, waitsFor } = decideStart({
    ...{ now, startBy, automatic: config.rotation.automatic, ringAutomatic: settings.automatic },
    classes: (await consumers.verifiers(ring)).classes,
    window: maintenanceWindows(settings.windows).at(now),
    running: running.find((one) => one.ring === ring)?.id,
    restarting: running.find((one) => one.ring !== ring && restartPhases.includes(one.state))?.ring,
  });
  if (!start) {
    sayOnce(context, ring, waitsFor, said);
    return;
  }
  const reason = startBy.reason === 'age' ? 'the authority has reached its planned age' : 'the authority expires';
  const { policy, crossSign } = settings;
  await rotations.start({ ring, kind: 'planned', policy, crossSign, options: {}, reason }, 'system:rotunda');
}

/** What stands in the way, when that is another than before; that a rotation runs or time is missing is no news. */
function sayOnce(
  { logger }: Pick<Context, 'logger'>,
  ring: string,
  waitsFor: ReturnType<typeof decideStart>['waitsFor'],
  said: Map<string, string>,
): void {
  const news = waitsFor.filter(({ kind }) => kind === 'switch' || kind === 'classes' || kind === 'restarts');
  const texts = news.map(({ text }) => text);
  if (said.get(ring) === texts.join()) return;
  said.set(ring, texts.join());
  if (texts.length > 0)
    logger.warn({ ring, waitsFor: texts }, 'the ring is to be rotated soon, and cannot be by itself');
}
