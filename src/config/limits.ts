import { z } from 'zod';

import { type Retention, upstreamRetention } from '../csr/retention.js';
import { defaultLimits, type Limits } from '../limits/types.js';
import { durationSchema, formatDuration } from './duration.js';

const minuteMs = 60_000;

/** A client must have the time to see what became of its request. */
function atLeast(least: number, why: string): z.ZodType<number, string> {
  return durationSchema.refine((ms) => ms >= least, { error: `must be at least ${formatDuration(least)}: ${why}` });
}

const pickedUp = 'clients look for the outcome';

/** `requests` of the configuration file. */
export const requestsSchema = z.strictObject({
  retention: z
    .strictObject({
      issued: atLeast(10 * minuteMs, pickedUp).optional(),
      denied: atLeast(10 * minuteMs, pickedUp).optional(),
      pending: atLeast(60 * minuteMs, 'a kubelet waits up to an hour for the decision').optional(),
      approved: atLeast(10 * minuteMs, pickedUp).optional(),
      past: durationSchema.optional(),
    })
    .optional(),
});

const rateSchema = z.strictObject({
  perSecond: z.number().min(1).max(1_000_000).optional(),
  burst: z.number().int().min(1).max(10_000_000).optional(),
});

/** `limits` of the configuration file. */
export const limitsSchema = z.strictObject({
  identity: rateSchema.optional(),
  anonymous: rateSchema.optional(),
  repeats: z
    .strictObject({
      stored: z.number().int().min(1).max(1000).optional(),
      window: durationSchema.optional(),
      longestRetryAfter: durationSchema
        .refine((ms) => ms <= 15 * minuteMs, { error: 'must be at most 15m: a client that waits hears of nothing' })
        .optional(),
    })
    .optional(),
  undecided: rateSchema.optional(),
  issued: rateSchema.optional(),
  signing: z
    .strictObject({
      running: z.number().int().min(1).max(10_000).optional(),
      waiting: z.number().int().min(0).max(100_000).optional(),
    })
    .optional(),
});

type Given<T> = { readonly [K in keyof T]?: T[K] | undefined } | undefined;

export function retentionFrom(file: z.infer<typeof requestsSchema> | undefined): Retention {
  return over(upstreamRetention, file?.retention);
}

export function limitsFrom(file: z.infer<typeof limitsSchema> | undefined): Limits {
  const { identity, anonymous, repeats, undecided, issued, signing } = defaultLimits;
  const { window, longestRetryAfter, stored } = file?.repeats ?? {};
  return {
    identity: over(identity, file?.identity),
    anonymous: over(anonymous, file?.anonymous),
    repeats: over(repeats, { stored, windowMs: window, longestRetryAfterMs: longestRetryAfter }),
    undecided: over(undecided, file?.undecided),
    issued: over(issued, file?.issued),
    signing: over(signing, file?.signing),
  };
}

/** The defaults with what is set in the file. */
function over<T extends object>(defaults: T, given: Given<T>): T {
  const set = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...(Object.fromEntries(set) as Partial<T>) };
}
