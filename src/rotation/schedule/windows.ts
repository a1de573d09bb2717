import { Cron } from 'croner';

/** When changes may begin: from each time that `cron` names in `timezone`, for `durationMs` of elapsed time. */
export type WindowConfig = { readonly cron: string; readonly durationMs: number; readonly timezone: string };

/** Milliseconds; it is closed again at `closesAt`. */
export type Opening = { readonly opensAt: number; readonly closesAt: number };

/** Several windows taken together. None at all: always open. */
export type MaintenanceWindows = {
  isOpen(now: number): boolean;
  /** The one that is open now; of several the one that closes last. Undefined too where there are no windows. */
  current(now: number): Opening | undefined;
  /** The next one that opens after now, whether or not one is open already. Undefined where there are no windows. */
  nextWindow(now: number): Opening | undefined;
  /** As the facts of a rotation have it: when the next one opens is said only while none is open. */
  at(now: number): { readonly open: boolean; readonly next: number | undefined };
};

type Compiled = { readonly cron: Cron; readonly durationMs: number };

/** Five fields; a nickname such as @daily, a date or seconds would be other things than a window that comes back. */
const fiveFields = /^[0-9A-Za-z*,/#+-]+(?: [0-9A-Za-z*,/#+-]+){4}$/;
/** Any moment will do: whether and how often an expression of five fields has a time does not depend on it. */
const someMonday = Date.UTC(2024, 0, 1);
const weekMs = 7 * 86_400_000;
const weeksLookedAt = 53;

/**
 * Compiles the windows. Daylight saving time is croner's: a fixed time that is skipped opens when the clock has moved on,
 * one that comes twice opens once. Throws what `windowProblem` says, which configuration checks before.
 */
export function maintenanceWindows(windows: readonly WindowConfig[]): MaintenanceWindows {
  const compiled = windows.map(compile);
  const current = (now: number): Opening | undefined =>
    latestToClose(compiled.flatMap((window) => openAt(window, now)));
  const nextWindow = (now: number): Opening | undefined => earliest(compiled.flatMap((window) => after(window, now)));
  const isOpen = (now: number): boolean => compiled.length === 0 || current(now) !== undefined;
  return {
    isOpen,
    current,
    nextWindow,
    at: (now) => {
      const open = isOpen(now);
      return { open, next: open ? undefined : nextWindow(now)?.opensAt };
    },
  };
}

/** What is wrong with an expression or a time zone, in words that follow the value; undefined when nothing is. */
export function windowProblem({ cron, timezone }: Pick<WindowConfig, 'cron' | 'timezone'>): string | undefined {
  if (!isTimezone(timezone))
    return `the time zone ${JSON.stringify(timezone)} is not known; name one as Europe/Berlin or UTC`;
  if (!fiveFields.test(cron))
    return 'must be a cron expression of five fields: minute, hour, day of month, month, day of week';
  try {
    return new Cron(cron, { mode: '5-part', timezone }).nextRun(new Date(someMonday)) === null
      ? 'names no time that ever comes, so the window would never open'
      : undefined;
  } catch (error) {
    return `is not a cron expression: ${(error as Error).message.replace(/^CronPattern: /, '')}`;
  }
}

/** The longest time from one opening to the next, milliseconds; 0 without windows. For expressions without a problem. */
export function longestGap(windows: readonly WindowConfig[]): number {
  const compiled = windows.map(compile);
  let longest = longestFrom(compiled);
  // A shorter gap than the stride may go unseen, which is why the stride is short.
  for (let week = 0; week < weeksLookedAt && compiled.length > 0; week += 1) {
    const moment = someMonday + week * weekMs;
    const before = Math.max(...compiled.flatMap((window) => previousStart(window, moment) ?? []));
    const next = earliest(compiled.flatMap((window) => after(window, moment)));
    if (next !== undefined && Number.isFinite(before)) longest = Math.max(longest, next.opensAt - before);
  }
  return longest;
}

const mostOpenings = 100;

/** Of the openings one after the other from some moment on: what a stride would step over. */
function longestFrom(compiled: readonly Compiled[]): number {
  let longest = 0;
  let before = earliest(compiled.flatMap((window) => after(window, someMonday)))?.opensAt;
  for (let seen = 0; seen < mostOpenings && before !== undefined; seen += 1) {
    const from = before;
    const next = earliest(compiled.flatMap((window) => after(window, from)));
    if (next === undefined || next.opensAt > someMonday + weeksLookedAt * weekMs) break;
    longest = Math.max(longest, next.opensAt - from);
    before = next.opensAt;
  }
  return longest;
}

function compile({ cron, durationMs, timezone }: WindowConfig): Compiled {
  return { cron: new Cron(cron, { mode: '5-part', timezone }), durationMs };
}

function openAt(window: Compiled, now: number): Opening[] {
  const opensAt = previousStart(window, now);
  if (opensAt === undefined || now >= opensAt + window.durationMs) return [];
  return [{ opensAt, closesAt: opensAt + window.durationMs }];
}

function after({ cron, durationMs }: Compiled, now: number): Opening[] {
  const opensAt = cron.nextRun(new Date(now))?.getTime();
  return opensAt === undefined ? [] : [{ opensAt, closesAt: opensAt + durationMs }];
}

/** The last start that is not after this moment. */
function previousStart({ cron }: Compiled, moment: number): number | undefined {
  return cron.previousRuns(1, new Date(moment + 1))[0]?.getTime();
}

function earliest(openings: readonly Opening[]): Opening | undefined {
  return openings.reduce<Opening | undefined>(
    (best, one) => (best === undefined || one.opensAt < best.opensAt ? one : best),
    undefined,
  );
}

function latestToClose(openings: readonly Opening[]): Opening | undefined {
  return openings.reduce<Opening | undefined>(
    (best, one) => (best === undefined || one.closesAt > best.closesAt ? one : best),
    undefined,
  );
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}
