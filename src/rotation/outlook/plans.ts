import { longestLeafOf } from '../../config/rotation.js';
import { findKeySet } from '../../store/queries/key-sets.js';
import { groupLiveLeaves } from '../../store/queries/live-leaves.js';
import { listPublished, softwareOfVerifiers } from '../../store/queries/published-bundles.js';
import { certificatesOfRing } from '../../store/queries/ring-changes.js';
import { findRing } from '../../store/queries/rings.js';
import { listPinned } from '../../store/queries/token-pins.js';
import { type Generation, type LeafGroup, mostNamed } from '../planning/groups.js';
import { planRotation } from '../planning/plan.js';
import { imagined } from '../planning/situation.js';
import type { Plan } from '../planning/types.js';
import type { StartRequest } from '../start.js';
import type { Facts, Rotation } from '../types.js';
import { earlier } from './history.js';
import type { OutlookParts } from './parts.js';

/** The plan of a running rotation, or of its way back; undefined where it has none. */
export function planOf(parts: OutlookParts, rotation: Rotation, rollback = false): Promise<Plan | undefined> {
  return plan(parts, rotation, { started: true, rollback, leaves: true });
}

/** The plan of a rotation that was not started: nothing is made and nothing is written. Throws 'not-found'. */
export async function planOfNew(parts: OutlookParts, rotation: Rotation): Promise<Plan> {
  const made = await plan(parts, rotation, { started: false, rollback: false, leaves: true });
  // Only a way back may be missing.
  if (made === undefined) throw new Error('a rotation that begins has no way on');
  return made;
}

/** When a rotation is over, milliseconds; `worst` is undefined where that is up to people. Cheaper than the whole plan. */
export async function estimate(parts: OutlookParts, rotation: Rotation): Promise<Plan['finish'] | undefined> {
  return (await plan(parts, rotation, { started: true, rollback: false, leaves: false }))?.finish;
}

/** The row that a rotation would begin with. Throws RotundaError 'not-found' for a ring that is not there. */
export async function imagine(parts: OutlookParts, request: StartRequest): Promise<Rotation> {
  const { ring, kind, policy, options, reason } = request;
  const now = parts.clock.now().getTime();
  const { db } = parts.store;
  const set = kind === 'keys' ? await findKeySet(db, ring) : undefined;
  const row = kind === 'keys' ? undefined : await findRing(db, ring);
  const oldKey = set?.active_key ?? row?.active_ski ?? '';
  const epoch = set?.epoch ?? row?.epoch ?? 0;
  const crossSigned = request.crossSign && kind === 'planned';
  return { ...imagined({ ring, kind, policy, options, crossSigned, oldKey, epoch }, now), reason };
}

type Wanted = { readonly started: boolean; readonly rollback: boolean; readonly leaves: boolean };

async function plan(parts: OutlookParts, rotation: Rotation, wanted: Wanted): Promise<Plan | undefined> {
  const { config, rotations, store } = parts;
  const { ring, kind } = rotation;
  const facts = await factsOf(parts, rotation, wanted.started);
  const { durations, sinceGeneration } = await earlier(parts, ring, kind);
  return planRotation({
    ...{ rotation, started: wanted.started, rollback: wanted.rollback, facts, topology: config.topology },
    software: await softwareOfVerifiers(store.db, ring),
    leaves: wanted.leaves ? await leavesOf(parts, rotation, facts.now) : [],
    generations: await generationsOf(parts, rotation, sinceGeneration),
    history: durations,
    others: (await rotations.running()).filter((other) => other.ring !== ring),
    longestLeaf: longestLeafOf(ring, config.profiles),
  });
}

/** Join commands that were printed until now will name the old authority alone once there is another. */
async function factsOf(
  { rotations, store, config }: OutlookParts,
  rotation: Rotation,
  started: boolean,
): Promise<Facts> {
  const facts = await rotations.facts(rotation);
  if (started || rotation.kind !== 'planned' || rotation.ring !== config.topology.kubernetesServer) return facts;
  const rows = await listPinned(store.db, { before: facts.now, now: facts.now });
  return {
    ...facts,
    pins: rows.map(({ id, expires_at: expiresAt }) => ({ kind: 'token', name: id, expiresAt: expiresAt ?? undefined })),
  };
}

async function leavesOf(
  { store, ca }: OutlookParts,
  { ring, kind, oldKey }: Rotation,
  now: number,
): Promise<LeafGroup[]> {
  if (kind === 'keys') return [];
  const { active, crossPem } = ca.ring(ring);
  const groups = await groupLiveLeaves(store.db, { ring, now, names: mostNamed });
  return groups.map(({ profile, ski, count, names }) => ({
    ...{ profile, authority: ski, count, names },
    crossFrom: crossPem !== '' && ski === active.ski ? oldKey : undefined,
  }));
}

async function generationsOf(
  { store: { db } }: OutlookParts,
  { ring, kind }: Rotation,
  from: number,
): Promise<Generation[]> {
  const published = await listPublished(db, { ring, from });
  if (kind === 'keys') return published;
  const skis = new Map((await certificatesOfRing(db, ring)).map(({ fingerprint, ski }) => [fingerprint, ski]));
  return published.map(({ generation, anchors }) => ({
    generation,
    anchors: [...new Set(anchors.flatMap((fingerprint) => skis.get(fingerprint) ?? []))],
  }));
}
