import type { Clock } from '../clock.js';
import type { Metrics } from '../metrics.js';
import { createBuckets } from './buckets.js';
import { tooMany } from './too-many.js';
import type { Limits } from './types.js';

/** How often what leads to no certificate is stored. */
export type Repeats = {
  /**
   * Lets one more request through that will not be issued now, or throws 'too-many-requests'. `shape` is what makes two
   * requests of one machine equal; undefined for a person, whose equal requests may be meant. `why` is what it would be told,
   * `size` how much would be stored, bytes.
   */
  admit(request: {
    readonly caller: string;
    readonly shape: string | undefined;
    readonly why: string;
    readonly size?: number;
  }): void;
  /** Lets a machine be given one more certificate, or throws 'too-many-requests'. */
  admitIssued(caller: string): void;
};

type Options = { readonly limits: Limits; readonly clock: Clock; readonly metrics: Metrics };

const mostShapes = 50_000;
const mostCallers = 10_000;
const firstWaitMs = 8000;
/** What is stored counts as a request for each of these, bytes: labels and annotations may be megabytes. */
const requestBytes = 8 * 1024;

/** Refusals in a row, by shape. */
type Streak = { refusals: number; at: number };

/**
 * Only requests that are denied or held as things are come here: one that would be approved is never told to wait, so
 * that a machine recovers with its next attempt once the facts are right. That attempt is at most the longest Retry-After
 * away, which doubles from 8 s with every refusal.
 */
export function createRepeats({ limits, clock, metrics }: Options): Repeats {
  const { stored, windowMs, longestRetryAfterMs } = limits.repeats;
  const rate = { burst: stored, perSecond: (stored * 1000) / windowMs };
  const shapes = createBuckets(mostShapes);
  const callers = createBuckets(mostCallers);
  const given = createBuckets(mostCallers);
  const streaks = new Map<string, Streak>();
  const now = (): number => clock.monotonic?.() ?? clock.now().getTime();
  const nextWait = (shape: string, at: number): number => {
    const before = streaks.get(shape);
    const refusals = before === undefined || at - before.at > windowMs ? 0 : before.refusals;
    streaks.delete(shape);
    streaks.set(shape, { refusals: refusals + 1, at });
    if (streaks.size > mostShapes) for (const oldest of streaks.keys()) if (streaks.delete(oldest)) break;
    return Math.min(longestRetryAfterMs, firstWaitMs * 2 ** Math.min(refusals, 20));
  };
  return {
    admit: ({ caller, shape, why, size = 0 }) => {
      const at = now();
      if (shape !== undefined && shapes.take(shape, rate, at) > 0) {
        metrics.limited('repeats');
        throw tooMany(`the same request was refused or held ${String(stored)} times: ${why}`, nextWait(shape, at));
      }
      const wait = callers.take(caller, limits.undecided, at, Math.max(1, Math.ceil(size / requestBytes)));
      if (wait === 0) return;
      metrics.limited('undecided');
      throw tooMany('too many requests that cannot be approved, please try again later', wait);
    },
    admitIssued: (caller) => {
      const wait = given.take(caller, limits.issued, now());
      if (wait === 0) return;
      metrics.limited('issued');
      const why = 'too many certificates for one machine: what it is given does not seem to be what it asks for';
      throw tooMany(`${why}, please try again later`, wait);
    },
  };
}
