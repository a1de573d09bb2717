import { setTimeout as sleep } from 'node:timers/promises';

import { type Dispatcher, request } from 'undici';

import { csrPath, type KubeObject } from './kube-client.js';

export type InformerOptions = {
  /** Where the server is by now, asked before every request: it may have moved. */
  readonly server: () => { readonly url: string; readonly dispatcher: Dispatcher };
  readonly protocol: 'list+watch' | 'watchlist';
};

/** One version of an object as the informer came to know it. */
export type Seen = { readonly type: string; readonly uid: string; readonly version: number };

/** A cache of all requests, kept as client-go's reflector keeps one. */
export type Informer = {
  /** The cache by name. */
  readonly store: ReadonlyMap<string, KubeObject>;
  /** What came over watches, by name, in the order it came. */
  readonly seen: ReadonlyMap<string, readonly Seen[]>;
  /** How often everything was read anew: once at the start, and whenever a version had expired. */
  readonly relists: () => number;
  /** How often a watch was opened. */
  readonly watches: () => number;
  /** Whatever a reflector would complain of. */
  readonly complaints: readonly string[];
  /** Waits until the cache holds everything up to this version. */
  synced(version: number, timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
};

type Event = { readonly type: string; readonly object: KubeObject };
type State = {
  store: Map<string, KubeObject>;
  readonly seen: Map<string, Seen[]>;
  readonly complaints: string[];
  /** The last version known; undefined before the first list and after an expiry. */
  version: number | undefined;
  relists: number;
  watches: number;
  readonly stopping: AbortController;
};

const endOfInitial = 'k8s.io/initial-events-end';
/** client-go waits 800 ms and more; tests are in a hurry. */
const backOffMs = 50;

export function startInformer(options: InformerOptions): Informer {
  const state: State = {
    store: new Map(),
    seen: new Map(),
    complaints: [],
    version: undefined,
    relists: 0,
    watches: 0,
    stopping: new AbortController(),
  };
  const running = run(state, options);
  return {
    get store() {
      return state.store;
    },
    seen: state.seen,
    complaints: state.complaints,
    relists: () => state.relists,
    watches: () => state.watches,
    async synced(version, timeoutMs = 30_000) {
      const deadline = Date.now() + timeoutMs;
      while ((state.version ?? 0) < version) {
        if (Date.now() > deadline)
          throw new Error(`the informer is at ${String(state.version)}, not ${String(version)}`);
        await sleep(10);
      }
    },
    async stop() {
      state.stopping.abort();
      await running;
    },
  };
}

/** ListAndWatch over and over: a lost connection goes on where it was, an expired version begins anew. */
async function run(state: State, options: InformerOptions): Promise<void> {
  const { signal } = state.stopping;
  while (!signal.aborted) {
    try {
      if (state.version === undefined && options.protocol === 'list+watch') await listAll(state, options);
      else await watchOnce(state, options);
    } catch {
      // A server that is down or dies in the middle of an answer: to be tried again.
    }
    await sleep(backOffMs);
  }
}

async function listAll(state: State, options: InformerOptions): Promise<void> {
  const items: KubeObject[] = [];
  let token: string | undefined;
  let version: string;
  do {
    const query = `?limit=500${token === undefined ? '' : `&continue=${encodeURIComponent(token)}`}`;
    const { statusCode, body } = await get(state, options, query);
    const page = (await body.json()) as KubeObject;
    if (statusCode === 410) return;
    if (statusCode !== 200) throw new Error(`list: ${String(statusCode)}`);
    items.push(...(page.items ?? []));
    version = page.metadata.resourceVersion;
    token = page.metadata.continue;
  } while (token !== undefined);
  state.store = new Map(items.map((item) => [item.metadata.name, item]));
  if (state.store.size !== items.length) state.complaints.push('a list has an object twice');
  state.version = Number(version);
  state.relists += 1;
}

async function watchOnce(state: State, options: InformerOptions): Promise<void> {
  const initial = state.version === undefined;
  const query = initial
    ? '?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=300'
    : `?watch=true&allowWatchBookmarks=true&resourceVersion=${String(state.version)}&timeoutSeconds=300`;
  const { statusCode, body } = await get(state, options, query);
  if (statusCode === 410) state.version = undefined;
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`watch: ${String(statusCode)}`);
  }
  state.watches += 1;
  const collecting: Map<string, KubeObject> | undefined = initial ? new Map<string, KubeObject>() : undefined;
  let rest = '';
  const handle = createHandler(state, collecting);
  for await (const chunk of body.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (!handle(JSON.parse(line) as Event)) return;
  }
}

/** Takes one event; false when the watch is of no more use. */
function createHandler(state: State, initial: Map<string, KubeObject> | undefined): (event: Event) => boolean {
  let collecting = initial;
  return ({ type, object }) => {
    if (type === 'ERROR') {
      if (object.code === 410) state.version = undefined;
      else state.complaints.push(`ERROR ${String(object.code)} ${object.message ?? ''}`);
      return false;
    }
    const version = Number(object.metadata.resourceVersion);
    if (type === 'BOOKMARK') {
      if (collecting !== undefined) {
        if (object.metadata.annotations?.[endOfInitial] !== 'true') return true;
        state.store = collecting;
        state.relists += 1;
        collecting = undefined;
      }
      advance(state, version, 'a bookmark');
      return true;
    }
    if (collecting !== undefined) {
      if (type !== 'ADDED') state.complaints.push(`${type} among the initial events`);
      if (collecting.has(object.metadata.name)) state.complaints.push(`${object.metadata.name} twice at the start`);
      collecting.set(object.metadata.name, object);
      return true;
    }
    apply(state, type, object, version);
    return true;
  };
}

function apply(state: State, type: string, object: KubeObject, version: number): void {
  const { name, uid } = object.metadata;
  const known = state.store.get(name);
  if ((type === 'ADDED') !== (known === undefined))
    state.complaints.push(`${type} of ${name}, known: ${known?.metadata.resourceVersion ?? 'no'}`);
  if (state.version !== undefined && version <= state.version)
    state.complaints.push(`${type} ${name} at ${String(version)} after ${String(state.version)}`);
  if (type === 'DELETED') state.store.delete(name);
  else state.store.set(name, object);
  state.seen.set(name, [...(state.seen.get(name) ?? []), { type, uid, version }]);
  advance(state, version, name);
}

function advance(state: State, version: number, what: string): void {
  if (state.version !== undefined && version < state.version)
    state.complaints.push(`${what} goes back from ${String(state.version)} to ${String(version)}`);
  state.version = version;
}

function get(state: State, { server }: InformerOptions, query: string): Promise<Dispatcher.ResponseData> {
  const { url, dispatcher } = server();
  return request(`${url}${csrPath}${query}`, {
    dispatcher,
    signal: state.stopping.signal,
    headers: { accept: 'application/json' },
    bodyTimeout: 0,
  });
}
