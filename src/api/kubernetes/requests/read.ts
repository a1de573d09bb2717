import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import { countRequests } from '../../../store/queries/requests.js';
import { type Api, type Call, renderingOf } from '../call.js';
import { listOptions, type ListOptions } from '../options.js';
import { type ListMeta, sendList, sendObject } from '../render.js';
import { parseSelection, type Selection } from '../selectors.js';
import { anyRevision, type ContinueToken, decodeContinue, encodeContinue } from './continue-token.js';
import { isSelected, type Snapshot, snapshot, type SnapshotQuery } from './history.js';

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
  const token = options.continue === undefined ? undefined : decodeContinue(options.continue);
  const exact = exactVersion(options);
  if (token === undefined && exact === undefined && selection.name !== undefined)
    return readByName(api, selection, selection.name);
  const from = token === undefined ? exact : token.revision === anyRevision ? undefined : token.revision;
  const query = {
    selection,
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(from === undefined ? {} : { revision: from }),
    ...(token === undefined ? { exact: exact !== undefined } : { after: token.start }),
  };
  return listResult(api, query, await readSnapshot(api, query, token));
}

/** Upstream's rule: with a limit, a version that is not 0 means that very version. */
function exactVersion({ resourceVersion, resourceVersionMatch, limit }: ListOptions): number | undefined {
  if (resourceVersionMatch === 'Exact') return resourceVersion;
  const legacy = resourceVersionMatch === undefined && limit !== undefined;
  return legacy && resourceVersion !== 0 ? resourceVersion : undefined;
}

async function readSnapshot(api: Api, query: SnapshotQuery, token: ContinueToken | undefined): Promise<Snapshot> {
  try {
    return await snapshot(api.store, query);
  } catch (error) {
    if (token === undefined || !(error instanceof RotundaError) || error.code !== 'expired') throw error;
    throw new RotundaError('expired', lateContinue, {
      continue: encodeContinue({ revision: anyRevision, start: token.start }),
      cause: error,
    });
  }
}

const lateContinue =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

async function listResult(api: Api, query: SnapshotQuery, found: Snapshot): Promise<ListResult> {
  const { items, revision, next } = found;
  if (next === undefined) return { items, metadata: { resourceVersion: String(revision) } };
  // Upstream does not count what selectors choose from.
  const { everything } = query.selection;
  const remaining = everything ? await countRequests(api.store.db, { after: next }) : undefined;
  return {
    items,
    metadata: {
      resourceVersion: String(revision),
      continue: encodeContinue({ revision, start: next }),
      ...(remaining === undefined || remaining === 0 ? {} : { remainingItemCount: remaining }),
    },
  };
}

/** What a kubelet asks for: one row by its key, no query for the version. */
async function readByName(api: Api, selection: Selection, name: string): Promise<ListResult> {
  const before = api.store.feed.current();
  const text = await getIfAny(api, name);
  const shown = text !== undefined && (selection.byNameOnly || isSelected(selection, text));
  if (!shown) return { items: [], metadata: { resourceVersion: String(before) } };
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
