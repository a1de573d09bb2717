import { wholeSeconds } from './time.js';
import type { Profile } from './types.js';

const minuteMs = 60_000;
/** Upstream's signer backdates by five minutes, for clocks that are behind. */
export const backdateMs = 5 * minuteMs;
/** From this on the five minutes are taken from the end, so that the whole is what was asked for. */
const shortMs = 8 * 60 * minuteMs;
const shortestMs = 10 * minuteMs;

/** Whose certificates live how long when a request asks for nothing. */
export type LifetimeClass = 'node' | 'person' | 'control-plane';
export type Lifetimes = (kind: LifetimeClass) => Profile['lifetime'];

export type Validity = {
  readonly notBefore: number;
  readonly notAfter: number;
  /** Said to whoever asked when the profile gives less than was asked for. */
  readonly truncated: string | undefined;
};

/**
 * When a certificate begins and ends, milliseconds, whole seconds. Upstream's signer (signer.go `duration`,
 * policies.go): the least of what was asked for and the profile's longest, ten minutes at least; asked for nothing,
 * the profile's standard. `expirationSeconds` is in seconds.
 */
export function validityOf(profile: Profile, expirationSeconds: number | undefined, now: number): Validity {
  const { standard, longest } = profile.lifetime;
  const requested = expirationSeconds === undefined ? standard : expirationSeconds * 1000;
  const ttl = Math.max(shortestMs, Math.min(requested, longest));
  const start = wholeSeconds(now);
  return {
    notBefore: start - backdateMs,
    notAfter: start + wholeSeconds(ttl) - (ttl < shortMs ? 0 : backdateMs),
    truncated: requested > ttl ? truncation(profile, requested, ttl) : undefined,
  };
}

function truncation(profile: Profile, requestedMs: number, ttlMs: number): string {
  const seconds = (ms: number): string => `${String(Math.floor(ms / 1000))} s`;
  return `The ${seconds(requestedMs)} asked for were cut to ${seconds(ttlMs)}, the longest that ${profile.signerName} gives.`;
}
