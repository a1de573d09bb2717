import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import type { Store } from '../store/types.js';

/** An answer this old is given while the next look is under way. */
const freshMs = 1000;
/** A look that takes longer is a store that does not answer. */
const patienceMs = 5000;

/** Whether the store answers, as of a moment ago. */
export type StoreProbe = {
  /** What is wrong with the store; undefined when nothing is. Waits only for the first look, and never long. */
  problem(): Promise<string | undefined>;
};

type Options = { readonly store: Pick<Store, 'ping'>; readonly clock: Clock; readonly logger: Logger };

/**
 * Probes must not add to a storm, nor wait in it: the store is looked at once a second at most, however often it is asked
 * for, and meanwhile the last answer counts.
 */
export function createStoreProbe({ store, clock, logger }: Options): StoreProbe {
  const now = (): number => clock.monotonic?.() ?? performance.now();
  const says = 'the store does not answer';
  let last: { readonly problem: string | undefined; readonly at: number } | undefined;
  let looking: { readonly since: number; readonly done: Promise<void> } | undefined;
  const look = async (): Promise<void> => {
    let problem: string | undefined;
    try {
      await store.ping();
    } catch (error) {
      logger.warn({ err: error }, says);
      problem = says;
    }
    last = { problem, at: now() };
    looking = undefined;
  };
  return {
    problem: async () => {
      const at = now();
      if (last !== undefined && at - last.at < freshMs) return last.problem;
      const current = (looking ??= { since: at, done: look() });
      if (last === undefined || last.problem !== undefined) await within(current.done, patienceMs);
      if (looking === current && now() - current.since >= patienceMs) return says;
      return last === undefined ? says : last.problem;
    },
  };
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
