import type { Kysely } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';

import type { Feed } from './change-feed.js';
import { changesChannel, clientConfig } from './postgres-client.js';
import { currentRevision } from './queries/changes.js';
import type { Schema } from './schema.js';

/** Notifications can be lost with their connection, and a proxy may swallow them; this bounds how late a watch gets. */
const pollMs = 5_000;
const reconnectMs = 500;

type Options = { readonly url: string; readonly db: Kysely<Schema>; readonly feed: Feed; readonly logger: Logger };

/** Tells the feed what other replicas commit, over a connection of its own that is opened again whenever it is lost. */
export function startListening(options: Options): { close(): Promise<void> } {
  const { url, db, feed, logger } = options;
  let closed = false;
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;

  const poll = async (): Promise<void> => {
    try {
      feed.advance(await currentRevision(db));
    } catch (error) {
      if (!closed) logger.debug({ err: error }, 'the revision cannot be read');
    }
  };
  const lost = (from: pg.Client): void => {
    if (closed || client !== from) return;
    client = undefined;
    retry = setTimeout(() => void connect(), reconnectMs);
    retry.unref();
  };
  const connect = async (): Promise<void> => {
    const next = new pg.Client({ ...clientConfig(url), application_name: 'rotunda-listener' });
    client = next;
    next.on('error', () => {
      lost(next);
    });
    next.on('end', () => {
      lost(next);
    });
    next.on('notification', (notification) => {
      feed.advance(Number(notification.payload));
    });
    try {
      await next.connect();
      await next.query(`listen ${changesChannel}`);
      // What was committed before the server began to tell.
      await poll();
    } catch (error) {
      if (!closed) logger.warn({ err: error }, 'cannot listen for changes; trying again');
      await next.end().catch(() => undefined);
      lost(next);
    }
  };
  void connect();
  const timer = setInterval(() => void poll(), pollMs);
  timer.unref();
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      clearTimeout(retry);
      await client?.end().catch(() => undefined);
    },
  };
}
