import type { Kysely } from 'kysely';

import { listProbes } from '../store/queries/probes.js';
import { listRunningRotations } from '../store/queries/rotations.js';
import type { Schema } from '../store/schema.js';
import { listPinned } from '../store/queries/token-pins.js';
import type { TrustDomain } from './domain.js';
import { restartPhases } from './planning/restarts.js';
import type {
  CopyFact,
  Facts,
  PinFact,
  Rotation,
  RotationState,
  Timing,
  VerifierClassFact,
  VerifierFact,
} from './types.js';

/** What the machine has to be told by other rooms. */
export type FactPorts = {
  readonly domain: (kind: Rotation['kind']) => TrustDomain;
  readonly verifiers: (
    db: Kysely<Schema>,
    asked: Pick<Rotation, 'ring' | 'kind' | 'state'> & { readonly now: number },
  ) => Promise<{ readonly verifiers: readonly VerifierFact[]; readonly classes: readonly VerifierClassFact[] }>;
  readonly endpoints: (
    db: Kysely<Schema>,
    asked: { readonly ring: string; readonly now: number },
  ) => Promise<Facts['endpoints']>;
  /** As last read back; looking anew is I/O and done before. */
  readonly copies: (rotation: Rotation) => readonly CopyFact[];
  readonly window: (ring: string, now: number) => Facts['window'];
  readonly timing: (ring: string) => Timing;
  /** Whose pin join commands name. */
  readonly pinnedRing: string;
};

/** Everything that a rotation goes by, from one database at one moment. */
export async function readFacts(ports: FactPorts, db: Kysely<Schema>, rotation: Rotation, now: number): Promise<Facts> {
  const { ring, oldKey, newKey } = rotation;
  const domain = await ports.domain(rotation.kind).facts(db, { ring, oldKey, newKey, now });
  const { verifiers, classes } = await ports.verifiers(db, { ring, now, kind: rotation.kind, state: rotation.state });
  const others = (await listRunningRotations(db)).filter((row) => row.id !== rotation.id);
  const restarting = others.find((row) => restartPhases.includes(row.state as RotationState));
  return {
    now,
    ...domain,
    verifiers,
    classes,
    probes: await listProbes(db, ring),
    endpoints: await ports.endpoints(db, { ring, now }),
    copies: ports.copies(rotation),
    pins: await pinsOf(ports, db, rotation, now),
    window: ports.window(ring, now),
    restarting: rotation.kind === 'emergency' ? undefined : restarting?.id,
    preflight: preflight(rotation, domain.new, now),
    timing: ports.timing(ring),
  };
}

/** Tokens whose join command was printed when the old authority was the only one. */
async function pinsOf(ports: FactPorts, db: Kysely<Schema>, rotation: Rotation, now: number): Promise<PinFact[]> {
  const published = rotation.marks.trusting?.at;
  if (rotation.ring !== ports.pinnedRing || published === undefined) return [];
  const rows = await listPinned(db, { before: published, now });
  return rows.map(({ id, expires_at: expiresAt }) => ({ kind: 'token', name: id, expiresAt: expiresAt ?? undefined }));
}

function preflight(rotation: Rotation, made: Facts['new'], now: number): string[] {
  if (rotation.state !== 'staged' || rotation.kind === 'keys') return [];
  if (made === undefined) return ['it is not in the database'];
  const problems: string[] = [];
  if (!made.hasKey) problems.push('its key is not there');
  if (made.tainted) problems.push("its key may be somebody else's too");
  if (made.notAfter <= now) problems.push('it has expired');
  return problems;
}
