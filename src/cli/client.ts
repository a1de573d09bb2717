import { Agent, request } from 'undici';

import { type Connection, type ConnectionOptions, resolveConnection } from './connection.js';
import { localFailure } from './failure.js';
import { explainNetworkError, explainProblem } from './explain.js';
import { pinnedAnchors } from './pin.js';
import { parseDuration } from '../config/duration.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | number | undefined>>;
type SendOptions = {
  readonly query?: Query;
  readonly body?: unknown;
  readonly accept?: string;
  /** How long to wait for the answer beyond --timeout, milliseconds: it is meant to take so long. */
  readonly waitMs?: number;
};
export type Answer = { readonly status: number; readonly text: string };

export type Client = {
  readonly server: string;
  /** Any answer below 400. Throws a remote failure otherwise. `path` is below /pki/v1. */
  send(method: Method, path: string, options?: SendOptions): Promise<Answer>;
  /** As send, the body read as JSON. */
  json<T>(method: Method, path: string, options?: SendOptions): Promise<T>;
  /** All pages of a list, or as many items as `limit`. */
  list<T>(path: string, query?: Query, limit?: number): Promise<T[]>;
  close(): Promise<void>;
};

const largestPage = 500;

/** A client for the server that flags, environment and kubeconfig name. Throws local failures; connects with the first call. */
export async function createClient(
  options: ConnectionOptions,
  need: 'credential' | 'none' = 'credential',
): Promise<Client> {
  const connection = resolveConnection(options, need);
  const timeoutMs = timeoutOf(options.timeout);
  const agent = await agentFor(connection, timeoutMs);
  const send = (method: Method, path: string, given: SendOptions = {}): Promise<Answer> =>
    call({ agent, connection, timeoutMs }, method, path, given);
  const json = async <T>(method: Method, path: string, given?: SendOptions): Promise<T> =>
    JSON.parse((await send(method, path, given)).text) as T;
  return {
    server: connection.server,
    send,
    json,
    list: (path, query, limit) => listAll(json, path, query ?? {}, limit),
    close: () => agent.destroy(),
  };
}

/** `a/b` as path segments of names that may hold any character. */
export function pathOf(...names: readonly string[]): string {
  return `/${names.map(encodeURIComponent).join('/')}`;
}

type Json = <T>(method: Method, path: string, options?: SendOptions) => Promise<T>;

async function listAll<T>(json: Json, path: string, query: Query, limit = Infinity): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const size = Math.min(largestPage, limit - items.length);
    const page = await json<{ items: T[]; continue?: string }>('GET', path, {
      query: { ...query, limit: size, continue: cursor },
    });
    items.push(...page.items);
    cursor = page.continue;
  } while (cursor !== undefined && items.length < limit);
  return items;
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return 30_000;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw localFailure(`--timeout ${JSON.stringify(text)} is not a duration`, { hints: ['such as 30s or 2m'] });
}

async function agentFor(connection: Connection, timeoutMs: number): Promise<Agent> {
  const { server, trust, credential } = connection;
  const ca = 'ca' in trust ? trust.ca : await pinnedAnchors(server, trust.pin, trust.ring, timeoutMs);
  const identity = credential !== undefined && 'cert' in credential ? credential : {};
  try {
    return new Agent({
      connect: { ca, ...identity, timeout: Math.min(timeoutMs, 10_000) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  } catch (error) {
    throw localFailure(`the certificate, key or CA cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

type Calling = { readonly agent: Agent; readonly connection: Connection; readonly timeoutMs: number };

async function call(
  { agent, connection, timeoutMs }: Calling,
  method: Method,
  path: string,
  given: SendOptions,
): Promise<Answer> {
  const { server, credential } = connection;
  const headers = {
    accept: given.accept ?? 'application/json',
    ...(credential !== undefined && 'token' in credential ? { authorization: `Bearer ${credential.token}` } : {}),
    ...(given.body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  try {
    const answer = await request(`${server}/pki/v1${path}`, {
      method,
      dispatcher: agent,
      headers,
      query: withoutUndefined(given.query ?? {}),
      headersTimeout: timeoutMs + (given.waitMs ?? 0),
      ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode < 400) return { status: answer.statusCode, text };
    throw explainProblem(answer.statusCode, text);
  } catch (error) {
    throw explainNetworkError(error, server);
  }
}

function withoutUndefined(query: Query): Record<string, string | number> {
  const entries = Object.entries(query).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
