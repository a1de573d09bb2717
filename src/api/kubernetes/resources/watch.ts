import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import type { Change } from '../../../store/types.js';
import { type Call, renderingOf } from '../call.js';
import { listOptions, type ListOptions } from '../options.js';
import { tableOptions } from '../render.js';
import { notOlderThan } from '../requests/read.js';
import { partialObject } from '../table.js';
import { openStream, type Stream } from '../watch/stream.js';
import { subscribe } from '../watch/watch.js';
import { pagesOf } from './read.js';
import { tableOf, typed } from './render.js';
import { parseSelection, type PlainSelection } from './selection.js';
import type { PlainObject, ResourceBackend, ResourceChanges, ResourceKind, WatchEvent } from './types.js';

/** GET of a collection with `watch`: answers at once and streams until its time is over. */
export async function watchObjects(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { api, reply, request } = call;
  const selection = parseSelection(kind, call.query);
  const options = listOptions(call.query, true);
  const frames = framesOf(call, kind);
  const backend = kind.open(api, request.identity);
  const { changes } = backend;
  if (changes === undefined) throw new RotundaError('internal', 'a kind that is watched without changes');
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  const bookmark = (revision: number): string => frames.bookmark(revision, false);
  const stream = openStream(api, { request, response, options, bookmark });
  try {
    await feed(call, { kind, backend, changes, selection, options, frames, stream });
  } catch (error) {
    if (!(error instanceof RotundaError)) request.log.error({ err: error }, 'a watch failed');
    stream.fail(error);
  }
  return reply;
}

type Feeding = {
  readonly kind: ResourceKind;
  readonly backend: ResourceBackend;
  readonly changes: ResourceChanges;
  readonly selection: PlainSelection;
  readonly options: ListOptions;
  readonly frames: Frames;
  readonly stream: Stream;
};

async function feed(call: Call, feeding: Feeding): Promise<void> {
  const { api, target, request } = call;
  const { kind, changes, options, stream, frames, selection } = feeding;
  const { resourceVersion, sendInitialEvents } = options;
  const fromVersion = resourceVersion !== undefined && resourceVersion > 0;
  const initial = sendInitialEvents ?? !fromVersion;
  if (sendInitialEvents === true) await notOlderThan(api, resourceVersion);
  const after = initial
    ? await sendInitial(feeding, target.namespace)
    : fromVersion
      ? resourceVersion
      : await api.store.revision();
  if (!stream.open()) return;
  if (sendInitialEvents === true && options.allowWatchBookmarks) stream.send(frames.bookmark(after, true));
  // Events may need a look into the database, and must leave in the order of their changes all the same.
  let tail = Promise.resolve();
  const listener = (change: Change): void => {
    tail = tail
      .then(async () => {
        if (!stream.open()) return;
        for (const event of await changes.eventsOf(change, target.namespace)) send(feeding, event);
      })
      .catch((error: unknown) => {
        if (!(error instanceof RotundaError)) request.log.error({ err: error }, 'a watch failed');
        stream.fail(error);
      });
  };
  const { nameOf } = changes;
  const one = !kind.namespaced || target.namespace !== undefined;
  const byName = nameOf !== undefined && selection.name !== undefined && one;
  const name = byName ? { name: nameOf({ namespace: target.namespace ?? '', name: selection.name }) } : {};
  stream.attach(await subscribe(api, { resource: changes.resource, ...name, after }, listener));
  stream.caughtUp();
}

/** As upstream: an object that comes to match is ADDED, one that no longer does is DELETED in its last matching state. */
function send({ selection, frames, stream }: Feeding, { type, object, previous }: WatchEvent): void {
  const is = selection.matches(object);
  const was = previous === undefined ? is : selection.matches(previous);
  if (type !== 'MODIFIED' || is === was) {
    if (is) stream.send(frames.event(type, object));
  } else if (is) stream.send(frames.event('ADDED', object));
  else if (previous !== undefined) {
    const { resourceVersion } = object.metadata;
    stream.send(frames.event('DELETED', { ...previous, metadata: { ...previous.metadata, resourceVersion } }));
  }
}

async function sendInitial(feeding: Feeding, namespace: string | undefined): Promise<number> {
  const { backend, selection, frames, stream } = feeding;
  let after: number | undefined;
  for await (const page of pagesOf(backend, namespace)) {
    after ??= page.revision;
    for (const object of page.items) {
      if (stream.open() && selection.matches(object)) await stream.sendPaced(frames.event('ADDED', object));
    }
    if (!stream.open()) break;
  }
  return after ?? 0;
}

type Frames = {
  event(type: WatchEvent['type'], object: PlainObject): string;
  /** `initial` marks the end of the initial events. */
  bookmark(revision: number, initial: boolean): string;
};

/** How a watch shows its objects: as they are, as metadata, or as rows. */
function framesOf(call: Call, kind: ResourceKind): Frames {
  const { as } = call.representation;
  const rendering = renderingOf(call);
  let header = true;
  if (as?.kind === 'Table') tableOptions(rendering, as.version);
  const shown = (object: PlainObject): unknown => {
    if (as === undefined) return typed(kind, object);
    if (as.kind !== 'Table') return partialObject(object, as.version);
    const { resourceVersion } = object.metadata;
    const first = header;
    header = false;
    return tableOf(kind, [object], { resourceVersion }, tableOptions(rendering, as.version), first);
  };
  const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;
  return {
    event: (type, object) => line(type, shown(object)),
    bookmark: (revision, initial) => {
      const metadata = {
        resourceVersion: String(revision),
        ...(initial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
      };
      return line('BOOKMARK', shown({ metadata: metadata as unknown as PlainObject['metadata'] }));
    },
  };
}
