import type { Audit } from '../audit/types.js';
import { RotundaError } from '../errors.js';
import {
  appendRotationEvent,
  changeRotation,
  findRotation,
  insertEffects,
  rotationChanges,
  type RotationEventRow,
} from '../store/queries/rotations.js';
import type { WriteTx } from '../store/types.js';
import { rotationRow, toRotation } from './rows.js';
import type { EffectKind } from './transitions.js';
import type { Rotation, RotationState } from './types.js';

/** The rotation as this transaction sees it, if nobody has changed it since. */
export async function findForChange({ db }: WriteTx, known: Rotation): Promise<Rotation | undefined> {
  const row = await findRotation(db, known.id);
  return row?.version === known.version ? toRotation(row) : undefined;
}

/** Writes the row in place of that of `version`. Throws 'conflict' where that is not there, which undoes the transaction. */
export async function save(tx: WriteTx, rotation: Rotation, version: number): Promise<void> {
  if (!(await changeRotation(tx.db, rotationRow(rotation), version)))
    throw new RotundaError('conflict', `the rotation ${rotation.id} was changed meanwhile; look again`);
}

/** What is to be done once this is durable. Its id is that of the step: however often this is written, it is there once. */
export async function scheduleEffects(
  tx: WriteTx,
  { id: rotation, ring, version, state }: Rotation,
  kinds: readonly EffectKind[],
  now: number,
): Promise<void> {
  await insertEffects(
    tx.db,
    kinds.map((kind) => ({
      id: `${rotation}/${String(version)}/${kind}`,
      rotation,
      ring,
      kind,
      payload: JSON.stringify({ state }),
      state: 'pending',
      attempts: 0,
      next_at: now,
      problem: null,
      created_at: now,
      done_at: null,
    })),
  );
}

type Event = {
  readonly rotation: Rotation;
  readonly kind: RotationEventRow['kind'];
  readonly from: RotationState;
  readonly at: number;
  readonly actor: string;
  readonly detail: Readonly<Record<string, unknown>>;
};

/** Into the rotation's history, the audit log and the change log. */
export async function noteEvent({ audit }: { readonly audit: Audit }, tx: WriteTx, event: Event): Promise<void> {
  const { rotation, kind, from, at, actor, detail } = event;
  const to = rotation.state;
  const text = JSON.stringify(detail);
  await appendRotationEvent(tx.db, {
    rotation: rotation.id,
    at,
    kind,
    actor,
    from_state: from,
    to_state: to,
    detail: text,
  });
  const action = kind === 'transition' ? 'rotation.moved' : `rotation.${kind}`;
  const outcome = kind === 'disagreement' ? 'failed' : 'ok';
  const common = { actor, resource: 'rotations', name: rotation.id, at };
  await audit.record(tx, { ...common, action, outcome, detail: { ...detail, ring: rotation.ring, from, to } });
  const revision = tx.nextRevision();
  const object = JSON.stringify({
    id: rotation.id,
    ring: rotation.ring,
    state: to,
    metadata: { resourceVersion: String(revision) },
  });
  await tx.publish({
    revision,
    resource: rotationChanges,
    name: rotation.id,
    type: 'MODIFIED',
    object,
    previous: undefined,
  });
}
