import { canBeAsked, protocolOf, type Verified } from './coverage.js';
import type { Endpoint } from './endpoint.js';
import type { Answers } from './judgement.js';
import { type KnownAuthority, type Presented, readPresented } from './presented.js';
import { probeEndpoint } from './probe.js';
import type { ClientCertificate, ProbeAnswer } from './types.js';

/** What one round presents. */
export type Wanted = {
  readonly authorities: readonly KnownAuthority[];
  /** By SKI. */
  readonly canaries: ReadonlyMap<string, ClientCertificate>;
  readonly control: ClientCertificate;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

/** What was seen of one endpoint in one round. */
export type Look = {
  /** As it was registered. */
  readonly endpoint: string;
  readonly reached: boolean;
  readonly presented: Presented | undefined;
  /** Its connections of this round showed different certificates: several processes answer there. */
  readonly several: boolean;
  /** Undefined where it was not asked about client certificates. */
  readonly answers: Answers | undefined;
  /** Which listeners of an etcd member have answered. */
  readonly listeners: readonly NonNullable<ProbeAnswer['listener']>[];
  /** Why nothing is known. */
  readonly detail: string;
};

type Asked = { readonly class: string; readonly verifies: Verified };

/** One connection for each certificate, one after another: the control first, since without it the others say nothing. */
export async function lookAt(text: string, endpoint: Endpoint, consumer: Asked, wanted: Wanted): Promise<Look> {
  const { canaries, control, timeoutMs, signal } = wanted;
  const base = { ...endpoint, protocol: protocolOf(consumer.class), timeoutMs, signal };
  const asks = canaries.size > 0 && canBeAsked(consumer.class, consumer.verifies);
  const first = await probeEndpoint(asks ? { ...base, clientCertificate: control } : base);
  const all = [first];
  const canaryAnswers = new Map<string, ProbeAnswer>();
  if (asks && first.outcome !== 'unreachable') {
    for (const [ski, clientCertificate] of canaries) {
      const answer = await probeEndpoint({ ...base, clientCertificate });
      canaryAnswers.set(ski, answer);
      all.push(answer);
    }
  }
  return lookOf(text, all, asks ? { control: first, canaries: canaryAnswers } : undefined, wanted.authorities);
}

function lookOf(
  endpoint: string,
  all: readonly ProbeAnswer[],
  answers: Answers | undefined,
  authorities: readonly KnownAuthority[],
): Look {
  const seen = all.flatMap(({ presented }) => readPresented(presented, authorities) ?? []);
  return {
    endpoint,
    reached: all.some(({ outcome, presented }) => outcome !== 'unreachable' || presented.length > 0),
    presented: seen.at(-1),
    several: new Set(seen.map(({ leaf }) => leaf.fingerprint)).size > 1,
    answers,
    listeners: all.flatMap(({ listener }) => listener ?? []),
    detail: all[0]?.detail ?? '',
  };
}
