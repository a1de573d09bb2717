import { groupLiveLeaves, mostLeavesRead } from '../../store/queries/live-leaves.js';
import { undeclaredClasses } from '../planning/declared.js';
import type { Facts, Rotation, VerifierFact } from '../types.js';
import type { OutlookParts } from './parts.js';

/** Some of many, by name. */
export type Some = { readonly count: number; readonly names: readonly string[] };

/** Who is cut off by an emergency unless it follows in time. Times are milliseconds. */
export type EmergencyRadius = {
  readonly ring: string;
  /** Key of the authority that nobody is to believe any more. */
  readonly authority: string;
  readonly deadline: number;
  /** A rotation that runs already. */
  readonly takesOver: Rotation | undefined;
  /** That one's other authority is the successor; otherwise it ends. */
  readonly turns: boolean;
  /** What it signed and can still be presented: good for nothing from the cut on. */
  readonly leaves: {
    readonly total: number;
    /** False: there are more. */
    readonly exact: boolean;
    readonly groups: readonly (Some & { readonly profile: string; readonly latestNotAfter: number })[];
  };
  /** Who verifies, and is to learn of the new authority before the cut. */
  readonly verifiers: {
    readonly total: number;
    /** Not known to have loaded even the present bundle. */
    readonly behind: Some;
    readonly silent: Some;
    /** Nobody has said who is in these classes: whether they follow is not seen. */
    readonly undeclared: readonly string[];
  };
};

const mostNames = 20;

/** What is known now of who would be cut off. Nothing is changed. Throws 'not-found'. */
export async function blastRadius(
  parts: OutlookParts,
  rotation: Rotation,
  takesOver: Rotation | undefined,
): Promise<EmergencyRadius> {
  const { ring, options } = rotation;
  const authority = rotation.oldKey;
  const facts = await parts.rotations.facts(rotation);
  const groups = await groupLiveLeaves(parts.store.db, { ring, now: facts.now, names: mostNames, ski: authority });
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  return {
    ...{ ring, authority, deadline: options.deadline ?? facts.now, takesOver },
    turns: takesOver !== undefined && [takesOver.oldKey, takesOver.newKey].includes(rotation.newKey),
    leaves: {
      total,
      exact: total < mostLeavesRead,
      groups: groups.map(({ profile, count, names, latestNotAfter }) => ({ profile, count, names, latestNotAfter })),
    },
    verifiers: verifiersOf(facts),
  };
}

function verifiersOf({ verifiers, classes, ring, now }: Facts): EmergencyRadius['verifiers'] {
  return {
    total: verifiers.length,
    behind: some(verifiers.filter(({ loaded, silentSince }) => silentSince === undefined && loaded < ring.generation)),
    silent: some(verifiers.filter(({ silentSince }) => silentSince !== undefined)),
    undeclared: undeclaredClasses(classes, now).map((fact) => fact.class),
  };
}

function some(verifiers: readonly VerifierFact[]): Some {
  return { count: verifiers.length, names: verifiers.slice(0, mostNames).map(({ name }) => name) };
}
