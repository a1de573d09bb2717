import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import type { Change, Subscription } from '../../../store/types.js';
import { type Api, type Call, renderingOf } from '../call.js';
import { resource } from '../kinds.js';
import { listOptions, type ListOptions } from '../options.js';
import { tableOptions } from '../render.js';
import { snapshotPages } from '../requests/history.js';
import { getIfAny, notOlderThan, revisionOf } from '../requests/read.js';
import { matchesSelection, parseSelection, type Selection } from '../selectors.js';
import type { CertificateRequest } from '../../../csr/types.js';
import { bookmarkFrame, eventFrame, eventOf, type Framing } from './frames.js';
import { openStream, type Stream } from './stream.js';

/** GET of the collection with `watch`: answers at once and streams until its time is over. */
export async function watch(call: Call): Promise<FastifyReply> {
  const { api, reply, request } = call;
  const selection = parseSelection(call.query);
  const options = listOptions(call.query, true);
  const framing = framingOf(call);
  reply.hijack();
  const response = reply.raw;
  // What there is to say about one object comes at once: head, object and bookmark are one write to the socket.
  const atOnce = selection.name !== undefined;
  if (atOnce) response.cork();
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  const stream = openStream(api, {
    request,
    response,
    options,
    bookmark: (revision) => bookmarkFrame(revision, false, framing),
  });
  try {
    await feed(api, { selection, options, framing, stream });
  } catch (error) {
    if (!(error instanceof RotundaError)) request.log.error({ err: error }, 'a watch failed');
    stream.fail(error);
  } finally {
    if (atOnce) response.uncork();
  }
  return reply;
}

type Feeding = {
  readonly selection: Selection;
  readonly options: ListOptions;
  readonly framing: Framing;
  readonly stream: Stream;
};

async function feed(api: Api, { selection, options, framing, stream }: Feeding): Promise<void> {
  const { resourceVersion, sendInitialEvents } = options;
  const fromVersion = resourceVersion !== undefined && resourceVersion > 0;
  const initial = sendInitialEvents ?? !fromVersion;
  if (sendInitialEvents === true) await notOlderThan(api, resourceVersion);
  const start = initial
    ? await sendInitial(api, { selection, options, framing, stream })
    : await startOf(api, resourceVersion);
  if (!stream.open()) return;
  if (sendInitialEvents === true && options.allowWatchBookmarks) stream.send(bookmarkFrame(start.after, true, framing));
  let { known } = start;
  const listener = (change: Change): void => {
    if (change.revision <= (start.ahead?.get(change.name) ?? start.skip)) return;
    // Of an object that this watch never showed there is nothing to delete.
    if (known === false && change.type === 'DELETED') return;
    known = undefined;
    const event = eventOf(change, selection);
    if (event !== undefined) stream.send(eventFrame(event.type, event.text, framing));
  };
  const scope = selection.name === undefined ? { resource } : { resource, name: selection.name };
  stream.attach(await subscribe(api, { ...scope, after: start.after }, listener));
  stream.caughtUp();
}

/** Subscribes to changes. Throws 'expired' in upstream's words. */
export async function subscribe(
  api: Api,
  scope: { resource: string; name?: string; after: number },
  listener: (change: Change) => void,
): Promise<Subscription> {
  try {
    return await api.store.feed.subscribe(scope, listener);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'expired') throw error;
    throw new RotundaError(
      'expired',
      `too old resource version: ${String(scope.after)} (${String(api.store.feed.current())})`,
      { cause: error },
    );
  }
}

/** Where the log is read from, up to where changes are shown already, and whether the one object asked for was shown. */
type Start = {
  readonly after: number;
  readonly skip: number;
  readonly known: boolean | undefined;
  /** Objects that were shown in a later state than the rest, and in which. */
  readonly ahead?: ReadonlyMap<string, number>;
};

async function startOf(api: Api, version: number | undefined): Promise<Start> {
  const after = version === undefined || version === 0 ? await api.store.revision() : version;
  return { after, skip: after, known: undefined };
}

async function sendInitial(api: Api, { selection, framing, stream }: Feeding): Promise<Start> {
  if (selection.name !== undefined) {
    const before = api.store.feed.current();
    const text = await getIfAny(api, selection.name);
    const shown = text !== undefined && matchesSelection(selection, JSON.parse(text) as CertificateRequest);
    if (text === undefined || !shown)
      return { after: before, skip: before, known: text === undefined ? false : undefined };
    stream.send(eventFrame('ADDED', text, framing));
    // What the log says about this object up to its own version is in what was sent.
    return { after: Math.max(before, revisionOf(text)), skip: revisionOf(text), known: undefined };
  }
  let after = 0;
  const ahead = new Map<string, number>();
  for await (const page of snapshotPages(api.store, { selection })) {
    after = page.revision;
    for (const { name, object } of page.items) {
      if (revisionOf(object) > after) ahead.set(name, revisionOf(object));
      if (stream.open()) await stream.sendPaced(eventFrame('ADDED', object, framing));
    }
    if (!stream.open()) break;
  }
  return { after, skip: after, known: undefined, ahead };
}

function framingOf(call: Call): Framing {
  const { as } = call.representation;
  if (as === undefined) return { kind: 'object' };
  if (as.kind !== 'Table') return { kind: 'partial', version: as.version };
  const rendering = renderingOf(call);
  tableOptions(rendering, as.version);
  return { kind: 'table', options: () => tableOptions(rendering, as.version), header: true };
}
