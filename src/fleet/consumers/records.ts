import type { Topology } from '../../config/types.js';
import { RotundaError } from '../../errors.js';
import type { ConsumerRingRow } from '../../store/queries/consumer-rings.js';
import type { ConsumerRow } from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { type Minimums, verifyingIn } from './classes.js';
import type { RingState } from './reports.js';
import type { Consumer, ConsumerRing, ConsumerSource, ConsumerState, ProcessMark, RingRole } from './types.js';

/** The change log's name for consumers. */
export const resource = 'consumers';

/** What this module keeps in consumer_rings.detail. */
type Detail = {
  /** By the consumer's clock: its newest report about this ring, and its newest about what is loaded. */
  readonly reportedAt?: number;
  readonly loadedAt?: number;
  /** On which token it began, when, and what it was given on that: certificates from before are another machine's. */
  readonly joining?: Joining;
};

export type Joining = { readonly at: number; readonly token: string; readonly profiles: readonly string[] };

export function detailOf({ detail }: Pick<ConsumerRingRow, 'detail'>): Detail {
  // Written by this module only, so its shape is known.
  return detail === '{}' ? {} : (JSON.parse(detail) as Detail);
}

export function stateOf(row: ConsumerRingRow): RingState {
  return {
    joiner: row.joiner === 1,
    delivered: row.delivered,
    deliveredAt: row.delivered_at ?? undefined,
    loaded: row.loaded,
    evidence: row.evidence ?? undefined,
    clean: row.clean === 1,
    process: row.process ?? undefined,
    acknowledgedAt: row.acknowledged_at ?? undefined,
    streamsSince: row.streams_since ?? undefined,
    reportedAt: detailOf(row).reportedAt,
    loadedAt: detailOf(row).loadedAt,
  };
}

/** The row with another state; what it has to do with the ring stays, and so does how it joined unless told. */
export function ringRowOf(row: ConsumerRingRow, state: RingState, joining = detailOf(row).joining): ConsumerRingRow {
  const { reportedAt, loadedAt } = state;
  return {
    ...row,
    joiner: state.joiner ? 1 : 0,
    delivered: state.delivered,
    delivered_at: state.deliveredAt ?? null,
    loaded: state.loaded,
    evidence: state.evidence ?? null,
    clean: state.clean ? 1 : 0,
    process: state.process ?? null,
    acknowledged_at: state.acknowledgedAt ?? null,
    streams_since: state.streamsSince ?? null,
    detail: JSON.stringify({
      ...(reportedAt !== undefined && { reportedAt }),
      ...(loadedAt !== undefined && { loadedAt }),
      ...(joining && { joining }),
    }),
  };
}

/** The row of a consumer of which nothing is known in this ring. */
export function newRingRow(
  consumer: string,
  { ring, verifies, presents }: RingRole,
  begun: { readonly joiner?: boolean; readonly joining?: Joining | undefined } = {},
): ConsumerRingRow {
  return {
    ring,
    consumer,
    verifies: verifies ? 1 : 0,
    presents: presents ? 1 : 0,
    joiner: begun.joiner === true ? 1 : 0,
    delivered: 0,
    delivered_at: null,
    loaded: 0,
    evidence: null,
    clean: 0,
    process: null,
    acknowledged_at: null,
    streams_since: null,
    detail: JSON.stringify({ ...(begun.joining && { joining: begun.joining }) }),
  };
}

export type NewConsumer = {
  readonly name: string;
  readonly class: string;
  readonly source: ConsumerSource;
  readonly now: number;
  readonly by: string;
  readonly revision: number;
};

export function newConsumerRow(made: NewConsumer, more: Partial<ConsumerRow> = {}): ConsumerRow {
  return {
    name: made.name,
    class: made.class,
    node: null,
    source: made.source,
    state: 'live',
    process: null,
    process_started_at: null,
    last_seen_at: null,
    lease_ms: null,
    expires_at: null,
    software: '',
    endpoints: '[]',
    algorithms: '[]',
    clock_skew_ms: null,
    quarantined_at: null,
    quarantined_by: null,
    quarantine_reason: null,
    created_at: made.now,
    created_by: made.by,
    revision: made.revision,
    ...more,
  };
}

export function processOf(row: ConsumerRow): ProcessMark | undefined {
  const { process: id, process_started_at: startedAt } = row;
  return id === null || startedAt === null ? undefined : { id, startedAt };
}

/** The same order as the list's filter: quarantined, gone, silent. */
export function consumerState(row: ConsumerRow, now: number): ConsumerState {
  if (row.state === 'quarantined') return 'quarantined';
  if (row.expires_at !== null && row.expires_at <= now) return 'gone';
  const lease = row.lease_ms;
  return lease !== null && (row.last_seen_at ?? row.created_at) + lease < now ? 'silent' : 'live';
}

/** What showing a consumer needs beside its rows. */
export type Viewing = {
  readonly now: number;
  readonly topology: Topology;
  readonly minimums: Minimums;
  /** Of each ring. */
  readonly generations: ReadonlyMap<string, number>;
};

export function consumerOfRow(row: ConsumerRow, rings: readonly ConsumerRingRow[], viewing: Viewing): Consumer {
  const { quarantined_at: at, quarantined_by: by, quarantine_reason: reason } = row;
  return {
    name: row.name,
    class: row.class,
    node: row.node ?? undefined,
    source: row.source,
    state: consumerState(row, viewing.now),
    process: processOf(row),
    lastSeenAt: row.last_seen_at ?? undefined,
    leaseMs: row.lease_ms ?? undefined,
    expiresAt: row.expires_at ?? undefined,
    software: row.software,
    endpoints: JSON.parse(row.endpoints) as string[],
    algorithms: JSON.parse(row.algorithms) as string[],
    clockSkewMs: row.clock_skew_ms ?? undefined,
    quarantine: at === null ? undefined : { at, by: by ?? '', reason: reason ?? '' },
    registeredAt: row.created_at,
    registeredBy: row.created_by,
    rings: rings.map((ring) => consumerRingOf(row, ring, viewing)),
  };
}

function consumerRingOf(row: ConsumerRow, ring: ConsumerRingRow, viewing: Viewing): ConsumerRing {
  const { accepted, minimum } = verifyingIn(viewing.topology, ring.ring, row.class, viewing.minimums);
  const { reportedAt: _reported, loadedAt: _loaded, ...state } = stateOf(ring);
  return {
    ring: ring.ring,
    verifies: ring.verifies === 1,
    presents: ring.presents === 1,
    ...state,
    minimum,
    counts: state.evidence !== undefined && accepted.includes(state.evidence) && ring.process === row.process,
    current: viewing.generations.get(ring.ring) ?? 0,
  };
}

/** Appends a consumer's change to the change log: replicas keep some of it in memory, and rotations go by it. */
export function publishConsumer(
  tx: WriteTx,
  row: Pick<ConsumerRow, 'name' | 'class' | 'state' | 'revision'>,
  type: 'ADDED' | 'MODIFIED' | 'DELETED',
): Promise<void> {
  const { name, revision } = row;
  const object = JSON.stringify({ name, class: row.class, state: row.state });
  return tx.publish({ revision, resource, name, type, object, previous: undefined });
}

export function noSuchConsumer(name: string): RotundaError {
  return new RotundaError('not-found', `there is no consumer ${JSON.stringify(name)}`, {
    object: { resource, kind: 'Consumer', name },
  });
}
