import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import type { Authority } from '../../ca/types.js';
import type { Clock, Random } from '../../clock.js';
import type { Proof } from '../../fleet/consumers/report-types.js';
import type { Store } from '../../store/types.js';
import type { Rotation } from '../types.js';
import type { Verified } from './coverage.js';
import type { Credentials } from './credentials.js';
import { parseEndpoint } from './endpoint.js';
import { createFirstSeen, type FirstSeen } from './first-seen.js';
import { goalsOf } from './goals.js';
import { type Look, lookAt, type Wanted } from './look.js';
import { knownAuthorities } from './presented.js';
import { proofOf } from './proof.js';
import { forget, record } from './record.js';

/** One that may be looked at from here. */
export type ProbedConsumer = {
  readonly name: string;
  readonly class: string;
  /** `host:port`. Only what an operator or the configuration has registered: what a consumer says of itself must not make the service connect anywhere. */
  readonly endpoints: readonly string[];
  readonly verifies: Verified;
  /** What it says that it is, such as `kube-apiserver 1.36.3`; empty where it does not. */
  readonly software: string;
  /** What tells its present process from an earlier one, where that is known. */
  readonly process: string | undefined;
};

export type ProberOptions = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly credentials: Credentials;
  readonly authorities: (ring: string) => readonly Authority[];
  readonly consumers: (ring: string) => Promise<readonly ProbedConsumer[]>;
  /** A proof is void when the consumer's process is another one by now than the one that it names. */
  readonly prove: (proof: Proof) => Promise<unknown>;
  /** Consumers that are looked at at the same time. Default 8. */
  readonly concurrency?: number;
  /** Consumers of one round, those first that were not looked at for longest. Default 500. */
  readonly perRound?: number;
  /** Each look begins at a random moment of as many milliseconds. Default 2000. */
  readonly spreadMs?: number;
  /** For one connection, milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
};

export type RoundReport = { readonly looked: number; readonly proven: number; readonly unreachable: number };

export type Prober = {
  /** Looks at the endpoints of a ring whose authority is being replaced. A consumer that cannot be dealt with is logged. */
  round(rotation: Rotation, signal: AbortSignal): Promise<RoundReport>;
};

type Lasting = {
  readonly options: ProberOptions;
  readonly lastLook: Map<string, number>;
  readonly firstSeen: FirstSeen;
};

/**
 * Looks at endpoints from outside, in rounds: what they present, whether they take certificates of the authority that
 * comes, and whether they turn away those of the one that goes. What is seen is stored, and told as evidence where it is
 * enough.
 */
export function createProber(options: ProberOptions): Prober {
  const lasting: Lasting = { options, lastLook: new Map(), firstSeen: createFirstSeen() };
  return { round: (rotation, signal) => round(lasting, rotation, signal) };
}

async function round(lasting: Lasting, rotation: Rotation, signal: AbortSignal): Promise<RoundReport> {
  const { options, lastLook, firstSeen } = lasting;
  const { ring } = rotation;
  const all = await options.consumers(ring);
  await forget(options.store, ring, all);
  const wanted = { ...(await wantedIn(options, rotation)), signal };
  const due = inTurn(all, lastLook, ring).slice(0, options.perRound ?? 500);
  const report = { looked: 0, proven: 0, unreachable: 0 };
  await eachOf(due, options.concurrency ?? 8, async (consumer) => {
    if (!(await waited(options, signal))) return;
    // What is said meanwhile is newer.
    const at = options.clock.now().getTime();
    lastLook.set(`${ring} ${consumer.name}`, at);
    try {
      const looks = await lookAtAll(consumer, wanted);
      // What was broken off says nothing about anybody.
      if (isAborted(signal)) return;
      report.looked += 1;
      if (looks.every(({ reached }) => !reached)) report.unreachable += 1;
      if (await settle({ options, firstSeen }, rotation, consumer, { looks, at })) report.proven += 1;
    } catch (error) {
      options.logger.warn({ err: error, consumer: consumer.name, ring }, 'an endpoint could not be looked at');
    }
  });
  return report;
}

/** Canaries of the authorities that this state is about, as far as their keys are there, and one to compare with. */
async function wantedIn(
  { credentials, authorities, timeoutMs = 10_000 }: ProberOptions,
  rotation: Rotation,
): Promise<Omit<Wanted, 'signal'>> {
  const { ring } = rotation;
  // Of both: that one is refused says something only while the other is taken.
  const keys = goalsOf(rotation).length === 0 ? [] : [rotation.oldKey, rotation.newKey];
  const found = await Promise.all(keys.map(async (ski) => [ski, await credentials.of(ring, ski)] as const));
  return {
    authorities: knownAuthorities(authorities(ring)),
    canaries: new Map(found.flatMap(([ski, certificate]) => (certificate === undefined ? [] : [[ski, certificate]]))),
    control: await credentials.control(),
    timeoutMs,
  };
}

/** One after another: they belong to one machine, mostly. */
async function lookAtAll(consumer: ProbedConsumer, wanted: Wanted): Promise<Look[]> {
  const looks: Look[] = [];
  for (const text of consumer.endpoints) {
    const endpoint = parseEndpoint(text);
    if (endpoint !== undefined) looks.push(await lookAt(text, endpoint, consumer, wanted));
  }
  return looks;
}

/** Whether it was shown to have loaded something. */
async function settle(
  { options, firstSeen }: Pick<Lasting, 'options' | 'firstSeen'>,
  rotation: Rotation,
  consumer: ProbedConsumer,
  seen: { readonly looks: readonly Look[]; readonly at: number },
): Promise<boolean> {
  const seenFor = firstSeen.of(rotation, consumer, seen.at);
  const { generation, withheld } = proofOf(goalsOf(rotation), consumer, seen.looks, seenFor);
  if (generation === 0) firstSeen.forget(rotation, consumer);
  await record(options.store, { rotation, consumer, ...seen, withheld });
  if (generation === undefined) return false;
  const { name, process } = consumer;
  await options.prove({
    ...{
      consumer: name,
      ring: rotation.ring,
      generation,
      evidence: 'canary-probe',
      clean: generation > 0,
      at: seen.at,
    },
    ...(process === undefined ? {} : { process: { id: process } }),
  });
  return generation > 0;
}

function inTurn(
  consumers: readonly ProbedConsumer[],
  lastLook: ReadonlyMap<string, number>,
  ring: string,
): ProbedConsumer[] {
  const at = ({ name }: ProbedConsumer): number => lastLook.get(`${ring} ${name}`) ?? 0;
  return consumers.filter(({ endpoints }) => endpoints.length > 0).sort((a, b) => at(a) - at(b));
}

/** False when the round was broken off meanwhile. */
async function waited({ random, spreadMs = 2000 }: ProberOptions, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  const part = random.bytes(4).readUInt32BE() / 2 ** 32;
  await sleep(part * spreadMs, undefined, { signal }).catch(() => undefined);
  return !isAborted(signal);
}

/** Asked anew: it may have changed while something was awaited. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
