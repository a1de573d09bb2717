import type { Logger } from 'pino';

import type { Clock } from '../clock.js';

const minuteMs = 60_000;
/** More than NTP corrects at once, and more than any pause of this process that matters. */
const toleranceMs = 5 * minuteMs;
/** A service that nobody saw running for longer may have woken up with a wrong clock. */
const longestAbsenceMs = 7 * 24 * 60 * minuteMs;
/** A clock that jumped is believed after it has stayed so for this long. */
const proofMs = 60 * minuteMs;

export type ClockGuard = {
  /**
   * Whether what is old may be deleted now, and what is due be done. `seenAt` is the latest time that any replica saw before this process,
   * milliseconds. `setBack` is true once for each jump to an earlier time.
   */
  look(seenAt: number | undefined): { readonly trusted: boolean; readonly setBack: boolean };
};

/**
 * Deleting by age trusts the clock, and so does what a rotation does when its time has come. A jump of the wall clock against the monotonic one, or against the time that the
 * database has seen, stops that for an hour: long enough for NTP or a person to set it right.
 */
export function createClockGuard({ clock, logger }: { clock: Clock; logger: Logger }): ClockGuard {
  let last: { readonly wall: number; readonly elapsed: number } | undefined;
  let doubtedSince: number | undefined;
  return {
    look(seenAt) {
      const wall = clock.now().getTime();
      const elapsed = clock.monotonic?.() ?? wall;
      const jump = last === undefined ? jumpSince(seenAt, wall) : wall - last.wall - (elapsed - last.elapsed);
      last = { wall, elapsed };
      if (Math.abs(jump) > toleranceMs) {
        doubtedSince = elapsed;
        const times = { now: new Date(wall).toISOString(), jumpSeconds: Math.round(jump / 1000) };
        logger.warn(
          times,
          'the clock jumped: nothing is cleaned up and no rotation moves for an hour; set it right, or leave it if it is',
        );
      } else if (doubtedSince !== undefined && elapsed - doubtedSince >= proofMs) {
        doubtedSince = undefined;
        logger.warn({ now: new Date(wall).toISOString() }, 'the clock has stayed so: it is believed again');
      }
      return { trusted: doubtedSince === undefined, setBack: jump < -toleranceMs };
    },
  };
}

/** How far the clock is off what is plausible after a start. */
function jumpSince(seenAt: number | undefined, wall: number): number {
  if (seenAt === undefined) return 0;
  const absence = wall - seenAt;
  return absence >= 0 && absence <= longestAbsenceMs ? 0 : absence;
}
