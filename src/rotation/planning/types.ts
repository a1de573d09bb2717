import type { Topology } from '../../config/types.js';
import type { PhaseDurations } from '../schedule/measured.js';
import type { Blocker, Facts, Rotation, RotationState } from '../types.js';
import type { Failure } from './cross-product.js';
import type { Expected } from './expected.js';
import type { Generation, LeafGroup } from './groups.js';
import type { Work } from './work.js';

export type PlanInput = {
  /** The running one, or what `imagined` makes of one that was not started. */
  readonly rotation: Rotation;
  readonly started: boolean;
  /** The way back instead of the way on. */
  readonly rollback: boolean;
  readonly facts: Facts;
  readonly topology: Topology;
  /** What consumers say that they are, such as `kubelet 1.36.3`, by name. */
  readonly software: ReadonlyMap<string, string>;
  /** Leaves of the ring that can still be presented. */
  readonly leaves: readonly LeafGroup[];
  /** Bundles that somebody may hold, with the present one: from the last of the rotation before on. */
  readonly generations: readonly Generation[];
  /** Earlier rotations of the ring, of the same kind. */
  readonly history: readonly PhaseDurations[];
  /** Of other rings, running. */
  readonly others: readonly Rotation[];
  /** The longest time that a leaf of the ring is good for, milliseconds. */
  readonly longestLeaf: number;
};

export type PlanStep = {
  readonly state: RotationState;
  /** Whether the rotation is in it already. */
  readonly present: boolean;
  /** What it is for, in words. */
  readonly meaning: string;
  /** What Rotunda does when it enters the state. */
  readonly does: readonly string[];
  /** What is done at consumers while it lasts. */
  readonly work: readonly Work[];
  readonly needsRestarts: boolean;
  /** Other rings' rotations that have to be past a phase which needs restarts first. */
  readonly waitsFor: readonly string[];
  readonly duration: Expected;
  /** When it begins, milliseconds, if all goes as usual. */
  readonly from: number;
  /** What has to hold for it to be left. */
  readonly gate: string;
  /** What is known now to be in the way of leaving it. Of the present state, its gate's own. */
  readonly blockers: readonly Blocker[];
  readonly blocked: number;
  /** The states that a rollback goes through from here; undefined where there is no way back. */
  readonly back: readonly RotationState[] | undefined;
  /** What would fail if it were entered now, without waiting for anything: what the gates before are there for. */
  readonly wouldFail: readonly Failure[];
};

export type Plan = {
  readonly rotation: string | undefined;
  readonly ring: string;
  readonly kind: Rotation['kind'];
  readonly crossSigned: boolean;
  readonly now: number;
  readonly oldKey: string;
  readonly newKey: string;
  readonly steps: readonly PlanStep[];
  /** Milliseconds; `worst` is undefined where nothing but people can end a step. */
  readonly finish: { readonly usual: number; readonly worst: number | undefined };
  /** What cannot be verified as things are, before anything is done. */
  readonly failsNow: readonly Failure[];
  readonly leaves: number;
  readonly consumers: number;
};
