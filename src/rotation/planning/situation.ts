import type { RingChange } from '../transitions.js';
import type { Rotation } from '../types.js';
import type { Generation, LeafGroup } from './groups.js';

/** Stands for the successor as long as it has not been made. */
export const unmade = 'new';

/** What a ring publishes and presents at one moment. */
export type Situation = {
  /** All that may be held by somebody, the present one last. */
  readonly generations: readonly Generation[];
  readonly signer: string;
  readonly leaves: readonly LeafGroup[];
  /** Joiners that cannot say which bundle they have are waiting. */
  readonly joinsHeld: boolean;
};

/**
 * The situation once a transition was taken, with nothing but what the transition itself does: nobody has loaded anything
 * since, every leaf is still there, and a new signer has issued one more of each kind.
 */
export function after(before: Situation, change: RingChange | undefined): Situation {
  if (change === undefined) return before;
  const signer = change.signer ?? before.signer;
  return {
    generations: published(before, change),
    signer,
    leaves: presented(before, change, signer),
    joinsHeld: change.joinsHeld ?? before.joinsHeld,
  };
}

export function presentBundle({ generations }: Situation): Generation {
  return generations[generations.length - 1] ?? { generation: 0, anchors: [] };
}

/** The row that a rotation would have at its beginning, for one that was not started. */
export function imagined(
  of: Pick<Rotation, 'ring' | 'kind' | 'crossSigned' | 'policy' | 'options' | 'oldKey' | 'epoch'>,
  now: number,
): Rotation {
  const state = of.kind === 'emergency' ? 'declared' : 'staged';
  return {
    ...of,
    ...{
      id: `${of.ring}-next`,
      state,
      version: 0,
      paused: false,
      back: false,
      advanced: undefined,
      disagreement: undefined,
    },
    ...{ newKey: of.kind === 'reissue' ? of.oldKey : unmade, marks: {}, startedBy: '', reason: '' },
    ...{ startedAt: now, stateSince: now, finishedAt: undefined },
  };
}

function published(before: Situation, { anchors }: RingChange): readonly Generation[] {
  if (anchors === undefined) return before.generations;
  return [...before.generations, { generation: presentBundle(before).generation + 1, anchors }];
}

function presented(
  { leaves, signer: earlier }: Situation,
  { cross }: RingChange,
  signer: string,
): readonly LeafGroup[] {
  const chained = cross === 'none' ? merge(leaves.map((leaf) => ({ ...leaf, crossFrom: undefined }))) : leaves;
  if (signer === earlier) return chained;
  const crossFrom = cross === undefined || cross === 'none' ? undefined : cross.from;
  const missing = chained
    .filter((leaf) => leaf.authority !== signer)
    .map((leaf) => ({ ...leaf, authority: signer, crossFrom }));
  return merge([...chained, ...missing]);
}

/** Groups that verify alike are one; what was counted of it already is not counted again. */
function merge(leaves: readonly LeafGroup[]): readonly LeafGroup[] {
  const groups = new Map<string, LeafGroup>();
  for (const leaf of leaves) {
    const key = `${leaf.profile}|${leaf.authority}|${leaf.crossFrom ?? ''}`;
    const other = groups.get(key);
    groups.set(key, other === undefined || other.count < leaf.count ? leaf : other);
  }
  return [...groups.values()];
}
