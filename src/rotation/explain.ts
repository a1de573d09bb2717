import { listPendingEffects, listRotationEvents } from '../store/queries/rotations.js';
import { readFacts } from './facts.js';
import { failureOf, type Failures, type MachineParts } from './machine.js';
import { getRotation } from './operations.js';
import { disagreement } from './position.js';
import { isOver, type Offer, offers } from './reducer.js';
import type { Facts, Rotation } from './types.js';

export type RotationEvent = {
  readonly sequence: number;
  readonly at: number;
  readonly kind: 'transition' | 'operator' | 'effect' | 'disagreement';
  readonly actor: string;
  readonly from: string;
  readonly to: string;
  readonly detail: Readonly<Record<string, unknown>>;
};

/** Where a rotation is, what it waits for, who is missing, and what would help. */
export type Explanation = {
  readonly rotation: Rotation;
  /** Why nothing moves although gates may pass; undefined when the machine is at work. */
  readonly standstill: string | undefined;
  readonly ways: readonly Offer[];
  /** Of the verifiers: how many have loaded the present bundle. */
  readonly verifiers: {
    readonly total: number;
    readonly current: number;
    readonly joiners: number;
    readonly silent: number;
  };
  readonly oldLeaves: number;
  readonly newLeaves: number;
  readonly pending: readonly {
    readonly kind: string;
    readonly attempts: number;
    readonly problem: string | undefined;
  }[];
  readonly events: readonly RotationEvent[];
  /** When the present state can be left if only time is missing, milliseconds. */
  readonly opensAt: number | undefined;
};

const mostEvents = 500;

/** Throws RotundaError 'not-found'. */
export async function explain(parts: MachineParts, id: string, failures: Failures): Promise<Explanation> {
  const rotation = await getRotation(parts, id);
  const { db } = parts.store;
  const [events, pending] = await Promise.all([listRotationEvents(db, id, mostEvents), listPendingEffects(db, id)]);
  const facts = await readFacts(parts.facts, db, rotation, parts.clock.now().getTime());
  const ways = isOver(rotation) ? [] : offers(rotation, facts);
  const onward = ways.find(({ by }) => by === 'machine');
  return {
    rotation,
    standstill: standstillOf(rotation, facts) ?? failedOf(failureOf(failures, id, facts.now)),
    ways,
    verifiers: countVerifiers(facts),
    oldLeaves: facts.oldUse.live,
    newLeaves: facts.newUse.live,
    pending: pending.map(({ kind, attempts, problem }) => ({ kind, attempts, problem: problem ?? undefined })),
    events: events.map((row) => ({
      ...{
        sequence: row.sequence,
        at: row.at,
        kind: row.kind,
        actor: row.actor,
        from: row.from_state,
        to: row.to_state,
      },
      detail: JSON.parse(row.detail) as Record<string, unknown>,
    })),
    opensAt: onward?.gate.opensAt,
  };
}

function standstillOf(rotation: Rotation, facts: Facts): string | undefined {
  if (isOver(rotation)) return `it is over: ${rotation.state}`;
  const problem = rotation.disagreement ?? disagreement(rotation, facts);
  if (problem !== undefined) return `the ring is not as ${rotation.state} leaves it: ${problem}`;
  if (rotation.paused) return `it is paused; rotunda rotation resume ${rotation.id} lets it go on`;
  if (rotation.policy === 'manual' && rotation.advanced !== rotation.state)
    return `it is led by hand; rotunda rotation advance ${rotation.id} lets it leave ${rotation.state} once the gate passes`;
  return undefined;
}

/** Known to the replica that leads. */
function failedOf(problem: string | undefined): string | undefined {
  return problem && `the last try to go on failed: ${problem}; it is tried again`;
}

function countVerifiers({ verifiers, ring }: Facts): Explanation['verifiers'] {
  return {
    total: verifiers.length,
    current: verifiers.filter(({ loaded }) => loaded >= ring.generation).length,
    joiners: verifiers.filter(({ joiner }) => joiner).length,
    silent: verifiers.filter(({ silentSince }) => silentSince !== undefined).length,
  };
}
