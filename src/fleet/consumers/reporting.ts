import { invalid, RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import { findCertificateUse } from '../../store/queries/certificate-use.js';
import { type ConsumerRingRow, findConsumerRings, updateConsumerRing } from '../../store/queries/consumer-rings.js';
import { type ConsumerRow, findConsumer, insertConsumer, updateConsumer } from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { cause } from '../names.js';
import { classNamed, verifyingIn } from './classes.js';
import { detailOf, newConsumerRow, noSuchConsumer, processOf, publishConsumer, ringRowOf, stateOf } from './records.js';
import { afterStatement, compareProcess, ofNewProcess, type RingState, type Statement } from './reports.js';
import { type ConsumersRoom, type Found, mustFind, nowOf, record, speaksForAll } from './room.js';
import { isItself, ownConsumerOf } from './selves.js';
import { insertRings } from './registering.js';
import type { ReportOutcome } from './report-types.js';
import type { ProcessMark } from './types.js';

/** `field` is where the caller named the ring. */
export type RingStatement = Statement & { readonly ring: string; readonly field: string };

/** Statements about one consumer at once, each about a ring. */
export type Report = {
  readonly name: string;
  readonly actor: string;
  /** The process that speaks, where it is said; otherwise the present one is meant. */
  readonly process: ProcessMark | undefined;
  readonly statements: readonly RingStatement[];
  /** This service has reached it. */
  readonly reached?: boolean;
  /** The process that speaks is known to run now, whatever its clock says. */
  readonly runsNow?: boolean;
  /** What the report says of the consumer as a whole, where it is the newest one. */
  readonly said?: { readonly reportedAt: number } & Partial<Pick<ConsumerRow, 'lease_ms' | 'software' | 'algorithms'>>;
};

/**
 * The consumer that a report is about, once it is clear that the caller may speak for it. One that reports about itself
 * for the first time is registered. Throws 'forbidden', 'not-found'.
 */
export async function reportedConsumer(
  room: ConsumersRoom,
  tx: WriteTx,
  name: string,
  actor: Identity,
): Promise<Found & { readonly own: boolean }> {
  const row = await findConsumer(tx.db, name);
  if (speaksForAll(actor)) {
    if (row === undefined) throw noSuchConsumer(name);
    return { row, rings: await findConsumerRings(tx.db, name), own: isItself(actor, row) };
  }
  if (row !== undefined && isItself(actor, row)) return { row, rings: await findConsumerRings(tx.db, name), own: true };
  const self = row === undefined ? ownConsumerOf(actor) : undefined;
  if (self?.name !== name) throw notYours(name, actor);
  const made = { name, class: self.class, source: 'agent', now: nowOf(room), by: actor.username } as const;
  const fresh = newConsumerRow({ ...made, revision: tx.nextRevision() }, { node: self.node ?? null });
  await insertConsumer(tx.db, fresh);
  await insertRings(room, tx, fresh);
  await publishConsumer(tx, fresh, 'ADDED');
  const detail = { class: self.class, source: 'agent' };
  await record(room, tx, { action: 'consumer.registered', name, actor: actor.username, detail, now: made.now });
  return { ...(await mustFind(tx.db, name)), own: true };
}

function notYours(name: string, { username }: Identity): RotundaError {
  return new RotundaError('forbidden', `${username} may not speak for the consumer ${JSON.stringify(name)}`, {
    hint: 'a node reports for the consumers on its machine, an etcd member for itself; operators for any',
  });
}

/**
 * Whether the caller's certificate is of before the machine was rebuilt under its name: what it says is about another
 * machine, which may go on until its certificates are banned.
 */
export async function isReplaced(tx: WriteTx, rings: readonly ConsumerRingRow[], actor: Identity): Promise<boolean> {
  const joined = rings.flatMap((row) => detailOf(row).joining?.at ?? []);
  if (joined.length === 0 || actor.certificate === undefined || speaksForAll(actor)) return false;
  const use = await findCertificateUse(tx.db, actor.certificate.serial);
  return use !== undefined && use.issued_at < Math.max(...joined);
}

/** Writes what a report changes. Statements must have been checked against the bundles of their rings. */
export async function applyReport(
  room: ConsumersRoom,
  tx: WriteTx,
  found: Found,
  report: Report,
): Promise<ReportOutcome> {
  const known = processOf(found.row);
  const relation = relationOf(known, report);
  if (relation === 'earlier') return 'other-process';
  const begun = relation === 'newer' ? report.process : known;
  const process = relation === 'newer' ? report.process?.id : (found.row.process ?? undefined);
  const about = { process, now: nowOf(room) };
  const before = new Map(found.rings.map((row) => [row.ring, row]));
  const after = new Map<string, RingState>();
  for (const row of found.rings) after.set(row.ring, relation === 'newer' ? ofNewProcess(stateOf(row)) : stateOf(row));
  let late = 0;
  for (const statement of report.statements) {
    const state = after.get(statement.ring);
    if (state === undefined) throw noPart(found.row.name, statement);
    const { accepted } = verifyingIn(room.topology, statement.ring, found.row.class, room.minimums);
    const next = afterStatement(state, statement, { ...about, accepted });
    if (next === undefined) late += 1;
    else after.set(statement.ring, next);
  }
  const changed = [...after].flatMap(([ring, state]) => changedRow(before.get(ring), state));
  const row = consumerAfter(found.row, report, relation === 'newer' ? begun : undefined, about.now);
  for (const next of changed) await updateConsumerRing(tx.db, next);
  const shows = changed.some((next) => isNews(before.get(next.ring), next)) || relation === 'newer';
  if (shows) {
    const next = { ...(row ?? found.row), revision: tx.nextRevision() };
    await updateConsumer(tx.db, next);
    await tell(room, tx, { ...report, process: begun }, next, changed);
  } else if (row !== undefined) await updateConsumer(tx.db, row);
  if (late > 0 && late === report.statements.length) return 'late';
  return changed.length > 0 || relation === 'newer' ? 'applied' : 'unchanged';
}

function relationOf(known: ProcessMark | undefined, { process, runsNow }: Report): ReturnType<typeof compareProcess> {
  if (process === undefined) return 'same';
  const found = compareProcess(known, process);
  return found === 'earlier' && runsNow === true ? 'newer' : found;
}

function noPart(name: string, { ring, field }: RingStatement): RotundaError {
  return invalid([cause(field, ring, `${name} has nothing to do with this ring`)]);
}

function changedRow(before: ConsumerRingRow | undefined, state: RingState): ConsumerRingRow[] {
  if (before === undefined) return [];
  const next = ringRowOf(before, state);
  const same = (Object.keys(next) as (keyof ConsumerRingRow)[]).every((key) => next[key] === before[key]);
  return same ? [] : [next];
}

/** Not worth a line in the log: that the same was said once more. */
function isNews(before: ConsumerRingRow | undefined, next: ConsumerRingRow): boolean {
  const told = ['loaded', 'evidence', 'clean', 'joiner', 'delivered', 'process'] as const;
  return before === undefined || told.some((key) => before[key] !== next[key]);
}

/** Undefined where nothing of it changes: a report that came late says nothing about now. */
function consumerAfter(
  row: ConsumerRow,
  { said, reached }: Report,
  begun: ProcessMark | undefined,
  now: number,
): ConsumerRow | undefined {
  const next =
    begun === undefined ? row : { ...row, process: begun.id, process_started_at: begun.startedAt, last_seen_at: now };
  if (said === undefined) return reached === true ? { ...next, last_seen_at: now } : next === row ? undefined : next;
  const { reportedAt, ...words } = said;
  // By its clock, which is what tells a report from a later one.
  const newest = row.last_seen_at === null || row.clock_skew_ms === null ? 0 : row.last_seen_at + row.clock_skew_ms;
  if (begun === undefined && reportedAt <= newest) return undefined;
  const lease = words.lease_ms ?? row.lease_ms ?? classNamed(row.class)?.leaseMs ?? null;
  return { ...next, ...words, lease_ms: lease, last_seen_at: now, clock_skew_ms: reportedAt - now };
}

async function tell(
  room: ConsumersRoom,
  tx: WriteTx,
  { name, actor, process }: Report,
  row: ConsumerRow,
  changed: readonly ConsumerRingRow[],
): Promise<void> {
  const rings = changed.map(({ ring, loaded, evidence, clean, delivered }) => ({
    ...{ ring, loaded, evidence, clean: clean === 1, delivered },
  }));
  const detail = { ...(process !== undefined && { process: process.id }), rings };
  await record(room, tx, { action: 'consumer.acknowledged', name, actor, detail, now: nowOf(room) });
  await publishConsumer(tx, row, 'MODIFIED');
}
