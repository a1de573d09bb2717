import type { ServerResponse } from 'node:http';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import { rotationChanges } from '../../store/queries/rotations.js';
import type { Change, Subscription } from '../../store/types.js';
import { heartbeatMs } from '../public/bundle-stream.js';

type Opened = {
  readonly response: ServerResponse;
  readonly lastEventId: string | undefined;
  /** Called once, when the stream is over. */
  readonly release: () => void;
};

export type RotationStreams = {
  /** Server-sent events from here on, until one of both sides goes. Never rejects. */
  open(stream: Opened): Promise<void>;
  /** For a server that stops. */
  drain(): Promise<void>;
};

/** Bytes. Many more than a reader that reads has before it. */
const mostBuffered = 64 * 1024;

const head = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would keep events back.
  'x-accel-buffering': 'no',
};

type Parts = Pick<Context, 'store' | 'rotations' | 'logger'>;

/** Whoever follows rotations: a few people and dashboards, each with a subscription of its own. */
export function createRotationStreams(parts: Parts): RotationStreams {
  const open = new Set<() => Promise<void>>();
  let drained = false;
  return {
    open: async (stream) => {
      const { response } = stream;
      // Gone while it was found out who it is: nothing more is told of its end.
      if (response.destroyed) {
        stream.release();
        return;
      }
      const reader = readerOf(stream);
      open.add(reader.end);
      response.once('close', () => open.delete(reader.end));
      if (drained) await reader.end();
      else
        await begin(parts, reader, stream.lastEventId).catch((error: unknown) => {
          parts.logger.error({ err: error }, 'a stream of rotations ends');
          response.destroy();
        });
    },
    drain: async () => {
      drained = true;
      await Promise.all([...open].map((end) => end()));
    },
  };
}

type Reader = {
  readonly tell: (text: string) => void;
  /** Ended with the stream, or at once where that is over already. */
  readonly hold: (subscription: Subscription) => void;
  readonly end: () => Promise<void>;
};

function readerOf({ response, release }: Opened): Reader {
  let subscription: Subscription | undefined;
  let over = false;
  const tell = (text: string): void => {
    response.write(text);
    // It does not read.
    if (response.writableLength > mostBuffered) response.destroy();
  };
  const heartbeat = setInterval(() => {
    tell(':\n\n');
  }, heartbeatMs).unref();
  response.setTimeout(0);
  response.once('close', () => {
    over = true;
    clearInterval(heartbeat);
    subscription?.close();
    release();
  });
  response.writeHead(200, head);
  return {
    tell,
    hold: (held) => {
      if (over) held.close();
      else subscription = held;
    },
    end: () =>
      new Promise((resolve) => {
        if (response.destroyed) resolve();
        else response.end(resolve);
      }),
  };
}

/** From where the reader left off, or from the present state where that is not known any more. */
async function begin({ store, rotations }: Parts, reader: Reader, lastEventId: string | undefined): Promise<void> {
  const { feed } = store;
  const follow = (after: number): Promise<Subscription> =>
    feed.subscribe({ resource: rotationChanges, after }, (change) => {
      reader.tell(eventOf(change));
    });
  reader.tell('retry: 3000\n\n');
  const position = positionOf(lastEventId, feed.current());
  if (position !== undefined) {
    const subscription = await follow(position).catch((error: unknown) => {
      if (error instanceof RotundaError && error.code === 'expired') return undefined;
      throw error;
    });
    if (subscription !== undefined) {
      reader.hold(subscription);
      return;
    }
  }
  const now = feed.current();
  for (const { id, ring, state } of await rotations.running()) reader.tell(eventText(now, { id, ring, state }));
  reader.hold(await follow(now));
}

/** A database that was restored is behind what its readers know. */
function positionOf(lastEventId: string | undefined, current: number): number | undefined {
  if (lastEventId === undefined || !/^\d{1,15}$/.test(lastEventId)) return undefined;
  const position = Number(lastEventId);
  return position <= current ? position : undefined;
}

function eventOf({ revision, object }: Change): string {
  const { id, ring, state } = JSON.parse(object) as { id: string; ring: string; state: string };
  return eventText(revision, { id, ring, state });
}

function eventText(id: number, data: { readonly id: string; readonly ring: string; readonly state: string }): string {
  return `event: rotation\nid: ${String(id)}\ndata: ${JSON.stringify(data)}\n\n`;
}
