import { afterEach, describe, expect, it } from 'vitest';

import type { EffectHandlers } from '../../src/rotation/effects.js';
import type { Maintenance } from '../../src/service/maintenance.js';
import type { Replica } from '../../src/service/replica.js';
import { type RotationChores, startRotating } from '../../src/service/rotating.js';
import { dayMs, minuteMs, type Rig, startRig } from '../rotation/support.js';

const ring = 'front-proxy';
const nothing = (): Promise<void> => Promise.resolve();
const effects: EffectHandlers = {
  ...{ 'own-certificates': nothing, 'published-objects': nothing, renewals: nothing },
  ...{ probes: nothing, copies: nothing, notify: nothing },
};
let rig: Rig;
let rotating: Maintenance;

afterEach(async () => {
  await rotating.stop();
  await rig.close();
});

/** One that leads, on a clock that is moved, and the time that has really passed. */
async function open(
  replica: (own: Replica) => Replica = (own) => own,
): Promise<{ readonly elapse: (ms: number) => void }> {
  rig = await startRig();
  await rig.attestAbsent(ring);
  await rig.start({ ring });
  let elapsed = 0;
  const clock = { now: () => rig.clock.now(), monotonic: () => elapsed };
  const chores: RotationChores = { effects, look: nothing, before: nothing, stop: nothing };
  rotating = startRotating({ ...rig.context, clock }, replica(rig.replica), chores);
  await rotating.run();
  return {
    elapse: (ms) => {
      elapsed += ms;
      rig.clock.forward(ms);
    },
  };
}

const state = async (): Promise<string> => (await rig.get(`${ring}-1`)).state;

describe('the one that leads rotations', () => {
  it('moves none while its clock is doubted', async () => {
    const { elapse } = await open();
    elapse(4 * minuteMs);
    await rotating.run();
    const before = await state();
    expect(before).not.toBe('staged');
    rig.clock.forward(30 * dayMs);
    for (let round = 0; round < 3; round += 1) {
      await rotating.run();
      expect(await state()).toBe(before);
      const { standstill } = await rig.context.rotations.explain(`${ring}-1`);
      expect(standstill).toContain('the clock of the replica that leads has jumped');
      elapse(10 * minuteMs);
    }
    elapse(61 * minuteMs);
    await rotating.run();
    expect(await state()).not.toBe(before);
    expect((await rig.context.rotations.explain(`${ring}-1`)).standstill).toBeUndefined();
  });

  it('leads although it cannot say what it goes by', async () => {
    const broken = (): Promise<void> => Promise.reject(new Error('no database'));
    const { elapse } = await open((own) => ({ ...own, report: broken }));
    for (let round = 0; round < 3 && (await state()) === 'staged'; round += 1) {
      elapse(2 * minuteMs);
      await rig.replica.report();
      await rotating.run();
    }
    expect(await state()).not.toBe('staged');
  });
});
