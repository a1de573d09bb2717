import { afterEach, describe, expect, it } from 'vitest';

import { createReplica, type Replica } from '../../src/service/replica.js';
import { minuteMs, type Rig, startRig } from '../rotation/support.js';

const ring = 'rotunda';
let rig: Rig;

afterEach(() => rig.close());

/** This process as one whose clock is behind that of whoever leads. */
function behind(ms: number): Replica {
  const { context } = rig;
  const clock = { now: () => new Date(context.clock.now().getTime() - ms) };
  return createReplica({ ...context, clock });
}

/** As the one that leads sees it. */
async function counted(): Promise<string[]> {
  const { verifiers } = await rig.context.consumers.verifiers(ring);
  return verifiers.filter(({ silentSince }) => silentSince === undefined).map(({ name }) => name);
}

async function open(rotation: object = {}): Promise<void> {
  rig = await startRig({ config: { rotation: { automatic: false, ...rotation } } });
  // The one of the rig is long gone.
  rig.clock.forward(10 * minuteMs);
  expect(await counted()).toEqual([]);
}

describe('a replica', () => {
  it('is counted although its clock is behind, by as much as is allowed for', async () => {
    await open();
    await behind(3 * minuteMs).report();
    expect(await counted()).toEqual(['rotunda/this']);
  });

  it('is gone a minute and the longest skew after its last word', async () => {
    await open({ longestSkew: '2m' });
    await behind(0).report();
    rig.clock.forward(3 * minuteMs - 1);
    expect(await counted()).toEqual(['rotunda/this']);
    rig.clock.forward(1);
    expect(await counted()).toEqual([]);
  });

  it('is gone at once when it leaves', async () => {
    await open();
    await rig.replica.report();
    rig.clock.forward(20_000);
    await rig.replica.report();
    expect(await counted()).toEqual(['rotunda/this']);
    await rig.replica.leave();
    expect(await counted()).toEqual([]);
  });
});
