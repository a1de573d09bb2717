import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import { type EffectRow, listDueEffects, settleEffect } from '../store/queries/rotations.js';
import type { Store } from '../store/types.js';
import type { Fence } from './machine.js';
import type { EffectKind } from './transitions.js';

export type Effect = {
  readonly id: string;
  readonly rotation: string;
  readonly ring: string;
  readonly kind: EffectKind;
};

/** What does each kind. Doing one twice must be the same as once. */
export type EffectHandlers = Readonly<Record<EffectKind, (effect: Effect) => Promise<void>>>;

type Parts = { readonly store: Store; readonly clock: Clock; readonly logger: Logger };

const batch = 50;
const firstRetryMs = 1000;
const longestRetryMs = 5 * 60_000;

/** Does what is due. What fails stays, with why, and is tried again, less and less often. Answers how many were done. */
export async function performEffects(parts: Parts, handlers: EffectHandlers, fence: Fence): Promise<number> {
  const { store, clock } = parts;
  let done = 0;
  for (const row of await listDueEffects(store.db, clock.now().getTime(), batch)) {
    const problem = await perform(parts, handlers, row);
    const now = clock.now().getTime();
    const attempts = row.attempts + 1;
    const wait = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(row.attempts, 20));
    await store.write(async (tx) => {
      if (!(await fence(tx))) return;
      const outcome =
        problem === undefined
          ? ({ state: 'done', done_at: now } as const)
          : ({ state: 'pending', done_at: null } as const);
      await settleEffect(tx.db, row.id, { ...outcome, attempts, next_at: now + wait, problem: problem ?? null });
    });
    if (problem === undefined) done += 1;
  }
  return done;
}

async function perform({ logger }: Parts, handlers: EffectHandlers, row: EffectRow): Promise<string | undefined> {
  const { id, rotation, ring } = row;
  const kind = row.kind as EffectKind;
  try {
    await handlers[kind]({ id, rotation, ring, kind });
    return undefined;
  } catch (error) {
    logger.warn({ err: error, effect: id }, 'what a rotation left to do failed; it is tried again');
    return error instanceof Error ? error.message : String(error);
  }
}
