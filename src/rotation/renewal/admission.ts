import { createExpiryQueue, type ExpiryQueue } from './expiry-queue.js';
import type { Window } from './types.js';

/** A steady rate with a store for bursts. */
export type Rate = { readonly perSecond: number; readonly burst: number };

/** The least burst: what a tenth of a minute gives, so that the noise around the plan does not turn anybody away. */
export function leastBurst(perSecond: number): number {
  return Math.max(1, Math.ceil(perSecond * 6));
}

/** Who renews when more want to than can be served. */
export type Admission = {
  readonly queue: ExpiryQueue;
  /** The one of all who wait that expires first, if there is a token for it by now; it waits no more. */
  next(now: number): number | undefined;
  /** How long until there is a token, milliseconds. */
  wait(now: number): number;
};

/**
 * A token bucket, and a queue in the order of expiry before it: as long as tokens are short, nobody goes ahead of one who
 * expires earlier and waits. Times are milliseconds of a clock that does not go back; where it does, no token is added.
 */
export function createAdmission({ perSecond, burst }: Rate, now: number): Admission {
  const queue = createExpiryQueue();
  let tokens = burst;
  let at = now;
  const refill = (time: number): void => {
    tokens = Math.min(burst, tokens + (Math.max(0, time - at) * perSecond) / 1000);
    at = Math.max(at, time);
  };
  return {
    queue,
    next: (time) => {
      refill(time);
      if (tokens < 1 || queue.size() === 0) return undefined;
      tokens -= 1;
      return queue.pop();
    },
    wait: (time) => {
      refill(time);
      return tokens >= 1 ? 0 : ((1 - tokens) / perSecond) * 1000;
    },
  };
}

const minuteMs = 60_000;
const hourMs = 3_600_000;
/** So many tries are spread over what is left of a life. */
const tries = 6;

/** How long the windows are in which a client that was turned away tries once, milliseconds: shorter the less life is left. */
export function retryWidth(notAfter: number, now: number): number {
  return Math.min(hourMs, Math.max(minuteMs, (notAfter - now) / tries));
}

/**
 * The window after the present one, in which a client that was turned away is to come again at its own point: a third of
 * what is left of its life away at most, or two minutes. Nothing that grows from zero: all who were turned away in one
 * outage would be back together.
 */
export function nextWindow(notAfter: number, now: number): Window {
  const width = retryWidth(notAfter, now);
  const from = (Math.floor(now / width) + 1) * width;
  return { from, until: from + width };
}
