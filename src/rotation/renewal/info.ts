import type { RenewalRow } from '../../store/queries/renewals.js';
import { boundsOf } from './policy.js';
import { type PlannedWindow, plannedWindow } from './rules.js';
import type { RenewalClient, RenewalPolicy, RenewalRule } from './types.js';

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** When a certificate is to be renewed, and how long that can be kept. */
export type RenewalInfo = {
  readonly serial: string;
  readonly window: PlannedWindow;
  /** Milliseconds, from a minute to a day. */
  readonly retryAfterMs: number;
};

type Context = {
  readonly client: RenewalClient;
  readonly policy: RenewalPolicy;
  readonly rules: readonly RenewalRule[];
  readonly bucketMs: number;
  readonly retryAfterMs: number;
  readonly now: number;
};

/**
 * What there is to say about a certificate. One that was revoked is to be renewed at once, which a window in the past means
 * (RFC 9773, 4.2). One that was issued without a window has all that its life allows.
 */
export function infoOf(row: RenewalRow, { client, policy, rules, bucketMs, retryAfterMs, now }: Context): RenewalInfo {
  const { serial, ring, profile, not_before: notBefore, not_after: notAfter, revoked_at: revokedAt } = row;
  const bounds = boundsOf(client, policy, { notBefore, notAfter });
  const own = {
    from: row.renew_from ?? bounds.from,
    until: row.renew_until ?? Math.max(bounds.until, bounds.from + 1000),
  };
  const subject = { serial, ring, profile, authority: row.ski, notBefore, notAfter, issuedAt: row.issued_at };
  // Not to the last moment before the tolerated outage, but as late as it might have been planned for.
  const latest = Math.max(own.until, bounds.until);
  const window =
    revokedAt === null
      ? plannedWindow(own, subject, rules, { latest, slotMs: bucketMs })
      : { from: revokedAt - bucketMs, until: revokedAt, rule: undefined };
  // Whoever lives shortly must not hear too late of what is urgent.
  const shortest = Math.min(retryAfterMs, (notAfter - now) / 4);
  return { serial, window, retryAfterMs: Math.min(dayMs, Math.max(minuteMs, shortest)) };
}
