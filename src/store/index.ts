import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { createFeed } from './change-feed.js';
import { createGroupCommit } from './group-commit.js';
import { openPostgres } from './postgres.js';
import { startListening } from './postgres-listener.js';
import { startPruning } from './pruning.js';
import { currentRevision } from './queries/changes.js';
import type { Engine } from './session.js';
import { openSqlite } from './sqlite.js';
import type { Store } from './types.js';

export type StoreOptions = {
  /** `sqlite:PATH` or `postgres://…` (also `postgresql://…`). */
  readonly url: string;
  readonly logger: Logger;
  readonly clock: Clock;
};

/**
 * Opens the database, brings its schema up to date and starts the change feed. Throws RotundaError 'unavailable' when it
 * cannot be reached or, SQLite, when another process has it; 'conflict' when its schema is newer than this program.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const logger = options.logger.child({ component: 'store' });
  const engine = await openEngine(options.url, logger);
  const feed = await createFeed({ db: engine.reader, logger }).catch(async (error: unknown) => {
    await engine.close();
    throw error;
  });
  const listener =
    engine.name === 'postgres' ? startListening({ url: options.url, db: engine.reader, feed, logger }) : undefined;
  const commits = createGroupCommit({ engine, clock: options.clock, logger, committed: feed.committed });
  const pruning = startPruning({ write: commits.write, clock: options.clock, logger });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const pruned = pruning.stop();
    await commits.close();
    await pruned;
    feed.close();
    await listener?.close();
    await engine.close();
  };
  return {
    engine: engine.name,
    db: engine.reader,
    feed: { subscribe: feed.subscribe, current: feed.current },
    write: commits.write,
    revision: () => currentRevision(engine.reader),
    ping: async () => {
      await currentRevision(engine.reader);
    },
    close: () => (closing ??= close()),
  };
}

function openEngine(url: string, logger: Logger): Promise<Engine> {
  if (url.startsWith('sqlite:')) return openSqlite(url.slice('sqlite:'.length));
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres(url, logger);
  throw new RotundaError('bad-request', 'The store must be sqlite:PATH or postgres://…');
}
