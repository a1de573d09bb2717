import { invalid } from '../../errors.js';
import { processOf } from './records.js';
import type { Acknowledgement } from './report-types.js';
import type { Found } from './room.js';

/** When the process began that `restart` is said of, by this service's clock. Throws 'invalid'. */
export function beganAt(found: Found, said: Acknowledgement, now: number): number {
  const startedAt = checkRestart(found, said);
  const skew = said.reportedAt === undefined ? (found.row.clock_skew_ms ?? 0) : said.reportedAt - now;
  return Math.min(now, startedAt - skew);
}

/**
 * A file that came after the process began was not read by it at its start. When it began, by the clock of its machine.
 * Throws 'invalid'.
 */
function checkRestart({ row, rings }: Found, said: Acknowledgement): number {
  const kept = rings.find(({ ring }) => ring === said.ring);
  const before = kept?.delivered === said.generation ? (kept.delivered_at ?? undefined) : undefined;
  const deliveredAt = said.deliveredAt ?? before;
  const startedAt = said.process?.startedAt ?? processOf(row)?.startedAt ?? said.startedAt;
  if (deliveredAt !== undefined && startedAt !== undefined && deliveredAt < startedAt) return startedAt;
  const what =
    deliveredAt === undefined
      ? 'it is not known when the file was there: give deliveredAt'
      : startedAt === undefined
        ? 'it is not known when the process began: give startedAt'
        : 'the process began before the file was there, so it has not read it';
  throw invalid([{ field: 'evidence', reason: 'FieldValueInvalid', message: `Invalid value: "restart": ${what}` }]);
}
