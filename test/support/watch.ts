import { setTimeout as sleep } from 'node:timers/promises';

import { type Dispatcher, request } from 'undici';

import type { KubeObject } from './kube-client.js';

export type WatchEvent = { readonly type: string; readonly object: KubeObject };

export type OpenWatch = {
  readonly status: number;
  readonly contentType: string;
  readonly events: WatchEvent[];
  readonly ended: () => boolean;
  close(): void;
  /** Waits for at least this many events; throws with what came when they do not. */
  until(count: number, timeoutMs?: number): Promise<WatchEvent[]>;
  /** Waits until the server ends the stream. */
  untilEnded(timeoutMs?: number): Promise<WatchEvent[]>;
};

export type WatchOptions = {
  readonly dispatcher: Dispatcher;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onEvent?: (event: WatchEvent) => void;
};

const standardPatienceMs = 10_000;

/** Opens a watch on the whole URL given and collects its events, one JSON text per line. */
export async function openWatch(url: string, options: WatchOptions): Promise<OpenWatch> {
  const { statusCode, headers, body } = await request(url, {
    dispatcher: options.dispatcher,
    headers: { accept: 'application/json', ...options.headers },
    bodyTimeout: 0,
  });
  const events: WatchEvent[] = [];
  const state = { ended: false, rest: '' };
  const finish = (): void => {
    state.ended = true;
  };
  body.setEncoding('utf8');
  body.on('data', (part: string) => {
    const lines = (state.rest + part).split('\n');
    state.rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = JSON.parse(line) as WatchEvent;
      events.push(event);
      options.onEvent?.(event);
    }
  });
  body.on('end', finish).on('error', finish).on('close', finish);
  const wait = async (done: () => boolean, timeoutMs: number, what: string): Promise<WatchEvent[]> => {
    const deadline = Date.now() + timeoutMs;
    while (!done() && Date.now() < deadline) await sleep(10);
    if (done()) return events;
    throw new Error(`${what} did not come; there were ${JSON.stringify(events.map(shapeOf))}${state.rest}`);
  };
  return {
    status: statusCode,
    contentType: String(headers['content-type']),
    events,
    ended: () => state.ended,
    close: () => body.destroy(),
    until: (count, timeoutMs = standardPatienceMs) =>
      wait(() => events.length >= count, timeoutMs, `${String(count)} events`),
    untilEnded: (timeoutMs = standardPatienceMs) => wait(() => state.ended, timeoutMs, 'the end of the watch'),
  };
}

/** An event in short: its type and the object's name. */
export function shapeOf({ type, object }: WatchEvent): string {
  const { name } = object.metadata as { name?: string };
  return `${type} ${name ?? object.reason ?? ''}`.trim();
}
