import type { Book } from './book.js';
import { chooseBucket, chooseFixedLife, chooseKubeletLife, type Draw, type LifeRange } from './choice.js';
import { boundsOf, leastLife } from './policy.js';
import type { RenewalClient, RenewalPolicy, Window } from './types.js';

/** When a certificate begins and ends, milliseconds. */
export type Life = { readonly notBefore: number; readonly notAfter: number };

/** The end of a certificate, and when it is to be renewed. */
export type Planned = Window & { readonly notAfter: number };

/** Finds a time for the renewal of each certificate, where few others renew. */
export type Planner = {
  /**
   * Chooses, and notes nothing: what was chosen may not come to be. `life` is what the certificate may have at most; only
   * one that is `steerable` is made shorter, by whole seconds, and only where its holder chooses the time itself.
   */
  plan(client: RenewalClient, life: Life, steerable: boolean): Planned;
  /** Notes what has come to be. */
  count(client: RenewalClient, window: Window): void;
};

const secondMs = 1000;

export function createPlanner(options: {
  readonly book: Pick<Book, 'bucketMs' | 'load' | 'mean' | 'add' | 'spread'>;
  readonly policy: RenewalPolicy;
  readonly draw: Draw;
}): Planner {
  const { book, policy, draw } = options;
  return {
    plan: (client, life, steerable) => {
      const { notBefore } = life;
      if (client.kind === 'informed') {
        const { from, until } = chooseBucket(book, boundsOf(client, policy, life), draw);
        return { notAfter: life.notAfter, from, until };
      }
      const range = steerable ? rangeOf(client, policy, life) : undefined;
      let notAfter = life.notAfter;
      if (range !== undefined) {
        const chosen =
          client.kind === 'kubelet'
            ? chooseKubeletLife(book, notBefore, range, draw)
            : chooseFixedLife(book, notBefore, client.at, range, draw);
        notAfter = Math.min(notAfter, notBefore + Math.ceil(chosen / secondMs) * secondMs);
      }
      const { from, until } = boundsOf(client, policy, { notBefore, notAfter });
      return { notAfter, from, until: client.kind === 'fixed' ? Math.min(from + book.bucketMs, notAfter) : until };
    },
    count: ({ kind }, { from, until }) => {
      if (kind === 'kubelet') book.spread(from, until, 1);
      else book.add(from, 1);
    },
  };
}

/**
 * How short a certificate may become: as the policy says, and not so short that it would not outlive the tolerated outage.
 * Undefined where that leaves no choice.
 */
export function rangeOf(
  client: RenewalClient,
  policy: RenewalPolicy,
  { notBefore, notAfter }: Life,
): LifeRange | undefined {
  const longest = notAfter - notBefore;
  const shortest = Math.max(policy.shortest * longest, Math.min(longest, leastLife(client, policy)));
  return shortest < longest ? { shortest, longest } : undefined;
}
