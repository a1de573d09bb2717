import { RotundaError } from '../../errors.js';
import type { ConsumerRingRow } from '../../store/queries/consumer-rings.js';
import type { ConsumerRow } from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { alwaysVerifies, roleIn } from './classes.js';
import { liveLeavesOf } from './leaves.js';
import { resource } from './records.js';
import { type ConsumersRoom, nowOf } from './room.js';
import type { RingRole, RingRoleDraft } from './types.js';

/** What is left out stays; in a ring that is new to it it is what its class does, and then what the rest of it says. */
export function settledRole(
  { topology }: Pick<ConsumersRoom, 'topology'>,
  draft: RingRoleDraft,
  of: { readonly class: string; readonly before: ConsumerRingRow | undefined },
): RingRole {
  const { ring } = draft;
  const { before } = of;
  const built = roleIn(topology, ring, of.class);
  const expected = built.verifies || built.presents ? built : { verifies: draft.presents !== true, presents: false };
  const known = before === undefined ? expected : { verifies: before.verifies === 1, presents: before.presents === 1 };
  return { ring, verifies: draft.verifies ?? known.verifies, presents: draft.presents ?? known.presents };
}

/**
 * Who is taken out of every gate must not be one that goes on verifying: its class does by the topology, or it holds a
 * certificate. Throws 'conflict'.
 */
export async function refuseLoss(
  { topology, ...room }: ConsumersRoom,
  tx: WriteTx,
  row: Pick<ConsumerRow, 'name' | 'class' | 'node'>,
  of: { readonly roles: readonly RingRole[]; readonly present: readonly ConsumerRingRow[] },
): Promise<void> {
  const { roles, present } = of;
  const before = (ring: string): boolean | undefined => {
    const found = present.find((known) => known.ring === ring);
    return found && found.verifies === 1;
  };
  const lost = roles.filter(({ ring, verifies }) => !verifies && before(ring) !== false);
  const [ofClass] = lost.filter(({ ring }) => alwaysVerifies(topology, ring, row.class));
  if (ofClass !== undefined)
    throw stillVerifies(row.name, ofClass.ring, `every ${row.class} verifies certificates of it`);
  const [taken] = lost.filter(({ ring }) => before(ring) === true);
  if (taken === undefined) return;
  const [leaf] = await liveLeavesOf(tx.db, topology, { row, rings: present }, { now: nowOf(room), limit: 1 });
  if (leaf !== undefined) throw stillVerifies(row.name, taken.ring, `it has live certificates, such as ${leaf.serial}`);
}

function stillVerifies(name: string, ring: string, why: string): RotundaError {
  return new RotundaError('conflict', `${name} cannot be said not to verify the ring ${ring}: ${why}`, {
    object: { resource, kind: 'Consumer', name },
    hint: `rotunda consumer quarantine ${name} leaves it behind, and shows with --dry-run what that breaks`,
  });
}
