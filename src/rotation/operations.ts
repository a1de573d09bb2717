import { invalid, RotundaError } from '../errors.js';
import { findRotation } from '../store/queries/rotations.js';
import type { WriteTx } from '../store/types.js';
import { readFacts } from './facts.js';
import { type MachineParts, take } from './machine.js';
import { disagreement } from './position.js';
import { isOver, rollBack } from './reducer.js';
import { toRotation } from './rows.js';
import type { Rotation, RotationState } from './types.js';
import { findForChange, noteEvent, save } from './writing.js';

/** Who tells the machine something, and why. */
export type Order = {
  readonly actor: string;
  readonly reason: string;
  /** What it was decided on: refused with 'conflict' where the rotation was changed since. */
  readonly version?: number | undefined;
};

/** Throws RotundaError 'not-found'. */
export async function getRotation({ store }: Pick<MachineParts, 'store'>, id: string): Promise<Rotation> {
  const row = await findRotation(store.db, id);
  if (row !== undefined) return toRotation(row);
  throw new RotundaError('not-found', `there is no rotation ${JSON.stringify(id)}`, {
    hint: 'rotunda rotation list shows them',
  });
}

/** Nothing moves by itself until `resume`; what is issued and served goes on. */
export function pause(parts: MachineParts, id: string, order: Order): Promise<Rotation> {
  return change(parts, id, 'pause', order, (rotation) => ({ ...rotation, paused: true }));
}

/** Goes on. Throws 'conflict' while the ring contradicts the rotation. */
export async function resume(parts: MachineParts, id: string, order: Order): Promise<Rotation> {
  const found = await getRotation(parts, id);
  const facts = await readFacts(parts.facts, parts.store.db, found, parts.clock.now().getTime());
  const problem = disagreement(found, facts);
  if (problem !== undefined)
    throw new RotundaError('conflict', `the ring ${found.ring} is not as ${found.state} leaves it: ${problem}`, {
      hint: 'put the ring back as it was, from a backup of the database, or roll forward with a new data directory',
    });
  return change(parts, id, 'resume', order, (rotation) => ({ ...rotation, paused: false, disagreement: undefined }));
}

/**
 * Allows the present state to be left, where a person has to say so. No gate opens by it but in an emergency, whose
 * deadline or stragglers are not waited for any more: that has to be confirmed with the name of the ring. Throws 'invalid'.
 */
export function advance(
  parts: MachineParts,
  id: string,
  order: Order & { readonly confirm?: string | undefined },
): Promise<Rotation> {
  return change(parts, id, 'advance', order, (rotation) => {
    if (rotation.kind === 'emergency' && order.confirm !== rotation.ring) throw unconfirmed(rotation, order.confirm);
    return { ...rotation, advanced: rotation.state };
  });
}

const advanced: Readonly<Partial<Record<RotationState, string>>> = {
  spreading: 'the new authority signs, whoever does not know it yet',
  reissuing: 'the old authority is cut off now: whoever has not followed is left behind, and its key is erased',
  cut: 'who goes on believing the old authority is not waited for',
  recovering: 'the emergency is over, whoever is still left behind',
};

function unconfirmed({ id, ring, state }: Rotation, confirm: string | undefined): RotundaError {
  const what = advanced[state] ?? `it leaves ${state}`;
  return invalid([
    {
      field: 'confirm',
      reason: confirm === undefined ? 'FieldValueRequired' : 'FieldValueInvalid',
      message: `must be the name of the ring, ${JSON.stringify(ring)}: by it ${what}`,
      hint: `rotunda rotation explain ${id} shows who that would be; rotunda rotation advance ${id} --yes confirms it`,
    },
  ]);
}

/** Turns back. Throws 'conflict' where there is no way back. */
export async function rollback(parts: MachineParts, id: string, order: Order): Promise<Rotation> {
  for (let attempt = 1; ; attempt += 1) {
    const rotation = await getRotation(parts, id);
    refuseOver(rotation);
    refuseChanged(rotation, order);
    const facts = await readFacts(parts.facts, parts.store.db, rotation, parts.clock.now().getTime());
    const problem = disagreement(rotation, facts);
    if (problem !== undefined) throw new RotundaError('conflict', `the ring contradicts the rotation: ${problem}`);
    const step = rollBack(rotation, facts);
    if (step === undefined) throw noWayBack(rotation);
    const taken = await take(parts, rotation, step, { ...order, fence: () => Promise.resolve(true) });
    if (taken !== undefined) return taken;
    if (attempt === 3) throw changedMeanwhile(id);
  }
}

function noWayBack({ id, state, kind }: Rotation): RotundaError {
  const why =
    kind === 'emergency'
      ? "the old key may be somebody else's too, and must never sign again"
      : kind === 'reissue'
        ? 'the earlier certificate is out of the bundle; the key is the same, and what it signed is verified by the later one'
        : 'it is on its way back already, or the old key is not to be used any more';
  return new RotundaError('conflict', `the rotation ${id} cannot be rolled back from ${state}: ${why}`, {
    hint: `rotunda rotation explain ${id} shows what it waits for`,
  });
}

async function change(
  parts: MachineParts,
  id: string,
  verb: string,
  order: Order,
  edit: (rotation: Rotation) => Rotation,
): Promise<Rotation> {
  return parts.store.write(async (tx: WriteTx) => {
    const now = parts.clock.now().getTime();
    const found = await getRotation({ store: { ...parts.store, db: tx.db } }, id);
    refuseOver(found);
    refuseChanged(found, order);
    const current = await findForChange(tx, found);
    if (current === undefined) throw changedMeanwhile(id);
    const changed = { ...edit(current), version: current.version + 1 };
    await save(tx, changed, current.version);
    await noteEvent(parts, tx, {
      rotation: changed,
      kind: 'operator',
      from: current.state,
      at: now,
      actor: order.actor,
      detail: { verb, reason: order.reason },
    });
    return changed;
  });
}

function refuseOver(rotation: Rotation): void {
  if (!isOver(rotation)) return;
  throw new RotundaError('conflict', `the rotation ${rotation.id} is over: ${rotation.state}`);
}

function refuseChanged({ id, version, state }: Rotation, order: Order): void {
  if (order.version === undefined || order.version === version) return;
  throw new RotundaError(
    'conflict',
    `the rotation ${id} is of version ${String(version)} by now, and ${state}: it was changed since version ${String(order.version)}`,
    {
      hint: `rotunda rotation status ${id} shows how it is`,
    },
  );
}

function changedMeanwhile(id: string): RotundaError {
  return new RotundaError('conflict', `the rotation ${id} was changed meanwhile; look again`);
}
