import type { ServerResponse } from 'node:http';

import type { Ca } from '../../ca/types.js';
import { answerBundle, type BundleAnswer } from './bundle.js';
import type { BundleWatchers, Watcher } from './bundle-watchers.js';

export type Poll = {
  readonly ring: string;
  /** The generation that the reader has. */
  readonly after: number;
  readonly waitMs: number;
  readonly accept: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly response: ServerResponse;
  /** Called once, when the answer is out or the reader is gone. */
  readonly release: () => void;
};

/** An answer that depends on when it was asked for is of no use to anybody else. */
const uncached = { 'cache-control': 'no-store' };

/**
 * Answers with the ring's bundle as soon as its generation is above the reader's, and with 304 when the time is over
 * before. The response is written past the framework: thousands are answered in a row, each in one go. Throws nothing
 * that `answerBundle` has not thrown for the same reader before.
 */
export function pollBundle(watchers: BundleWatchers, ca: Pick<Ca, 'bundle'>, poll: Poll): void {
  const { ring, after, response } = poll;
  // Gone while it was found out who it is: nothing more is told of its end.
  if (response.destroyed) {
    poll.release();
    return;
  }
  let open = true;
  const answer = (made: BundleAnswer, more: Readonly<Record<string, string>> = {}): void => {
    if (!open) return;
    open = false;
    watchers.remove(watcher);
    response.writeHead(made.status, { ...made.headers, ...uncached, ...more, ...lengthOf(made) });
    response.end(made.body);
  };
  const current = (): BundleAnswer =>
    answerBundle(ca.bundle(ring), { accept: poll.accept, ifNoneMatch: poll.ifNoneMatch });
  const nothingNew = (): BundleAnswer => ({ ...current(), status: 304, body: '' });
  const watcher: Watcher = {
    slot: undefined,
    ring,
    tell: () => {
      if (ca.bundle(ring).generation > after) answer(current());
    },
    due: () => {
      answer(nothingNew());
    },
    end: () =>
      new Promise((resolve) => {
        response.once('close', resolve).once('finish', resolve);
        // Another replica, or this one when it is back, has to be asked the next time.
        answer(nothingNew(), { connection: 'close' });
      }),
  };
  // The wait ends by its own clock, not by the connection's.
  response.setTimeout(0);
  response.once('close', () => {
    open = false;
    watchers.remove(watcher);
    poll.release();
  });
  watchers.add(watcher, poll.waitMs);
  watcher.tell();
  if (poll.waitMs === 0) watcher.due();
}

function lengthOf({ status, body }: BundleAnswer): Readonly<Record<string, number>> {
  return status === 304 ? {} : { 'content-length': Buffer.byteLength(body) };
}
