import { hash } from 'node:crypto';

import type { Clock } from '../clock.js';
import type { Identity, Role } from '../identity/types.js';
import type { Metrics } from '../metrics.js';
import { createBuckets } from './buckets.js';
import { tooMany } from './too-many.js';
import type { Limits } from './types.js';

/** How often each caller may call, whatever it calls. */
export type CallerLimits = {
  /**
   * Throws 'too-many-requests' where this caller has called too often. `address` is asked for only where it counts; `size`
   * is that of the body, bytes.
   */
  admit(identity: Identity, address: () => string, size?: number): void;
  /** Counts a call whose credential was refused; throws as `admit`. */
  refused(address: string): void;
};

type Options = { readonly limits: Limits; readonly clock: Clock; readonly metrics: Metrics };

/** Whoever administers needs no protection from itself, and has to get in while others do not behave. */
const unlimited: readonly Role[] = ['admin', 'operator', 'viewer', 'cluster-admin'];
const mostCallers = 50_000;
/** A body counts as a call for each of these, bytes; what a kubelet sends is far below one. */
const callBytes = 16 * 1024;
const text = 'too many requests, please try again later';

/**
 * One caller cannot take the service from the others: each node, token and user has a rate of its own, and who has no
 * credential shares one with its address. An unbound token is no single caller, since a whole cluster may join with it:
 * it has the rate of an address.
 */
export function createCallerLimits({ limits, clock, metrics }: Options): CallerLimits {
  const buckets = createBuckets(mostCallers);
  const now = (): number => clock.monotonic?.() ?? clock.now().getTime();
  const take = (kind: 'identity' | 'anonymous', key: string, costs = 1): void => {
    const wait = buckets.take(key, limits[kind], now(), costs);
    if (wait === 0) return;
    metrics.limited(kind);
    throw tooMany(text, wait);
  };
  return {
    admit: (identity, address, size = 0) => {
      if (isUnlimited(identity)) return;
      if (identity.kind === 'anonymous') take('anonymous', `address/${address()}`);
      else if (isShared(identity)) take('anonymous', `${callerKey(identity)}/${address()}`);
      // Where others share the bucket, nobody may empty it for them with what is only announced.
      else take('identity', callerKey(identity), Math.max(1, Math.ceil(size / callBytes)));
    },
    refused: (address) => {
      take('anonymous', `address/${address}`);
    },
  };
}

/** Each is a connection, and keeps what its reader has not taken. */
const mostWatches = 1000;
/** A whole cluster that joins with one token watches with it. */
const mostSharedWatches = 20_000;

/** How many watches a caller may have open at once. */
export function watchesOf(identity: Identity): number {
  if (isUnlimited(identity)) return Number.POSITIVE_INFINITY;
  return identity.kind === 'anonymous' || isShared(identity) ? mostSharedWatches : mostWatches;
}

/** Whoever administers, and the service itself. */
export function isUnlimited({ kind, roles }: Identity): boolean {
  return kind === 'internal' || roles.some((role) => unlimited.includes(role));
}

/** Longer names, which an API server may send, are not kept as they are. */
const longestName = 256;

/** Who calls, by name: the same name in two rings is two callers. */
export function callerKey({ kind, ring, username }: Identity): string {
  return `${ring ?? kind}/${username.length > longestName ? hash('sha256', username) : username}`;
}

/** Tokens that are not made for one machine, known here or only to the API server that vouches for them. */
function isShared({ token, username }: Identity): boolean {
  return token === undefined ? username.startsWith('system:bootstrap:') : token.kind === 'unbound';
}
