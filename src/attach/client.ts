import { Agent, type Dispatcher, request } from 'undici';

import { type ErrorCode, errorCatalogue, rootCause, RotundaError } from '../errors.js';
import type { Kubeconfig } from '../kubeconfig.js';

/** What an object of any kind has. */
export type ClusterObject = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
};

export type WatchEvent<T> = { readonly type: string; readonly object: T };
type ObjectList<T> = { readonly items: readonly T[]; readonly resourceVersion: string };
type Query = Readonly<Record<string, string | number>>;

/**
 * A client for a Kubernetes API server, JSON only. Paths are absolute (`/api/v1/…`). What the server refuses is thrown
 * as RotundaError with the code that belongs to the status; a server that cannot be reached or trusted is 'unavailable'.
 */
export type ClusterClient = {
  readonly server: string;
  /** Undefined where there is no such object. */
  get<T>(path: string): Promise<T | undefined>;
  /** All pages of a list, and the version that a watch goes on from. */
  list<T>(path: string, query?: Query): Promise<ObjectList<T>>;
  create<T>(path: string, object: unknown): Promise<T>;
  replace<T>(path: string, object: unknown): Promise<T>;
  /** A JSON merge patch. */
  patch<T>(path: string, patch: unknown): Promise<T>;
  /** True when there was such an object; with `uid` only that very one is deleted. */
  remove(path: string, uid?: string): Promise<boolean>;
  /** Events until the server ends the watch or `signal` aborts. */
  watch<T extends ClusterObject>(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent<T>>;
  close(): Promise<void>;
};

const pageSize = 500;
/** Characters. Longer than any object that etcd stores. */
const longestLine = 4 * 1024 * 1024;

/** Connects with the first call. Throws RotundaError 'bad-request' for certificates and keys that cannot be used. */
export function createClusterClient(config: Kubeconfig, options: { readonly timeoutMs?: number } = {}): ClusterClient {
  const { timeoutMs = 30_000 } = options;
  const agent = agentFor(config, timeoutMs);
  const call = (method: Dispatcher.HttpMethod, path: string, given: CallOptions = {}): Promise<Answer> =>
    send({ agent, config }, method, path, given);
  const json = async <T>(method: Dispatcher.HttpMethod, path: string, given: CallOptions = {}): Promise<T> =>
    JSON.parse(await textOf(await call(method, path, given))) as T;
  return {
    server: config.server,
    get: <T>(path: string) => orUndefined(json<T>('GET', path)),
    list: (path, query = {}) => listAll(json, path, query),
    create: (path, body) => json('POST', path, { body }),
    replace: (path, body) => json('PUT', path, { body }),
    patch: (path, body) => json('PATCH', path, { body, type: 'application/merge-patch+json' }),
    remove: async (path, uid) => {
      const body = {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      };
      return (await orUndefined(json('DELETE', path, { body }))) !== undefined;
    },
    watch: async function* <T extends ClusterObject>(path: string, query: Query, signal: AbortSignal) {
      const answer = await call('GET', path, { query: { ...query, watch: 'true' }, signal, endless: true });
      for await (const line of linesOf(answer.body)) yield JSON.parse(line) as WatchEvent<T>;
    },
    close: () => agent.destroy(),
  };
}

type Answer = Dispatcher.ResponseData;
type CallOptions = {
  readonly query?: Query;
  readonly body?: unknown;
  readonly type?: string;
  readonly signal?: AbortSignal;
  /** The answer may pause for as long as it likes. */
  readonly endless?: true;
};
type Json = <T>(method: Dispatcher.HttpMethod, path: string, given?: CallOptions) => Promise<T>;

function agentFor({ ca, cert, key, serverName }: Kubeconfig, timeoutMs: number): Agent {
  try {
    return new Agent({
      connect: {
        timeout: Math.min(timeoutMs, 10_000),
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
        ...(serverName === undefined ? {} : { servername: serverName }),
      },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  } catch (error) {
    throw new RotundaError('bad-request', `the certificate, key or CA cannot be used: ${(error as Error).message}`);
  }
}

async function send(
  { agent, config }: { readonly agent: Agent; readonly config: Kubeconfig },
  method: Dispatcher.HttpMethod,
  path: string,
  given: CallOptions,
): Promise<Answer> {
  const { server, token } = config;
  let answer: Answer;
  try {
    answer = await request(`${server.replace(/\/+$/, '')}${path}`, {
      method,
      dispatcher: agent,
      headers: {
        accept: 'application/json',
        'user-agent': 'rotunda',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(given.body === undefined ? {} : { 'content-type': given.type ?? 'application/json' }),
      },
      ...(given.query === undefined ? {} : { query: given.query }),
      ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }),
      ...(given.signal === undefined ? {} : { signal: given.signal }),
      ...(given.endless === true ? { bodyTimeout: 0 } : {}),
    });
  } catch (error) {
    throw unreachable(server, error);
  }
  if (answer.statusCode < 400) return answer;
  throw refused(answer.statusCode, await textOf(answer), `${method} ${path}`);
}

async function textOf(answer: Answer): Promise<string> {
  return answer.body.text();
}

async function listAll<T>(json: Json, path: string, query: Query): Promise<ObjectList<T>> {
  type Page = { items?: T[] | null; metadata: { continue?: string; resourceVersion?: string } };
  const items: T[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await json<Page>('GET', path, {
      query: { ...query, limit: pageSize, ...(cursor === undefined ? {} : { continue: cursor }) },
    });
    items.push(...(page.items ?? []));
    const { continue: next, resourceVersion = '' } = page.metadata;
    if (next === undefined || next === '') return { items, resourceVersion };
    cursor = next;
  }
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new RotundaError('unavailable', 'the API server sent an endless event');
    for (const line of lines) if (line.trim() !== '') yield line;
  }
}

/** What the server said in its Status, with the code that belongs to the HTTP status. */
function refused(status: number, text: string, what: string): RotundaError {
  let message = text.slice(0, 200).trim();
  let reason = '';
  try {
    const parsed = JSON.parse(text) as { message?: string; reason?: string };
    message = parsed.message ?? message;
    reason = parsed.reason ?? '';
  } catch {
    // Not a Status: something in front of the API server answered.
  }
  return new RotundaError(codeOf(status, reason), `the API server answered ${String(status)} to ${what}: ${message}`);
}

function codeOf(status: number, reason: string): ErrorCode {
  const codes = Object.keys(errorCatalogue) as ErrorCode[];
  const ofStatus = codes.filter((code) => errorCatalogue[code].status === status);
  return ofStatus.find((code) => errorCatalogue[code].reason === reason) ?? ofStatus[0] ?? 'unavailable';
}

function unreachable(server: string, error: unknown): RotundaError {
  const { message } = rootCause(error);
  return new RotundaError('unavailable', `cannot reach the API server ${server}: ${message}`, { cause: error });
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'not-found') return undefined;
    throw error;
  }
}
