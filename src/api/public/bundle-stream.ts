import type { ServerResponse } from 'node:http';

import type { BundleEvents, Position } from './bundle-events.js';
import type { BundleWatchers, Watcher } from './bundle-watchers.js';

export type BundleStream = {
  /** The ring, or undefined for all of them. */
  readonly ring: string | undefined;
  readonly lastEventId: string | undefined;
  readonly response: ServerResponse;
  /** Called when the reader is cut off because it does not read. */
  readonly slow: () => void;
  /** Called once, when the stream is over. */
  readonly release: () => void;
};

/** Shows both sides that the other is there, and keeps what is between them from closing the connection. */
export const heartbeatMs = 25_000;
/** Bytes. Some hundred events: a reader that is so far behind comes back and is told the newest at once. */
const mostBuffered = 64 * 1024;
/** How long a reader may take for what is on its way when the stream ends. */
const endWithinMs = 5_000;

const head = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would keep events back.
  'x-accel-buffering': 'no',
};

/** Server-sent events: what the reader does not know, and from then on each change, until one of both goes. */
export function streamBundles(watchers: BundleWatchers, events: BundleEvents, stream: BundleStream): void {
  const { response } = stream;
  // Gone while it was found out who it is: nothing more is told of its end.
  if (response.destroyed) {
    stream.release();
    return;
  }
  let seen: Position = events.resume(stream.lastEventId);
  let sent = true;
  const nowSent = (): void => {
    sent = true;
  };
  const leave = (): void => {
    watchers.remove(watcher);
  };
  const drop = (): void => {
    stream.slow();
    leave();
    response.destroy();
  };
  const watcher: Watcher = {
    slot: undefined,
    ring: stream.ring,
    tell: () => {
      const news = events.since(seen);
      if (news === undefined) return;
      seen = news.position;
      response.write(news.text);
      if (response.writableLength > mostBuffered) drop();
    },
    due: () => {
      // Nobody has read for so long that not even the last heartbeat could be sent.
      if (!sent) {
        drop();
        return;
      }
      sent = false;
      response.write(':\n\n', nowSent);
      watchers.schedule(watcher, heartbeatMs);
    },
    end: () =>
      new Promise((resolve) => {
        leave();
        const late = setTimeout(() => response.destroy(), endWithinMs).unref();
        const finish = (): void => {
          clearTimeout(late);
          resolve();
        };
        response.once('close', finish);
        response.end(finish);
      }),
  };
  response.setTimeout(0);
  response.once('close', () => {
    leave();
    stream.release();
  });
  response.writeHead(200, head);
  // Readers that lost the service together do not all come back in the same second.
  response.write(`retry: ${String(Math.round(1000 + 4000 * Math.random()))}\n\n`);
  watcher.tell();
  watchers.add(watcher, heartbeatMs * (0.5 + Math.random() / 2));
}
