import { RotundaError } from '../errors.js';
import { countRotations, insertRotation, listRunningRotations } from '../store/queries/rotations.js';
import type { Store, WriteTx } from '../store/types.js';
import type { MachineParts } from './machine.js';
import { rotationRow, toRotation } from './rows.js';
import type { EffectKind } from './transitions.js';
import type { DomainChange } from './domain.js';
import type { Facts, Rotation, RotationKind, RotationOptions } from './types.js';
import { findForChange, noteEvent, save, scheduleEffects } from './writing.js';

export type StartRequest = {
  readonly ring: string;
  readonly kind: RotationKind;
  readonly policy: Rotation['policy'];
  readonly crossSign: boolean;
  readonly options: RotationOptions;
  readonly reason: string;
  /** Of an emergency: the key that may be somebody else's too, its SKI; the one that signs when left out. */
  readonly compromised?: string | undefined;
};

/** A rotation that the emergency puts an end to. */
export type Ended = { readonly rotation: Rotation; readonly end: 'finished' | 'aborted' };

export type StartParts = MachineParts & {
  /** Reads who is known to be there by other ways, and gives what makes consumers of them: nobody is left out of the gates. */
  readonly known: () => Promise<(tx: WriteTx) => Promise<void>>;
};

const onDeclared: readonly EffectKind[] = ['published-objects', 'notify'];

/**
 * Makes the next authority of a ring and stores it with the rotation that it is for. Nothing is published yet; in an
 * emergency the ring is frozen with it. Throws 'conflict' while another rotation of the ring runs, 'not-found', 'invalid'.
 */
export async function start(parts: StartParts, request: StartRequest, actor: string, ended?: Ended): Promise<Rotation> {
  const { store, clock } = parts;
  await refuseSecond(parts, request.ring, ended);
  const domain = parts.facts.domain(request.kind);
  const { ring, kind, options } = request;
  await domain.reload();
  const before = await domain.facts(store.db, { ring, oldKey: '', newKey: '', now: clock.now().getTime() });
  const crossSign = request.crossSign && kind === 'planned';
  const made = await domain.successor(ring, { ...options, crossSign, sameKey: kind === 'reissue' });
  const oldKey = before.ring.active;
  const change = kind === 'emergency' ? declaration(before.ring, ended) : undefined;
  const prepared = change && (await domain.prepare(change));
  const registerKnown = await parts.known();
  const rotation = await store.write(async (tx) => {
    const now = clock.now().getTime();
    // Somebody else may have begun one while its keys were made.
    await refuseSecond({ store: tx }, ring, ended);
    const id = `${ring}-${String((await countRotations(tx.db, ring)) + 1)}`;
    const draft = firstRow(request, {
      id,
      oldKey,
      newKey: made.key,
      epoch: before.ring.epoch,
      generation: before.ring.generation,
      now,
      actor,
    });
    const row = { ...draft, crossSigned: made.crossSigned, epoch: draft.epoch + (prepared === undefined ? 0 : 1) };
    await made.store(tx, now);
    if (prepared !== undefined && !(await prepared.apply(tx, now))) throw moved(ring);
    if (ended !== undefined) await endFor(parts, tx, ended, { now, actor, id });
    await registerKnown(tx);
    await insertRotation(tx.db, rotationRow(row));
    await scheduleEffects(tx, row, kind === 'emergency' ? onDeclared : ['notify'], now);
    await noteEvent(parts, tx, {
      rotation: row,
      kind: 'operator',
      from: row.state,
      at: now,
      actor,
      detail: { verb: 'start', kind, reason: request.reason, successor: made.key },
    });
    return row;
  });
  await domain.reload();
  return rotation;
}

/** Frozen at once. What a retired authority was kept for is over with the rotation that it was kept by. */
function declaration({ name, epoch, active }: Facts['ring'], ended: Ended | undefined): DomainChange {
  const change = { ring: name, epoch, frozen: true, taint: active };
  return ended?.end === 'finished' ? { ...change, cross: 'none', destroy: ended.rotation.oldKey } : change;
}

async function endFor(
  parts: MachineParts,
  tx: WriteTx,
  { rotation, end }: Ended,
  { now, actor, id }: { readonly now: number; readonly actor: string; readonly id: string },
): Promise<void> {
  const current = await findForChange(tx, rotation);
  if (current === undefined) throw moved(rotation.ring);
  const over: Rotation = { ...current, state: end, version: current.version + 1, stateSince: now, finishedAt: now };
  await save(tx, over, current.version);
  const detail = { verb: 'declare', reason: `the emergency ${id} takes its place` };
  await noteEvent(parts, tx, { rotation: over, kind: 'operator', from: current.state, at: now, actor, detail });
}

function firstRow(
  { ring, kind, policy, options, reason }: StartRequest,
  known: { id: string; oldKey: string; newKey: string; epoch: number; generation: number; now: number; actor: string },
): Rotation {
  const { id, oldKey, newKey, epoch, generation, now, actor } = known;
  const state = kind === 'emergency' ? 'declared' : 'staged';
  return {
    ...{ id, ring, kind, state, version: 1, epoch, paused: false, back: false, crossSigned: false },
    // A deadline passes for everybody: nobody has to say so.
    policy: kind === 'emergency' ? 'automatic' : policy,
    ...{ oldKey, newKey, advanced: undefined, disagreement: undefined, options, reason, startedBy: actor },
    ...{ marks: { [state]: { at: now, generation } }, startedAt: now, stateSince: now, finishedAt: undefined },
  };
}

/** Throws 'conflict' while a rotation of the ring runs. */
export async function refuseSecond(
  { store }: { readonly store: Pick<Store, 'db'> },
  ring: string,
  but?: Ended,
): Promise<void> {
  const running = (await listRunningRotations(store.db)).find(
    (row) => row.ring === ring && row.id !== but?.rotation.id,
  );
  if (running === undefined) return;
  const { id, state } = toRotation(running);
  throw new RotundaError('conflict', `the ring ${ring} is being rotated: ${id} is ${state}`, {
    hint: `rotunda rotation explain ${id} shows what it waits for; a key that is somebody else's too is declared with rotunda rotation start ${ring} --emergency`,
  });
}

function moved(ring: string): RotundaError {
  return new RotundaError('conflict', `the ring ${ring} was changed meanwhile; try again`);
}
