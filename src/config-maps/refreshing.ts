import type { Logger } from 'pino';

import type { Tokens } from '../identity/types.js';
import { tokenChanges } from '../store/queries/tokens.js';
import type { Store, Subscription } from '../store/types.js';
import type { ConfigMaps } from './types.js';

export type RefreshingOptions = {
  readonly store: Store;
  readonly configMaps: ConfigMaps;
  readonly tokens: Pick<Tokens, 'endExpired'>;
  readonly logger: Logger;
};

/** What expires, and what other replicas change of the bundle, is looked for this often. Reads are exact without it. */
const intervalMs = 5_000;
/** Changes that come together are answered together. */
const settleMs = 100;

/**
 * Publishes what becomes of tokens for those who watch: the end of one that expires, and cluster-info after each change.
 * `stop` resolves when nothing is under way any more.
 */
export function startRefreshing({ store, configMaps, tokens, logger }: RefreshingOptions): { stop(): Promise<void> } {
  const life: { stopped: boolean; running: Promise<void> | undefined; soon: NodeJS.Timeout | undefined } = {
    stopped: false,
    running: undefined,
    soon: undefined,
  };
  const run = (work: () => Promise<void>): void => {
    if (life.stopped || life.running !== undefined) return;
    life.running = work()
      .catch((error: unknown) => {
        logger.error({ err: error }, 'what joining nodes read could not be brought up to date; it is tried again');
      })
      .finally(() => {
        life.running = undefined;
      });
  };
  const subscribed: Promise<Subscription | undefined> = store.feed
    .subscribe({ resource: tokenChanges, after: store.feed.current() }, () => {
      life.soon ??= setTimeout(() => {
        life.soon = undefined;
        run(() => configMaps.refresh());
      }, settleMs).unref();
    })
    .catch((error: unknown) => {
      logger.error({ err: error }, 'changes of tokens cannot be followed');
      return undefined;
    });
  const timer = setInterval(() => {
    run(async () => {
      await tokens.endExpired();
      await configMaps.refresh();
    });
  }, intervalMs).unref();
  return {
    stop: async () => {
      life.stopped = true;
      clearInterval(timer);
      clearTimeout(life.soon);
      (await subscribed)?.close();
      await life.running;
    },
  };
}
