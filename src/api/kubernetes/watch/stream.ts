import type { ServerResponse } from 'node:http';

import type { FastifyRequest } from 'fastify';

import type { Identity } from '../../../identity/types.js';
import { callerKey } from '../../../limits/callers.js';
import type { Subscription } from '../../../store/types.js';
import type { Api } from '../call.js';
import type { ListOptions } from '../options.js';
import { statusOf } from '../status.js';
import { errorFrame } from './frames.js';
import { bookmarkMs, type WatchHandle } from './watches.js';

/** A reader that is this many bytes behind is closed; it comes back where it was. */
const mostBuffered = 4 * 1024 * 1024;
/** How long the reader of a watch that has ended may take for what is still on its way. */
const endWithinMs = 10_000;
/** Upstream's default: half an hour, up to twice that by chance so that not all come back at once. */
const standardTimeoutMs = 1_800_000;

/** The answer of one watch while it is open. */
export type Stream = {
  readonly open: () => boolean;
  /** Writes; closes the connection of a reader that is too far behind. */
  send(frame: string): void;
  /** Writes and waits until the reader has taken most of it. */
  sendPaced(frame: string): Promise<void>;
  /** From here on bookmarks tell the feed's position. */
  caughtUp(): void;
  attach(subscription: Subscription): void;
  /** Sends the error as an event and ends. */
  fail(error: unknown): void;
};

export type Opening = {
  readonly request: FastifyRequest;
  readonly response: ServerResponse;
  readonly options: ListOptions;
  /** A bookmark at a revision, in the form of this watch. */
  readonly bookmark: (revision: number) => string;
};

type State = { open: boolean; live: boolean; subscription: Subscription | undefined };

/** What a stream needs of the service. */
export type StreamApi = Pick<Api, 'bans' | 'clock' | 'store' | 'watches'>;

/** Hands the response to the shared clock, which ends it in time. */
export function openStream(api: StreamApi, opening: Opening): Stream {
  const { response } = opening;
  const state: State = { open: true, live: false, subscription: undefined };
  const handle = handleOf(api, opening, state);
  const send = (frame: string): void => {
    if (!state.open) return;
    response.write(frame);
    if (response.writableLength <= mostBuffered) return;
    opening.request.log.warn({ username: opening.request.identity.username }, 'a watch reads too slowly and is closed');
    handle.release();
    response.destroy();
  };
  // A watch may be silent for long; its own clock ends it.
  response.setTimeout(0);
  response.once('close', handle.release);
  api.watches.add(handle);
  return {
    open: () => state.open,
    send,
    async sendPaced(frame) {
      if (state.open && !response.write(frame)) await drained(response);
    },
    caughtUp: () => {
      state.live = true;
    },
    attach: (subscription) => {
      if (state.open) state.subscription = subscription;
      else subscription.close();
    },
    fail: (error) => {
      if (!state.open) return;
      send(errorFrame(statusOf(error)));
      void handle.end();
    },
  };
}

function handleOf(
  api: StreamApi,
  { request, response, options, bookmark }: Opening,
  state: State,
): WatchHandle & { readonly release: () => void } {
  const now = api.clock.now().getTime();
  const handle = {
    caller: callerKey(request.identity),
    deadline: now + timeoutOf(options.timeoutSeconds),
    nextBookmark: now + bookmarkMs,
    bookmark: () => {
      if (!state.open || !state.live || !options.allowWatchBookmarks) return;
      response.write(bookmark(api.store.feed.current()));
    },
    allowed: () => mayStillSee(api, request.identity),
    release: () => {
      state.open = false;
      state.subscription?.close();
      state.subscription = undefined;
      api.watches.remove(handle);
    },
    end: () => {
      handle.release();
      // A reader that has stopped reading would otherwise keep its connection, and what is buffered for it, for ever.
      const late = setTimeout(() => response.destroy(), endWithinMs).unref();
      return new Promise<void>((resolve) => {
        const finish = (): void => {
          clearTimeout(late);
          resolve();
        };
        response.once('close', finish);
        response.end(finish);
      });
    },
  };
  return handle;
}

function timeoutOf(seconds: number | undefined): number {
  return seconds === undefined || seconds <= 0 ? standardTimeoutMs * (1 + Math.random()) : seconds * 1000;
}

/**
 * A certificate that is banned sees nothing more, although its connection is open; nor does a node that an API server
 * names, whose certificate may be unknown.
 */
function mayStillSee({ bans }: StreamApi, { ring, certificate, username }: Identity): boolean {
  return ring === undefined || bans.isBanned(ring, certificate?.serial ?? '', username) === undefined;
}

/** Resolves when the reader has taken what was written, or has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      response.off('drain', finish).off('close', finish);
      resolve();
    };
    response.on('drain', finish).on('close', finish);
  });
}
