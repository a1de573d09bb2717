import { invalid, RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import { type ConsumerRingRow, ringGenerations } from '../../store/queries/consumer-rings.js';
import { updateConsumer } from '../../store/queries/consumers.js';
import type { Store, WriteTx } from '../../store/types.js';
import { verifyingIn } from './classes.js';
import { liveLeavesOf } from './leaves.js';
import { checkLine } from './names.js';
import { publishConsumer, resource } from './records.js';
import { iso } from './registering.js';
import { type ConsumersRoom, type Found, mustFind, nowOf, record, viewOf } from './room.js';
import type { BlastRadius, Consumer, LiveLeaf } from './types.js';

const mostLeaves = 100;

/**
 * Throws 'invalid' where it is a replica of this service, which says itself when it is gone: a gate that does not wait for
 * one that is there lets it verify by a bundle that nobody knows of.
 */
export function checkIsLeavable({ row }: Found): void {
  if (row.class !== 'rotunda') return;
  const message = `${row.name} is a replica of this service: stop it, and it is waited for no longer`;
  throw invalid([{ field: 'name', reason: 'FieldValueNotSupported', message }], {
    ...{ resource, kind: 'Consumer', name: row.name },
  });
}

/** What leaving a consumer behind breaks, and with it done. Doing it twice is the same as once. */
export async function quarantine(
  room: ConsumersRoom,
  tx: WriteTx,
  of: { readonly name: string; readonly reason: string; readonly actor: Identity },
): Promise<BlastRadius> {
  const { name, reason, actor } = of;
  checkReason(reason, name);
  const found = await mustFind(tx.db, name);
  checkIsLeavable(found);
  const radius = await blastRadius(room, tx.db, found);
  if (found.row.state === 'quarantined') return { ...radius, quarantined: true };
  const now = nowOf(room);
  const row = {
    ...found.row,
    state: 'quarantined',
    quarantined_at: now,
    quarantined_by: actor.username,
    quarantine_reason: reason,
    revision: tx.nextRevision(),
  } as const;
  await updateConsumer(tx.db, row);
  await publishConsumer(tx, row, 'MODIFIED');
  const detail = { reason, verifies: radius.verifies, leaves: radius.leaves.length };
  await record(room, tx, { action: 'consumer.quarantined', name, actor: actor.username, detail, now });
  tx.onCommit(() => {
    room.memory.quarantine(name);
  });
  return { ...radius, quarantined: true };
}

/** Throws 'invalid': a quarantine that says nothing leaves the next person with a riddle. */
export function checkReason(reason: string, name: string): void {
  const causes = checkLine('reason', reason, 1, 1024);
  if (causes.length > 0) throw invalid(causes, { resource, kind: 'Consumer', name });
}

export async function blastRadius(room: ConsumersRoom, db: Store['db'], found: Found): Promise<BlastRadius> {
  const { row, rings } = found;
  const now = nowOf(room);
  const leaves = await liveLeavesOf(db, room.topology, found, { now, limit: mostLeaves + 1 });
  const generations = await ringGenerations(db);
  return {
    consumer: row.name,
    leaves: leaves.slice(0, mostLeaves),
    moreLeaves: leaves.length > mostLeaves,
    verifies: rings.filter(({ verifies }) => verifies === 1).map(({ ring }) => ring),
    presents: rings.filter(({ presents }) => presents === 1).map(({ ring }) => ring),
    breaks: [...lossesOf(row.name, leaves), ...rings.flatMap((ring) => trustLost(ring, generations))],
    quarantined: row.state === 'quarantined',
  };
}

function lossesOf(name: string, leaves: readonly LiveLeaf[]): string[] {
  const ends = leaves.map(({ notAfter }) => notAfter).sort((a, b) => a - b);
  const [first, last] = [ends[0], ends.at(-1)];
  if (first === undefined || last === undefined)
    return [`no live certificate of ${name} is known here; what it presents otherwise is not seen`];
  const count = leaves.length > mostLeaves ? `more than ${String(mostLeaves)}` : String(leaves.length);
  return [
    `its live certificates, ${count} of them, are not renewed: the first ends ${iso(first)}, the last ${iso(last)}`,
  ];
}

function trustLost({ ring, verifies, loaded }: ConsumerRingRow, generations: ReadonlyMap<string, number>): string[] {
  if (verifies !== 1) return [];
  const current = String(generations.get(ring) ?? 0);
  const knows = loaded === 0 ? 'an unknown bundle' : `bundle ${String(loaded)} of ${current}`;
  return [
    `it verifies ${ring} with ${knows}: rotations go on without it, and it refuses whoever presents a certificate of an authority that it does not know`,
  ];
}

/** Back among those that gates wait for. Throws 'conflict' with the rings that it has not caught up with. */
export async function unquarantine(room: ConsumersRoom, tx: WriteTx, name: string, actor: Identity): Promise<Consumer> {
  const { row, rings } = await mustFind(tx.db, name);
  if (row.state !== 'quarantined') return viewOf(room, tx.db, name);
  const generations = await ringGenerations(tx.db);
  const since = row.quarantined_at ?? 0;
  const behind = rings
    .filter(({ verifies }) => verifies === 1)
    .filter((ring) => {
      const { accepted } = verifyingIn(room.topology, ring.ring, row.class, room.minimums);
      const counts = ring.evidence !== null && accepted.includes(ring.evidence) && ring.process === row.process;
      const caughtUp = counts && ring.loaded === generations.get(ring.ring);
      return !(caughtUp && (ring.acknowledged_at ?? 0) >= since);
    })
    .map(({ ring }) => ring);
  if (behind.length > 0) {
    throw new RotundaError(
      'conflict',
      `${name} has not shown since it was quarantined that it has loaded the current bundle of ${behind.join(', ')}`,
      {
        object: { resource, kind: 'Consumer', name },
        hint: 'give it the bundle and let it acknowledge, or let it join anew with a token',
      },
    );
  }
  const next = {
    ...row,
    state: 'live',
    quarantined_at: null,
    quarantined_by: null,
    quarantine_reason: null,
    revision: tx.nextRevision(),
  } as const;
  await updateConsumer(tx.db, next);
  await publishConsumer(tx, next, 'MODIFIED');
  const detail = { reason: row.quarantine_reason };
  await record(room, tx, { action: 'consumer.unquarantined', name, actor: actor.username, detail, now: nowOf(room) });
  return viewOf(room, tx.db, name);
}
