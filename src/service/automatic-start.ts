import { ringRotation } from '../config/rotation.js';
import type { Context } from '../context.js';
import { startByOf } from '../rotation/outlook/start-by.js';
import { restartPhases } from '../rotation/planning/restarts.js';
import { scheduleAlert } from '../rotation/schedule/alerts.js';
import { decideStart, type StartHindrance } from '../rotation/schedule/decide.js';
import type { StartBy } from '../rotation/schedule/start-by.js';
import { maintenanceWindows } from '../rotation/schedule/windows.js';
import type { Rotation } from '../rotation/types.js';

/** How often is looked whether a ring is due: that is a matter of days. */
const intervalMs = 60_000;
/** How long before it is due an operator hears of what stands in the way. */
const noticeMs = 30 * 86_400_000;

/** By ring, and what about it: the last that was logged. */
type Said = Map<string, string>;

const told: readonly StartHindrance['kind'][] = ['switch', 'classes', 'turned-back', 'restarts'];

/** Starts rotations of rings that are due, where all that is needed for one is there. Never rejects: what fails is logged. */
export function createAutomaticStart(context: Context): () => Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  const said: Said = new Map();
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

/** As a share of the planned age: how long what somebody has turned back is not begun again by itself. */
const restShare = 1 / 12;
/** Also where it is late already: whoever turned it back has to have the time to do something about it. */
const leastRestMs = 86_400_000;

async function startIfDue(context: Context, ring: string, now: number, said: Said): Promise<void> {
  const { config, rotations, consumers } = context;
  const settings = ringRotation(config.rotation, ring);
  const startBy = await startByOf(context, ring);
  if (now < startBy.dueAt - noticeMs) return;
  const running = await rotations.running();
  const own = running.find((one) => one.ring === ring);
  warnWhereLate(context, { ring, now, startBy, running: own }, said);
  const decision = decideStart({
    ...{ now, startBy, automatic: config.rotation.automatic, ringAutomatic: settings.automatic },
    classes: (await consumers.verifiers(ring)).classes,
    window: maintenanceWindows(settings.windows).at(now),
    running: own?.id,
    turnedBack: await lastTurnedBack(context, ring, { rest: settings.plannedAge * restShare, latest: startBy.startBy }),
    restarting: running.find((one) => one.ring !== ring && restartPhases.includes(one.state))?.ring,
  });
  if (!decision.start) {
    // One that leads away from the present authority is what is wanted; one that led to it should be over.
    const stays = decision.due && own?.newKey === context.ca.ring(ring).active.ski;
    sayOnce(context, ring, { ...decision, stays }, said);
    return;
  }
  const reason = startBy.reason === 'age' ? 'the authority has reached its planned age' : 'the authority expires';
  const { policy, crossSign } = settings;
  await rotations.start({ ring, kind: 'planned', policy, crossSign, options: {}, reason }, 'system:rotunda');
}

/** Whoever turned it back had a reason, which is most often still there. */
async function lastTurnedBack(
  { rotations }: Pick<Context, 'rotations'>,
  ring: string,
  { rest, latest }: { readonly rest: number; readonly latest: number },
): Promise<{ readonly id: string; readonly until: number } | undefined> {
  const [last] = await rotations.list({ ring, limit: 1 });
  if (last?.finishedAt === undefined || last.state === 'finished') return undefined;
  const least = last.finishedAt + Math.min(rest, leastRestMs);
  return { id: last.id, until: Math.max(least, Math.min(last.finishedAt + rest, latest)) };
}

type Late = {
  readonly ring: string;
  readonly now: number;
  readonly startBy: StartBy;
  readonly running: Rotation | undefined;
};

/** The end of the authority comes nearer than a rotation takes. */
function warnWhereLate({ logger, ca }: Context, { ring, now, startBy, running }: Late, said: Said): void {
  const { ski } = ca.ring(ring).active;
  const published = ca.bundle(ring).anchors.filter(({ subjectKeyId }) => subjectKeyId === ski);
  const notAfter = Math.max(...published.map((anchor) => anchor.notAfter));
  const { severity, message } = scheduleAlert({ ring, now, notAfter, startBy, running });
  if (severity === 'none' || said.get(`${ring} late`) === message) return;
  said.set(`${ring} late`, message);
  logger[severity === 'critical' ? 'error' : 'warn']({ ring }, message);
}

/** What stands in the way, when that is another than before; that time is missing is no news. */
function sayOnce(
  { logger }: Pick<Context, 'logger'>,
  ring: string,
  { waitsFor, stays }: Pick<ReturnType<typeof decideStart>, 'waitsFor'> & { readonly stays: boolean },
  said: Said,
): void {
  const news = waitsFor.filter(({ kind }) => told.includes(kind) || (kind === 'running' && stays));
  const texts = news.map(({ text }) => text);
  if (said.get(ring) === texts.join()) return;
  said.set(ring, texts.join());
  if (texts.length > 0)
    logger.warn({ ring, waitsFor: texts }, 'the ring is to be rotated soon, and cannot be by itself');
}
