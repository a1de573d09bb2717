import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import { hasChangedSince } from '../../../store/queries/changes.js';
import type { Api, Call } from '../call.js';
import { listOptions, type ListOptions } from '../options.js';
import type { ListMeta } from '../render.js';
import { decodeContinue, encodeContinue } from '../requests/continue-token.js';
import { notOlderThan } from '../requests/read.js';
import type { Target } from '../target.js';
import { about, objectNotFound } from './errors.js';
import { sendPlain, sendPlainList } from './render.js';
import { parseSelection, type PlainSelection } from './selection.js';
import type { ObjectKey, PlainObject, ResourceBackend, ResourceKind } from './types.js';

/** Objects fetched at a time. */
const pageSize = 500;

/** Which object a path names. */
export function keyOf({ namespace, name }: Target): ObjectKey {
  return { namespace: namespace ?? '', name: name ?? '' };
}

/** GET of one object. */
export async function getObject(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { api, request, target, query } = call;
  if (query['resourceVersion'] !== undefined)
    await notOlderThan(api, listOptions({ resourceVersion: query['resourceVersion'] }, false).resourceVersion);
  const key = keyOf(target);
  const found = await about(kind, key.name, () => kind.open(api, request.identity).get(key));
  if (found === undefined) throw objectNotFound(kind, key.name);
  return sendPlain(call, kind, 200, found);
}

/** GET of a collection. */
export async function listObjects(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { api, request, target, query } = call;
  const selection = parseSelection(kind, query);
  const options = listOptions(query, false);
  const backend = kind.open(api, request.identity);
  const { items, metadata } = await readObjects(api, backend, { namespace: target.namespace, selection, options });
  return sendPlainList(call, kind, items, metadata);
}

export type ListResult = { readonly items: readonly PlainObject[]; readonly metadata: ListMeta };

export type Wanted = {
  /** Undefined: of all namespaces. */
  readonly namespace: string | undefined;
  readonly selection: PlainSelection;
  readonly options: Pick<ListOptions, 'limit' | 'continue' | 'resourceVersion' | 'resourceVersionMatch'>;
};

/** What a list shows. Throws 'timeout' for a version that is not there yet, 'expired' for one that is gone. */
export async function readObjects(api: Api, backend: ResourceBackend, wanted: Wanted): Promise<ListResult> {
  const { options, selection, namespace } = wanted;
  await notOlderThan(api, options.resourceVersion);
  const exact = options.resourceVersionMatch === 'Exact' ? options.resourceVersion : undefined;
  const token = options.continue === undefined ? undefined : decodeContinue(options.continue);
  const items: PlainObject[] = [];
  let first: number | undefined;
  let after = token === undefined ? undefined : keyOfStart(token.start);
  const full = (): boolean => options.limit !== undefined && items.length > options.limit;
  for await (const page of pagesOf(backend, namespace, after)) {
    first ??= page.revision;
    for (const object of page.items) if (!full() && selection.matches(object)) items.push(object);
    if (full()) break;
  }
  if (exact !== undefined) await requireUnchanged(api, backend, exact);
  const shown = options.limit === undefined ? items : items.slice(0, options.limit);
  // Later pages carry the first page's version: a watch from there misses nothing that happened between them.
  const revision = exact ?? token?.revision ?? first ?? 0;
  const last = shown.at(-1);
  after = shown.length < items.length && last !== undefined ? keyOfObject(last) : undefined;
  return {
    items: shown,
    metadata: {
      resourceVersion: String(revision),
      ...(after === undefined ? {} : { continue: encodeContinue({ revision, start: startOf(after) }) }),
    },
  };
}

/** All pages of a list, one after the other. */
export async function* pagesOf(
  backend: ResourceBackend,
  namespace: string | undefined,
  start?: ObjectKey,
): AsyncGenerator<{ readonly items: readonly PlainObject[]; readonly revision: number }> {
  if (backend.list === undefined) throw new RotundaError('internal', 'a kind that is listed without a list');
  let after = start;
  for (;;) {
    const page = await backend.list({ namespace, after, limit: pageSize });
    yield page;
    const last = page.items.at(-1);
    if (page.items.length < pageSize || last === undefined) return;
    after = keyOfObject(last);
  }
}

/** What was at an old version is known only while nothing of the kind has changed since. */
async function requireUnchanged(api: Api, backend: ResourceBackend, revision: number): Promise<void> {
  const resource = backend.changes?.resource;
  const changed = resource === undefined || (await hasChangedSince(api.store.db, resource, revision));
  if (changed) throw new RotundaError('expired', 'The resourceVersion for the provided list is too old.', {});
}

export function keyOfObject({ metadata }: PlainObject): ObjectKey {
  return { namespace: metadata.namespace ?? '', name: metadata.name };
}

function startOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

function keyOfStart(start: string): ObjectKey {
  const slash = start.indexOf('/');
  return { namespace: start.slice(0, Math.max(slash, 0)), name: start.slice(slash + 1) };
}
