import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import { type Api, type Call, renderingOf } from '../call.js';
import { listOptions, type ListOptions } from '../options.js';
import { type ListMeta, sendList, sendObject } from '../render.js';
import { matchesSelection, parseSelection, type Selection } from '../selectors.js';
import { decodeContinue, encodeContinue } from './continue-token.js';
import { listAt } from './history.js';

/** GET of one request; the subresources show the whole object too. */
export async function get(call: Call): Promise<FastifyReply> {
  const { api, reply, target, query } = call;
  if (query['resourceVersion'] !== undefined)
    await notOlderThan(api, listOptions({ resourceVersion: query['resourceVersion'] }, false).resourceVersion);
  return sendObject(reply, 200, await api.requests.get(target.name ?? ''), renderingOf(call));
}

/** GET of the collection. */
export async function list(call: Call): Promise<FastifyReply> {
  const selection = parseSelection(call.query);
  const options = listOptions(call.query, false);
  const { items, metadata } = await readList(call.api, selection, options);
  return sendList(call.reply, items, metadata, renderingOf(call));
}

export type ListResult = { readonly items: readonly string[]; readonly metadata: ListMeta };

/** The requests that a list shows, as stored texts. Throws 'timeout' for a version that is not there yet, 'expired' for one that is gone. */
export async function readList(api: Api, selection: Selection, options: ListOptions): Promise<ListResult> {
  await notOlderThan(api, options.resourceVersion);
  if (options.resourceVersionMatch === 'Exact' && options.resourceVersion !== undefined) {
    const items = await listAt(api.store, options.resourceVersion, selection);
    return { items, metadata: { resourceVersion: String(options.resourceVersion) } };
  }
  if (selection.name !== undefined && selection.byNameOnly) return readByName(api, selection.name);
  const token = options.continue === undefined ? undefined : decodeContinue(options.continue);
  const found = await api.requests.list({
    ...(selection.signerName === undefined ? {} : { signerName: selection.signerName }),
    ...(selection.name === undefined ? {} : { name: selection.name }),
    ...(selection.everything ? {} : { matches: (request) => matchesSelection(selection, request) }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(token === undefined ? {} : { continue: token.start }),
  });
  // Later pages carry the first page's version: a watch from there misses nothing that happened between them.
  const revision = token?.revision ?? found.revision;
  const remaining = selection.everything && found.continue !== undefined ? found.remaining : undefined;
  return {
    items: found.items,
    metadata: {
      resourceVersion: String(revision),
      ...(found.continue === undefined ? {} : { continue: encodeContinue({ revision, start: found.continue }) }),
      ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
    },
  };
}

/** What a kubelet asks for: one row by its key, no query for the version. */
async function readByName(api: Api, name: string): Promise<ListResult> {
  const before = api.store.feed.current();
  const text = await getIfAny(api, name);
  if (text === undefined) return { items: [], metadata: { resourceVersion: String(before) } };
  return { items: [text], metadata: { resourceVersion: String(Math.max(before, revisionOf(text))) } };
}

/** The stored text, or undefined when there is no such request. */
export async function getIfAny(api: Api, name: string): Promise<string | undefined> {
  try {
    return await api.requests.get(name);
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** The object's own resourceVersion, read without parsing the text: metadata comes first in it. */
export function revisionOf(text: string): number {
  const found = /"resourceVersion":"(\d+)"/.exec(text);
  return found === null ? 0 : Number(found[1]);
}

/** Throws upstream's Timeout when the service has not come as far as `version`. */
export async function notOlderThan(api: Api, version: number | undefined): Promise<void> {
  if (version === undefined || version <= api.store.feed.current()) return;
  const current = await api.store.revision();
  if (version <= current) return;
  throw new RotundaError(
    'timeout',
    `Timeout: Too large resource version: ${String(version)}, current: ${String(current)}`,
    {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  );
}
