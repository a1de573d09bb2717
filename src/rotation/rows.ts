import type { RotationRow } from '../store/queries/rotations.js';
import type { Rotation, RotationOptions, RotationState } from './types.js';

/** A rotation as the database holds it. */
export function toRotation(row: RotationRow): Rotation {
  return Object.freeze({
    id: row.id,
    ring: row.ring,
    kind: row.kind,
    state: row.state as RotationState,
    version: row.version,
    epoch: row.epoch,
    paused: row.paused !== 0,
    back: row.back !== 0,
    policy: row.policy,
    crossSigned: row.cross_signed !== 0,
    oldKey: row.old_key ?? '',
    newKey: row.new_key ?? '',
    advanced: (row.advanced ?? undefined) as RotationState | undefined,
    disagreement: row.disagreement ?? undefined,
    marks: JSON.parse(row.marks) as Rotation['marks'],
    options: JSON.parse(row.options) as RotationOptions,
    startedBy: row.started_by,
    reason: row.reason,
    startedAt: row.started_at,
    stateSince: row.state_since,
    finishedAt: row.finished_at ?? undefined,
  });
}

export function rotationRow(rotation: Rotation): RotationRow {
  return {
    id: rotation.id,
    ring: rotation.ring,
    kind: rotation.kind,
    state: rotation.state,
    version: rotation.version,
    epoch: rotation.epoch,
    paused: rotation.paused ? 1 : 0,
    back: rotation.back ? 1 : 0,
    policy: rotation.policy,
    cross_signed: rotation.crossSigned ? 1 : 0,
    old_key: rotation.oldKey,
    new_key: rotation.newKey,
    advanced: rotation.advanced ?? null,
    disagreement: rotation.disagreement ?? null,
    marks: JSON.stringify(rotation.marks),
    options: JSON.stringify(rotation.options),
    started_by: rotation.startedBy,
    reason: rotation.reason,
    started_at: rotation.startedAt,
    state_since: rotation.stateSince,
    finished_at: rotation.finishedAt ?? null,
  };
}
