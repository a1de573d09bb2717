import { invalid, RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import {
  type ConsumerRingRow,
  findConsumerRings,
  insertConsumerRing,
  ringGenerations,
  updateConsumerRing,
} from '../../store/queries/consumer-rings.js';
import {
  type ConsumerRow,
  deleteConsumer,
  findConsumer,
  insertConsumer,
  updateConsumer,
} from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { unknownRing } from './bundle-claims.js';
import { ringsOfClass } from './classes.js';
import { liveLeavesOf } from './leaves.js';
import type { Registration } from './drafts.js';
import { newConsumerRow, newRingRow, publishConsumer, resource, ringRowOf, stateOf } from './records.js';
import { ofNewProcess } from './reports.js';
import { refuseLoss, settledRole } from './roles.js';
import { type ConsumersRoom, mustFind, nowOf, record } from './room.js';
import type { ConsumerSource, RingRole } from './types.js';

/** Registers, or changes what is registered; a call that changes nothing writes nothing. Answers whether it is new. */
export async function register(
  room: ConsumersRoom,
  tx: WriteTx,
  registration: Registration,
  by: { readonly actor: string; readonly source: ConsumerSource },
): Promise<boolean> {
  const { name, class: of, set } = registration;
  const before = await findConsumer(tx.db, name);
  const present = await findConsumerRings(tx.db, name);
  const rings = await ringsFor(room, tx, registration, { before, present });
  // Whoever writes the configuration says which rings are verified, by name.
  if (by.source !== 'configuration')
    await refuseLoss(room, tx, { name, class: of, node: before?.node ?? null }, { roles: rings, present });
  const now = nowOf(room);
  if (before === undefined) {
    if (rings.length === 0) throw noRings(registration);
    const made = { name, class: of, source: by.source, now, by: by.actor };
    const row = newConsumerRow({ ...made, revision: tx.nextRevision() }, set);
    await insertConsumer(tx.db, row);
    for (const role of rings) await insertConsumerRing(tx.db, newRingRow(name, role));
    await publishConsumer(tx, row, 'ADDED');
    const detail = { class: of, source: by.source, rings, ...set };
    await record(room, tx, { action: 'consumer.registered', name, actor: by.actor, detail, now });
    return true;
  }
  await change(room, tx, { registration, before, present, rings, actor: by.actor });
  return false;
}

async function change(
  room: ConsumersRoom,
  tx: WriteTx,
  how: {
    readonly registration: Registration;
    readonly before: ConsumerRow;
    readonly present: readonly ConsumerRingRow[];
    readonly rings: readonly RingRole[];
    readonly actor: string;
  },
): Promise<void> {
  const { registration, before, present, rings, actor } = how;
  const { name, set, forgetProcess } = registration;
  const roles = await changeRoles(tx, present, name, rings);
  const fields = (Object.keys(set) as (keyof ConsumerRow)[]).filter((key) => set[key] !== before[key]);
  const forgets = forgetProcess && before.process !== null;
  if (roles.length === 0 && fields.length === 0 && !forgets) return;
  const forgotten = { process: null, process_started_at: null, last_seen_at: null, clock_skew_ms: null };
  const row = { ...before, ...set, ...(forgets && forgotten), revision: tx.nextRevision() };
  await updateConsumer(tx.db, row);
  if (forgets)
    for (const ring of (await mustFind(tx.db, name)).rings)
      await updateConsumerRing(tx.db, ringRowOf(ring, ofNewProcess(stateOf(ring))));
  await publishConsumer(tx, row, 'MODIFIED');
  const detail = { ...Object.fromEntries(fields.map((key) => [key, row[key]])), rings: roles, forgotProcess: forgets };
  await record(room, tx, { action: 'consumer.updated', name, actor, detail, now: nowOf(room) });
}

/** What is known of a ring stays with it. Rings that are not named stay as they are. */
async function changeRoles(
  tx: WriteTx,
  present: readonly ConsumerRingRow[],
  name: string,
  rings: readonly RingRole[],
): Promise<readonly RingRole[]> {
  const changed: RingRole[] = [];
  for (const role of rings) {
    const row = present.find(({ ring }) => ring === role.ring);
    const [verifies, presents] = [role.verifies ? 1 : 0, role.presents ? 1 : 0];
    if (row?.verifies === verifies && row.presents === presents) continue;
    changed.push(role);
    if (row === undefined) await insertConsumerRing(tx.db, newRingRow(name, role));
    else await updateConsumerRing(tx.db, { ...row, verifies, presents });
  }
  return changed;
}

/** Those that are given, or on a class that is built in those of the topology. Throws 'invalid' for rings that there are not. */
async function ringsFor(
  room: ConsumersRoom,
  tx: WriteTx,
  { rings, class: of, name }: Registration,
  known: { readonly before: ConsumerRow | undefined; readonly present: readonly ConsumerRingRow[] },
): Promise<readonly RingRole[]> {
  const { before, present } = known;
  if (rings === undefined) return before === undefined ? (ringsOfClass(room.topology, of) ?? []) : [];
  const published = await ringGenerations(tx.db);
  const causes = rings.flatMap(({ ring }, index) =>
    published.has(ring) ? [] : [unknownRing(`rings[${String(index)}].ring`, ring)],
  );
  if (causes.length > 0) throw invalid(causes, { resource, kind: 'Consumer', name });
  return rings.map((role) =>
    settledRole(room, role, { class: of, before: present.find(({ ring }) => ring === role.ring) }),
  );
}

function noRings({ class: of, name }: Registration): RotundaError {
  const message = `Required value: ${JSON.stringify(of)} is no built-in class of a ring here, so the rings have to be given`;
  return invalid([{ field: 'rings', reason: 'FieldValueRequired', message }], { resource, kind: 'Consumer', name });
}

/** The rings of a new consumer by its class. */
export async function insertRings(room: ConsumersRoom, tx: WriteTx, { name, class: of }: ConsumerRow): Promise<void> {
  for (const role of ringsOfClass(room.topology, of) ?? []) await insertConsumerRing(tx.db, newRingRow(name, role));
}

/** What still holds a certificate verifies all the same: dropping it would let a rotation forget about it. */
export async function unregister(room: ConsumersRoom, tx: WriteTx, name: string, actor: Identity): Promise<void> {
  const { row, rings } = await mustFind(tx.db, name);
  const now = nowOf(room);
  const leaves = await liveLeavesOf(tx.db, room.topology, { row, rings }, { now, limit: 1 });
  const [last] = leaves;
  if (last !== undefined) {
    throw new RotundaError('conflict', `${name} has live certificates: ${last.serial} until ${iso(last.notAfter)}`, {
      object: { resource, kind: 'Consumer', name },
      hint: 'delete or disable its node, revoke its certificates, or quarantine it',
    });
  }
  await removeConsumer(room, tx, row, actor.username);
}

export async function removeConsumer(room: ConsumersRoom, tx: WriteTx, row: ConsumerRow, actor: string): Promise<void> {
  const { name } = row;
  await deleteConsumer(tx.db, name);
  await publishConsumer(tx, { ...row, revision: tx.nextRevision() }, 'DELETED');
  await record(room, tx, { action: 'consumer.deleted', name, actor, detail: { class: row.class }, now: nowOf(room) });
  tx.onCommit(() => {
    room.memory.forget(name);
  });
}

/** RFC 3339, UTC, whole seconds. */
export function iso(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
