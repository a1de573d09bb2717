import type { Audit } from '../../audit/types.js';
import type { Clock, Random } from '../../clock.js';
import type { Topology } from '../../config/types.js';
import type { Identity } from '../../identity/types.js';
import { type ConsumerRingRow, findConsumerRings, ringGenerations } from '../../store/queries/consumer-rings.js';
import { type ConsumerRow, findConsumer } from '../../store/queries/consumers.js';
import type { Store, WriteTx } from '../../store/types.js';
import type { Minimums } from './classes.js';
import type { Memory } from './memory.js';
import { consumerOfRow, noSuchConsumer, resource, type Viewing } from './records.js';
import type { Consumer } from './types.js';

export type ConsumersOptions = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly topology: Topology;
  /** By class, where another evidence is demanded than the class's own. */
  readonly minimums?: Minimums;
};

/** What the use cases share. */
export type ConsumersRoom = Required<ConsumersOptions> & { readonly memory: Memory };

export const service = 'system:rotunda';

export function nowOf({ clock }: Pick<ConsumersRoom, 'clock'>): number {
  return clock.now().getTime();
}

export type Found = { readonly row: ConsumerRow; readonly rings: readonly ConsumerRingRow[] };

/** A consumer with its rings, as this transaction sees it. Throws 'not-found'. */
export async function mustFind(db: Store['db'], name: string): Promise<Found> {
  const row = await findConsumer(db, name);
  if (row === undefined) throw noSuchConsumer(name);
  return { row, rings: await findConsumerRings(db, name) };
}

export async function viewingOf(room: ConsumersRoom, db: Store['db']): Promise<Viewing> {
  const { topology, minimums } = room;
  return { now: nowOf(room), topology, minimums, generations: await ringGenerations(db) };
}

export async function viewOf(room: ConsumersRoom, db: Store['db'], name: string): Promise<Consumer> {
  const { row, rings } = await mustFind(db, name);
  return consumerOfRow(row, rings, await viewingOf(room, db));
}

export function record(
  room: Pick<ConsumersRoom, 'audit'>,
  tx: WriteTx,
  event: {
    readonly action: string;
    readonly name: string;
    readonly actor: string;
    readonly detail: Readonly<Record<string, unknown>>;
    readonly now: number;
    readonly resource?: string;
  },
): Promise<void> {
  const { action, name, actor, detail, now } = event;
  const about = { resource: event.resource ?? resource, name, outcome: 'ok', detail, at: now } as const;
  return room.audit.record(tx, { action, actor, ...about });
}

/** Who may speak for any consumer. */
export function speaksForAll({ kind, roles }: Identity): boolean {
  return kind === 'internal' || roles.includes('admin') || roles.includes('operator');
}
