import { afterEach, describe, expect, it } from 'vitest';

import { collectRotations } from '../../src/service/rotation-metrics.js';
import { minuteMs, type Rig, startRig } from './support.js';

const ring = 'front-proxy';
let rig: Rig;

afterEach(() => rig.close());

const broken = (): Promise<boolean> => Promise.reject(new Error('no database'));

async function failing(): Promise<string[]> {
  const text = await rig.context.metrics.render();
  return text.split('\n').filter((line) => line.startsWith('rotunda_rotation_failing{'));
}

describe('a rotation whose steps fail', () => {
  it('shows it, until one does not, or nobody tries here any more', async () => {
    rig = await startRig();
    const { rotations } = rig.context;
    collectRotations(rig.context);
    await rig.attestAbsent(ring);
    const { id } = await rig.start({ ring });
    const standstill = async (): Promise<string | undefined> => (await rotations.explain(id)).standstill;
    expect([await standstill(), await failing()]).toEqual([undefined, [`rotunda_rotation_failing{ring="${ring}"} 0`]]);
    rig.clock.forward(2 * minuteMs);
    await rig.replica.report();
    await rotations.step(broken);
    expect(await standstill()).toMatch(/^the last try to go on failed: /);
    expect(await failing()).toEqual([`rotunda_rotation_failing{ring="${ring}"} 1`]);
    rig.clock.forward(minuteMs + 1);
    expect([await standstill(), rotations.failing(id)]).toEqual([undefined, false]);
    await rotations.step(broken);
    expect(rotations.failing(id)).toBe(true);
    await rig.step();
    expect([await standstill(), rotations.failing(id)]).toEqual([undefined, false]);
  });
});
