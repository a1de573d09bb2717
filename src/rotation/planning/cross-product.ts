import type { Topology } from '../../config/types.js';
import { type Edge, edgesOf } from './edges.js';
import type { Generation, HolderGroup, LeafGroup } from './groups.js';

/** Leaves that some verifiers cannot verify with a bundle that they hold or may hold. */
export type Failure = {
  readonly purpose: Edge['purpose'];
  readonly presenter: string;
  readonly profile: string;
  /** Key of the authority that signed them. */
  readonly authority: string;
  readonly leaves: number;
  readonly presenters: readonly string[];
  readonly verifier: string;
  /** Undefined: the class is undeclared, so nobody knows how many. */
  readonly consumers: number | undefined;
  readonly verifiers: readonly string[];
  /** The bundles with which it fails, rising. */
  readonly generations: readonly number[];
  /** `holds`: it fails with the one that they are known to have loaded. */
  readonly certainty: 'holds' | 'may hold';
};

export type CrossProductInput = {
  readonly leaves: readonly LeafGroup[];
  readonly holders: readonly HolderGroup[];
  readonly generations: readonly Generation[];
  readonly purposes: readonly (keyof Topology)[];
};

/**
 * Every live leaf against every bundle that a consumer which may see it holds or may hold. The work is by group: groups of
 * leaves times groups of holders times published generations, whatever the size of the fleet.
 */
export function crossProduct(input: CrossProductInput): readonly Failure[] {
  const classes = [...new Set(input.holders.map((holder) => holder.class))];
  const rising = [...input.generations].sort((a, b) => a.generation - b.generation);
  return input.leaves.flatMap((leaf) =>
    edgesOf(leaf.profile, input.purposes, classes).flatMap((edge) =>
      input.holders
        .filter((holder) => edge.verifiers.includes(holder.class))
        .flatMap((holder) => {
          const failing = mayHold(holder, rising).filter((bundle) => !verifies(leaf, bundle));
          return failing.length === 0 ? [] : [failure(leaf, holder, edge, failing)];
        }),
    ),
  );
}

/** Whether a verifier with this bundle and nothing else finds a way from the leaf, as its chain is presented, to an anchor. */
export function verifies(
  { authority, crossFrom }: Pick<LeafGroup, 'authority' | 'crossFrom'>,
  { anchors }: Generation,
): boolean {
  return anchors.includes(authority) || (crossFrom !== undefined && anchors.includes(crossFrom));
}

/** Pairs of one leaf and one consumer; undefined where an undeclared class makes them uncountable. */
export function pairsOf(failures: readonly Failure[]): number | undefined {
  return failures.reduce<number | undefined>(
    (sum, { leaves, consumers }) =>
      sum === undefined || consumers === undefined ? undefined : sum + leaves * consumers,
    0,
  );
}

/** A process has what it was seen to load, or something newer; of an unknown one everything that was ever published. */
function mayHold({ loaded }: HolderGroup, generations: readonly Generation[]): readonly Generation[] {
  return loaded === undefined ? generations : generations.filter(({ generation }) => generation >= loaded);
}

function failure(
  leaf: LeafGroup,
  holder: HolderGroup,
  { purpose, presenter }: Edge,
  failing: readonly Generation[],
): Failure {
  const generations = failing.map(({ generation }) => generation);
  return {
    ...{ purpose, presenter, profile: leaf.profile, authority: leaf.authority },
    ...{ leaves: leaf.count, presenters: leaf.names },
    ...{ verifier: holder.class, consumers: holder.count, verifiers: holder.names, generations },
    certainty: holder.loaded !== undefined && generations.includes(holder.loaded) ? 'holds' : 'may hold',
  };
}
