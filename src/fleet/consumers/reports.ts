import { type EvidenceKind, evidenceKinds } from '../../rotation/types.js';
import { isGathered, rank } from './classes.js';
import type { KeptEvidence, ProcessMark } from './types.js';

/** What is kept of a consumer about one ring, as far as reports change it. Times are milliseconds. */
export type RingState = {
  readonly joiner: boolean;
  readonly delivered: number;
  /** By the consumer's clock, to be held against the start of its process. */
  readonly deliveredAt: number | undefined;
  readonly loaded: number;
  readonly evidence: KeptEvidence | undefined;
  readonly clean: boolean;
  readonly process: string | undefined;
  readonly acknowledgedAt: number | undefined;
  readonly streamsSince: number | undefined;
  /** By the consumer's clock: its newest report about this ring, and its newest about what is loaded. */
  readonly reportedAt: number | undefined;
  readonly loadedAt: number | undefined;
};

/** One statement about one ring, checked against the ring's bundles. */
export type Statement = {
  readonly loaded?: {
    readonly generation: number;
    readonly evidence: KeptEvidence;
    readonly clean: boolean;
    /** When the process that has loaded it began, by this service's clock: none of its connections is older. */
    readonly since?: number;
  };
  readonly delivered?: { readonly generation: number; readonly at: number };
  readonly streamsSince?: number;
  /** By the consumer's clock, where the consumer itself speaks. */
  readonly reportedAt?: number;
};

export type About = {
  readonly process: string | undefined;
  readonly now: number;
  /** What counts for its class in this ring: it is not given up for what does not. */
  readonly accepted?: readonly EvidenceKind[];
};

/** Programs that work out when they began come to slightly different times; one with the same id that began later is another. */
const sameStartMs = 10_000;

/**
 * Which process a report is about. Later starts are newer, whatever order reports arrive in; of two that started in the
 * same millisecond it is settled by name, so that it is settled the same way each time.
 */
export function compareProcess(known: ProcessMark | undefined, reported: ProcessMark): 'same' | 'newer' | 'earlier' {
  if (known === undefined) return 'newer';
  const apart = Math.abs(known.startedAt - reported.startedAt);
  if (known.id === reported.id && apart < sameStartMs) return 'same';
  if (known.startedAt !== reported.startedAt) return reported.startedAt > known.startedAt ? 'newer' : 'earlier';
  return reported.id > known.id ? 'newer' : 'earlier';
}

/** A new process has loaded nothing yet; what was written where it reads it is still there. */
export function ofNewProcess(state: RingState): RingState {
  return {
    ...state,
    loaded: 0,
    evidence: undefined,
    clean: false,
    process: undefined,
    acknowledgedAt: undefined,
    streamsSince: undefined,
    reportedAt: undefined,
    loadedAt: undefined,
  };
}

/** A machine that was rebuilt under its name: nothing is known of it. */
export function ofRejoined(state: RingState, joiner: boolean): RingState {
  return { ...ofNewProcess(state), delivered: 0, deliveredAt: undefined, joiner };
}

/**
 * What is known after a statement of the present process. The newest statement is the truth, also where it is a lower
 * generation: a restored snapshot. `undefined` where a newer one came before it.
 */
export function afterStatement(state: RingState, statement: Statement, about: About): RingState | undefined {
  const { loaded, delivered, reportedAt, streamsSince } = statement;
  const isNews = isAfter(reportedAt, state.reportedAt);
  // What is loaded is settled on its own: a report that does not speak of it does not make an earlier one that does late.
  const loads = loaded !== undefined && isAfter(reportedAt, state.loadedAt);
  if (!isNews && !loads) return undefined;
  const said = isNews && reportedAt !== undefined;
  const next: RingState = {
    ...state,
    ...(isNews && delivered !== undefined && { delivered: delivered.generation, deliveredAt: delivered.at }),
    ...(said && { reportedAt, streamsSince }),
    ...(loads && reportedAt !== undefined && { loadedAt: reportedAt }),
  };
  return loads ? withLoaded(withStreams(next, loaded.since), loaded, about) : next;
}

/** Whatever evidence is kept of a restart, it has ended every connection from before. */
function withStreams(state: RingState, since: number | undefined): RingState {
  return since === undefined ? state : { ...state, streamsSince: Math.max(since, state.streamsSince ?? 0) };
}

/** What does not say when it was said is taken as it comes. */
function isAfter(at: number | undefined, newest: number | undefined): boolean {
  return at === undefined || newest === undefined || at > newest;
}

function withLoaded(
  state: RingState,
  said: NonNullable<Statement['loaded']>,
  { process, now, accepted = [] }: About,
): RingState {
  const { generation } = said;
  const same = state.process === process && state.loaded === generation;
  // What this service has seen itself is not made less by a consumer that says the same, nor does it make that less.
  const both = [state.evidence, said.evidence].some((kind) => kind !== undefined && isGathered(kind));
  const kept = same && both ? state.evidence : undefined;
  const weight = (kind: EvidenceKind): number => (accepted.includes(kind) ? evidenceKinds.length : 0) + rank(kind);
  const keeps = kept !== undefined && weight(kept) > weight(said.evidence);
  const clean = said.clean || (state.clean && (keeps || (kept !== undefined && isGathered(kept))));
  return {
    ...state,
    loaded: generation,
    evidence: keeps ? kept : said.evidence,
    clean,
    process,
    acknowledgedAt: now,
    joiner: state.joiner && !(clean && generation > 0),
  };
}

/**
 * `restart` where the file was there before the process began: what reads it at start has read it. Both times are by one
 * clock, the consumer's.
 */
export function evidenceOf(
  loaded: number,
  delivered: { readonly generation: number; readonly at: number } | undefined,
  startedAt: number,
): 'restart' | 'self-report' {
  return delivered !== undefined && delivered.generation === loaded && delivered.at < startedAt
    ? 'restart'
    : 'self-report';
}
