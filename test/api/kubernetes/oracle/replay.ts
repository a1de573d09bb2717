import { request as httpsRequest, Agent } from 'node:https';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Case, Recording, Step } from './cases.js';
import { type Names, normalise } from './normalise.js';

export type User = { readonly token?: string; readonly cert?: string; readonly key?: string };
export type Target = { readonly url: string; readonly ca: string; readonly users: Readonly<Record<string, User>> };

type Player = {
  readonly target: Target;
  readonly agents: Map<string, Agent>;
  readonly as: string;
  readonly names: Names;
  /** The answers so far, as they came, for `${0:metadata.uid}`. */
  readonly answers: unknown[];
};

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const watchWarmUpMs = 400;

/** Plays cases against a service, a few at a time, and returns their normalised outcomes by id. */
export async function replay(
  target: Target,
  recording: Recording,
  cases: readonly Case[],
  options: { readonly run: string; readonly parallel: number },
): Promise<Map<string, unknown[]>> {
  const agents = new Map<string, Agent>();
  const outcomes = new Map<string, unknown[]>();
  const queue = [...cases.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, one] = next;
      const names = { name: `c${String(index + 1)}-${options.run}`, run: options.run, fixtures: recording.fixtures };
      outcomes.set(one.id, await playCase({ target, agents, as: one.as ?? 'admin', names, answers: [] }, one));
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, worker));
  for (const agent of agents.values()) agent.destroy();
  return outcomes;
}

async function playCase(player: Player, one: Case): Promise<unknown[]> {
  const outcome: unknown[] = [];
  for (const step of one.steps) outcome.push(await playStep(player, step));
  const made = [player.names.name, ...(one.cleanup ?? []).map((text) => String(substitute(text, player)))];
  for (const name of made)
    await exchange({ ...player, as: 'admin' }, 'DELETE', `${collection}/${encodeURIComponent(name)}`, {});
  return outcome;
}

async function playStep(player: Player, raw: Step): Promise<unknown> {
  const { during, ...rest } = raw;
  const step = { ...(substitute(rest, player) as Step), ...(during === undefined ? {} : { during }) };
  const own = { ...player, as: step.as ?? player.as };
  if (step.kind === 'sleep') return playSleep(own, step);
  if (step.kind === 'until') return playUntil(own, step);
  return step.kind === 'watch' ? playWatch(own, step) : playRequest(own, step);
}

async function playSleep(player: Player, step: Step): Promise<unknown> {
  await sleep(step.ms ?? 0);
  player.answers.push({});
  return {};
}

async function playRequest(player: Player, step: Step): Promise<unknown> {
  const body = bodyOf(step);
  const headers = headersOf(step, body);
  const { response, bytes } = await exchange(player, step.method ?? 'GET', step.path + queryOf(step), headers, body);
  const text = bytes.toString();
  const parsed = parse(text);
  player.answers.push(parsed ?? { text });
  const outcome: Record<string, unknown> = {
    status: response.statusCode,
    contentType: response.headers['content-type'],
  };
  if (response.headers['warning'] !== undefined)
    outcome['warning'] = normalise(response.headers['warning'], player.names);
  if (step.pick !== undefined) outcome['body'] = normalise(fieldOf(parsed, step.pick), player.names, '');
  else if (step.keys !== undefined) outcome['keys'] = keysOf(parsed, step.keys);
  else if (step.status !== 'only') outcome['body'] = normalise(parsed ?? text.slice(0, 400), player.names);
  return JSON.parse(JSON.stringify(outcome)) as unknown;
}

async function playUntil(player: Player, step: Step): Promise<unknown> {
  const end = Date.now() + (step.timeoutMs ?? 8000);
  for (;;) {
    const { bytes } = await exchange(player, 'GET', step.path, headersOf(step, undefined));
    const object = (parse(bytes.toString()) ?? {}) as {
      status?: { certificate?: string; conditions?: { type: string }[] };
    };
    const types = (object.status?.conditions ?? []).map((condition) => condition.type);
    const done =
      Boolean(object.status?.certificate) ||
      types.includes('Failed') ||
      (step.condition !== undefined && types.includes(step.condition));
    if (done || Date.now() > end) {
      player.answers.push(object);
      return { object: normalise(object, player.names) };
    }
    await sleep(100);
  }
}

async function playWatch(player: Player, step: Step): Promise<unknown> {
  const { request, response } = await open(player, 'GET', step.path + queryOf(step), headersOf(step, undefined));
  const index = player.answers.push({}) - 1;
  if (response.statusCode !== 200)
    return { status: response.statusCode, body: normalise(parse((await read(response)).toString()), player.names) };
  let text = '';
  const stream = { ended: false };
  const finish = (): void => {
    stream.ended = true;
  };
  response
    .setEncoding('utf8')
    .on('data', (part: string) => (text += part))
    .on('end', finish)
    .on('close', finish)
    .on('error', finish);
  await sleep(watchWarmUpMs);
  const during: unknown[] = [];
  for (const inner of step.during ?? []) during.push(await playStep(player, inner));
  const end = Date.now() + (step.forMs ?? 800);
  while (Date.now() < end && !stream.ended) await sleep(50);
  const closedByServer = stream.ended;
  request.destroy();
  const events = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => eventOf(line, player, index));
  const shown = step.mine === true ? events.filter((event) => isMine(event)) : events;
  return {
    status: 200,
    contentType: response.headers['content-type'],
    events: shown,
    ...(step.noteClose === true ? { closedByServer } : {}),
    during,
  };
}

