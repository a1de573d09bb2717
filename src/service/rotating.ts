import type { Context } from '../context.js';
import { performEffects, type EffectHandlers } from '../rotation/effects.js';
import type { Fence } from '../rotation/machine.js';
import { createLease, holds } from '../store/lease.js';
import { createClockGuard } from './clock-guard.js';
import type { Maintenance } from './maintenance.js';
import type { Replica } from './replica.js';

/** How often the machine looks, and how soon another replica takes over from one that died. */
const intervalMs = 5_000;
const leaseMs = 3 * intervalMs;
const leaseName = 'rotation';

/** What one replica at a time does for rotations beside moving them. */
export type RotationChores = {
  readonly effects: EffectHandlers;
  /** On every replica, so that each can say what a rotation waits for: copies are read back. */
  readonly look: () => Promise<void>;
  /** Before each look of the one that leads: probes, rotations that are due. */
  readonly before: (fence: Fence) => Promise<void>;
  readonly stop: () => Promise<void>;
};

/**
 * Leads the state machines, on one replica at a time. Every write checks the lease's epoch, so that a replica that was
 * taken for dead moves nothing any more. Every replica says which bundles it goes by, on each change and again and again.
 */
export function startRotating(context: Context, replica: Replica, chores: RotationChores): Maintenance {
  const { store, clock, logger, rotations, ca } = context;
  const lease = createLease({ store, clock, name: leaseName, ttlMs: leaseMs });
  const isTimeTrusted = trustOfTime(context);
  const state = { held: false, stopped: false };
  // Whoever cannot say what it goes by holds up the gates by that, and nothing else.
  const report = (): Promise<void> =>
    replica.report().catch((error: unknown) => {
      if (!state.stopped) logger.error({ err: error }, 'which bundles this replica goes by could not be stored');
    });
  const lead = async (): Promise<void> => {
    const held = await lease.take();
    state.held = held !== undefined;
    if (held === undefined) return;
    // A key is erased, a straggler cut off and a certificate taken for expired when it is time.
    if (!(await isTimeTrusted(held.seenAt))) return;
    const fence: Fence = (tx) => holds(tx, leaseName, held.epoch);
    await chores.before(fence);
    // What was done may let a machine go on, and what it does leaves more to do.
    for (let round = 0; round < 3; round += 1) {
      const steps = await rotations.step(fence);
      await performEffects(context, chores.effects, fence);
      if (steps === 0) return;
      await report();
    }
  };
  const round = async (): Promise<void> => {
    await report();
    await chores.look();
    await lead();
  };
  let running: Promise<void> | undefined;
  const run = (): Promise<void> => {
    if (state.stopped) return running ?? Promise.resolve();
    running ??= round()
      .catch((error: unknown) => {
        if (!state.stopped) logger.error({ err: error }, 'rotations could not be led; it is tried again');
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  // Who looks at the first plan finds this replica there.
  void run();
  const timer = setInterval(() => void run(), intervalMs);
  timer.unref();
  const unfollow = ca.onChange(() => {
    if (!state.stopped) void report();
  });
  return {
    run,
    stop: async () => {
      state.stopped = true;
      clearInterval(timer);
      unfollow();
      await chores.stop();
      await running;
      if (state.held) await lease.release().catch(() => undefined);
      await replica.leave().catch(() => undefined);
    },
  };
}

/** Whether time may be gone by; where not, every running rotation shows that. */
function trustOfTime({ clock, logger, rotations }: Context): (seenAt: number | undefined) => Promise<boolean> {
  const guard = createClockGuard({ clock, logger });
  return async (seenAt) => {
    const { trusted } = guard.look(seenAt);
    if (!trusted)
      await rotations.holdUp(
        'the clock of the replica that leads has jumped, and is believed an hour later at the earliest',
      );
    return trusted;
  };
}
