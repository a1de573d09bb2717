import type { Logger } from 'pino';

import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { listRunningRotations } from '../store/queries/rotations.js';
import type { Store, WriteTx } from '../store/types.js';
import { type FactPorts, readFacts } from './facts.js';
import { disagreement } from './position.js';
import { after, isOver, next, rollBack, type Step } from './reducer.js';
import { toRotation } from './rows.js';
import type { Facts, Rotation } from './types.js';
import { findForChange, noteEvent, save, scheduleEffects } from './writing.js';

/** Whether this process may still lead, as the transaction sees it. */
export type Fence = (tx: WriteTx) => Promise<boolean>;

export type MachineParts = {
  readonly store: Store;
  readonly clock: Clock;
  readonly audit: Audit;
  readonly logger: Logger;
  readonly facts: FactPorts;
};

/** Why a rotation could not go on the last time that it was tried here, and when that was, by its id. */
export type Failures = Map<string, { readonly problem: string; readonly at: number }>;

/** Many more than passes between two tries: whoever has not tried for longer leads no more, and knows nothing. */
const failureCountsMs = 60_000;

/** Why a rotation cannot go on; undefined where it can, or another replica is the one that tries. */
export function failureOf(failures: Failures, id: string, now: number): string | undefined {
  const found = failures.get(id);
  return found !== undefined && Math.abs(now - found.at) <= failureCountsMs ? found.problem : undefined;
}

/** Many more than there are states: a machine that goes round is stopped. */
const mostSteps = 32;

/**
 * Takes every running rotation as far as it goes now. Answers how many steps that were. A rotation that fails is logged
 * and tried again with the next call; it does not keep the others from going on.
 */
export async function advanceAll(parts: MachineParts, fence: Fence, failures: Failures): Promise<number> {
  let steps = 0;
  for (const row of await listRunningRotations(parts.store.db)) {
    try {
      steps += await advanceOne(parts, toRotation(row), fence);
      failures.delete(row.id);
    } catch (error) {
      const problem = error instanceof RotundaError ? error.message : 'an error that the log describes';
      failures.set(row.id, { problem, at: parts.clock.now().getTime() });
      parts.logger.error({ err: error, rotation: row.id }, 'a rotation could not go on; it is tried again');
    }
  }
  return steps;
}

async function advanceOne(parts: MachineParts, found: Rotation, fence: Fence): Promise<number> {
  let rotation = found;
  for (let steps = 0; steps < mostSteps; steps += 1) {
    const facts = await readFacts(parts.facts, parts.store.db, rotation, parts.clock.now().getTime());
    if (rotation.disagreement === undefined) {
      const problem = disagreement(rotation, facts);
      if (problem !== undefined) {
        await stop(parts, rotation, problem, fence);
        return steps;
      }
    }
    const step = next(rotation, facts);
    if (step === undefined) return steps;
    const taken = await take(parts, rotation, step, { actor: 'system:rotunda', reason: '', fence });
    if (taken === undefined) return steps;
    rotation = taken;
    if (isOver(rotation)) return steps + 1;
  }
  throw new RotundaError('internal', `the rotation ${found.id} took ${String(mostSteps)} steps at once`);
}

type By = { readonly actor: string; readonly reason: string; readonly fence: Fence };

/**
 * One step, all of it or nothing: the ring, the row, its history, and what is to be done after. The keys are used before;
 * inside the transaction the facts are read once more, so that what happened meanwhile counts. Undefined when somebody
 * else has moved it, or it is not to be taken any more.
 */
export async function take(parts: MachineParts, rotation: Rotation, step: Step, by: By): Promise<Rotation | undefined> {
  const { store, clock } = parts;
  const domain = parts.facts.domain(rotation.kind);
  // What another replica stored may not have been told here; a decision of an earlier epoch is refused as it is applied.
  if (step.change !== undefined) await domain.reload();
  const prepared = step.change && (await domain.prepare(step.change));
  const taken = await store.write(async (tx) => {
    const now = clock.now().getTime();
    if (!(await by.fence(tx))) return undefined;
    const current = await findForChange(tx, rotation);
    if (current === undefined) return undefined;
    const facts = await readFacts(parts.facts, tx.db, current, now);
    if (!isStill(step, current, facts)) return undefined;
    // It throws where the ring moved on: nothing else of this step may stand then.
    if (prepared !== undefined && !(await prepared.apply(tx, now))) return undefined;
    const moved = after(current, step, { at: now, generation: prepared?.generation ?? facts.ring.generation });
    await save(tx, moved, current.version);
    await scheduleEffects(tx, moved, step.effects, now);
    await noteEvent(parts, tx, {
      rotation: moved,
      kind: 'transition',
      from: step.from,
      at: now,
      actor: by.actor,
      detail: { transition: step.name, reason: by.reason },
    });
    return moved;
  });
  if (taken !== undefined) {
    await domain.reload();
    parts.logger.info({ rotation: taken.id, ring: taken.ring, from: step.from, to: step.to }, 'a rotation moved');
  }
  return taken;
}

function isStill(step: Step, current: Rotation, facts: Facts): boolean {
  const now = step.name === 'roll-back' ? rollBack(current, facts) : next(current, facts);
  return now?.name === step.name && now.to === step.to && now.change?.epoch === step.change?.epoch;
}

/** The machine stands still, the service does not: what is issued and served goes on as the ring is. */
async function stop(parts: MachineParts, rotation: Rotation, problem: string, fence: Fence): Promise<void> {
  await parts.store.write(async (tx) => {
    const now = parts.clock.now().getTime();
    if (!(await fence(tx))) return;
    const current = await findForChange(tx, rotation);
    if (current === undefined) return;
    const stopped = { ...current, version: current.version + 1, disagreement: problem };
    await save(tx, stopped, current.version);
    await noteEvent(parts, tx, {
      rotation: stopped,
      kind: 'disagreement',
      from: current.state,
      at: now,
      actor: 'system:rotunda',
      detail: { problem },
    });
  });
  parts.logger.error({ rotation: rotation.id, problem }, 'a rotation contradicts its ring, and stands still');
}