type Bookmark = { type: string; object: { kind?: string; metadata?: { annotations?: unknown }; spec?: unknown } };

function eventOf(line: string, player: Player, index: number): unknown {
  const event = JSON.parse(line) as Bookmark;
  player.answers[index] = event;
  if (event.type !== 'BOOKMARK') return normalise(event, player.names);
  const { kind, metadata, spec } = event.object;
  return JSON.parse(JSON.stringify({ type: event.type, kind, annotations: metadata?.annotations, spec })) as unknown;
}

function isMine(event: unknown): boolean {
  const { type } = event as Bookmark;
  return type === 'BOOKMARK' || type === 'ERROR' || JSON.stringify(event).includes('<name>');
}

function bodyOf(step: Step): string | Buffer | undefined {
  if (step.bodyB64 !== undefined) return Buffer.from(step.bodyB64, 'base64');
  if (step.bodyText !== undefined) return step.bodyText;
  if (step.body === undefined) return undefined;
  const body = structuredClone(step.body) as Record<string, unknown>;
  for (const [path, value] of Object.entries(step.set ?? {})) setField(body, path.split('.'), value);
  return JSON.stringify(body);
}

function setField(object: Record<string, unknown>, [first = '', ...rest]: string[], value: unknown): void {
  if (rest.length > 0) setField((object[first] ??= {}) as Record<string, unknown>, rest, value);
  else if (value === '__delete') Reflect.deleteProperty(object, first);
  else object[first] = value;
}

function headersOf(step: Step, body: string | Buffer | undefined): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json', ...step.headers };
  if (body !== undefined) headers['content-type'] ??= 'application/json';
  if (headers['content-type'] === '') delete headers['content-type'];
  return headers;
}

function queryOf(step: Step): string {
  const pairs = Object.entries(step.query ?? {}).flatMap(([key, value]) =>
    (Array.isArray(value) ? (value as string[]) : [String(value)]).map(
      (one) => `${encodeURIComponent(key)}=${encodeURIComponent(one)}`,
    ),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function substitute(value: unknown, player: Player): unknown {
  if (typeof value === 'string') {
    const whole = /^\$\{([^}]+)\}$/.exec(value);
    if (whole !== null) return variable(whole[1] ?? '', player);
    return value.replace(/\$\{([^}]+)\}/g, (_, expression: string) => {
      const found = variable(expression, player);
      return typeof found === 'string' ? found : JSON.stringify(found);
    });
  }
  if (Array.isArray(value)) return value.map((item) => substitute(item, player));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [String(substitute(key, player)), substitute(item, player)]),
  );
}

function variable(expression: string, { names, answers }: Player): unknown {
  if (expression === 'name') return names.name;
  if (expression === 'run') return names.run;
  const [kind = '', first = '', second = ''] = expression.split(':');
  if (kind === 'fix') return names.fixtures[first];
  if (kind === 'repeat') return first.repeat(Number(second));
  return first === '' ? answers[Number(kind)] : fieldOf(answers[Number(kind)], first);
}

function fieldOf(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((found, key) => (found as Record<string, unknown> | null | undefined)?.[key], value);
}

function keysOf(parsed: unknown, keys: string | boolean): string[] | undefined {
  const found = typeof keys === 'string' ? (fieldOf(parsed, keys) ?? parsed) : parsed;
  return typeof found === 'object' && found !== null ? Object.keys(found).sort() : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

type Opened = { readonly request: ClientRequest; readonly response: IncomingMessage };

function open(
  player: Player,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<Opened> {
  const user = player.target.users[player.as] ?? {};
  const agent =
    player.agents.get(player.as) ??
    new Agent({
      keepAlive: true,
      ca: player.target.ca,
      ...(user.cert === undefined ? {} : { cert: user.cert, key: user.key }),
    });
  player.agents.set(player.as, agent);
  const sent = {
    ...headers,
    ...(user.token === undefined ? {} : { authorization: `Bearer ${user.token}` }),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(path, player.target.url), { method, headers: sent, agent }, (response) => {
      resolve({ request, response });
    });
    request.on('error', reject).setTimeout(20_000, () => request.destroy(new Error('no answer in time')));
    request.end(body);
  });
}

async function exchange(
  player: Player,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<{ response: IncomingMessage; bytes: Buffer }> {
  const { response } = await open(player, method, path, headers, body);
  return { response, bytes: await read(response) };
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
