import type { RenewalClient, RenewalPolicy, Window } from './types.js';

/** Where client-go's certificate manager draws its time (jitteryDuration), as shares of the life of its certificate. */
export const kubeletWindow = { from: 0.7, until: 0.9 } as const;

/** A window narrower than this share of a life spreads nothing. */
export const narrowest = 0.05;

/** Where in a life a client may renew. */
export type Bounds = Window & {
  /** Whoever renews in it still has a good certificate after the tolerated outage. */
  readonly withinOutage: boolean;
};

/**
 * The times in which a certificate with this life is to be renewed. An informed client's window ends early enough that the
 * certificate outlives the tolerated outage A: at the share z with A <= (1 - z) L. Where not even the beginning of the
 * policy's window leaves that much, the window is as early as the policy allows, and `withinOutage` says that it is not
 * enough. What clients choose for themselves can only be told.
 */
export function boundsOf(
  client: RenewalClient,
  policy: RenewalPolicy,
  life: { readonly notBefore: number; readonly notAfter: number },
): Bounds {
  const { notBefore, notAfter } = life;
  const length = notAfter - notBefore;
  const latest = notAfter - policy.outageMs;
  if (client.kind !== 'informed') {
    const { from, until } = client.kind === 'kubelet' ? kubeletWindow : { from: client.at, until: client.at };
    const end = notBefore + until * length;
    return { from: notBefore + from * length, until: end, withinOutage: end <= latest };
  }
  const from = notBefore + policy.window.from * length;
  const earliestEnd = from + narrowest * length;
  const until = Math.max(earliestEnd, Math.min(notBefore + policy.window.until * length, latest));
  return { from, until, withinOutage: until <= latest };
}

/**
 * The longest outage that every certificate with this life can be made to outlive, milliseconds; for configuration to
 * compare with what is asked for.
 */
export function longestOutage(client: RenewalClient, policy: Pick<RenewalPolicy, 'window'>, lifeMs: number): number {
  switch (client.kind) {
    case 'informed':
      return rest(policy.window.from + narrowest) * lifeMs;
    case 'kubelet':
      return rest(kubeletWindow.until) * lifeMs;
    case 'fixed':
      return rest(client.at) * lifeMs;
  }
}

/** What a share leaves, without the last digits of binary fractions: three days are a tenth of thirty. */
function rest(share: number): number {
  return Math.round((1 - share) * 1e9) / 1e9;
}

/** The least life with which every certificate outlives an outage, milliseconds. */
export function leastLife(client: RenewalClient, policy: RenewalPolicy): number {
  const perMs = longestOutage(client, policy, 1);
  return perMs <= 0 ? Number.POSITIVE_INFINITY : policy.outageMs / perMs;
}
