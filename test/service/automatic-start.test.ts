import { afterEach, describe, expect, it } from 'vitest';

import { createAutomaticStart } from '../../src/service/automatic-start.js';
import { dayMs, minuteMs, quick, type Rig, startRig } from '../rotation/support.js';

const ring = 'front-proxy';
const order = { actor: 'admin', reason: 'a test' };
let rig: Rig;

afterEach(() => rig.close());

async function open(rotation: object = {}): Promise<() => Promise<string[]>> {
  const rings = ['kubernetes', 'etcd', 'rotunda'].map((name) => ({ name, automatic: false }));
  rig = await startRig({ config: { rotation: { ...quick, automatic: true, plannedAge: '1y', rings, ...rotation } } });
  rig.clock.forward(400 * dayMs);
  await rig.attestAbsent(ring);
  const start = createAutomaticStart(rig.context);
  return async () => {
    rig.clock.forward(2 * minuteMs);
    await rig.replica.report();
    await start();
    return (await rig.context.rotations.list({ ring, limit: 10 })).map(({ id, state }) => `${id} ${state}`);
  };
}

describe('a rotation that starts by itself', () => {
  it('begins when its ring has reached its planned age', async () => {
    const look = await open();
    expect(await look()).toEqual([`${ring}-1 staged`]);
    expect(await look()).toEqual([`${ring}-1 staged`]);
    expect((await rig.get(`${ring}-1`)).startedBy).toBe('system:rotunda');
  });

  it('does not begin while the switch is off', async () => {
    const look = await open({ automatic: false });
    expect(await look()).toEqual([]);
  });

  it('rests for a while once somebody has turned one back', async () => {
    const look = await open();
    await look();
    await rig.context.rotations.rollback(`${ring}-1`, order);
    expect(await look()).toEqual([`${ring}-1 aborted`]);
    rig.clock.forward(20 * dayMs);
    expect(await look()).toEqual([`${ring}-1 aborted`]);
    rig.clock.forward(20 * dayMs);
    expect(await look()).toEqual([`${ring}-2 staged`, `${ring}-1 aborted`]);
  });

  it('rests for a day also where it is late', async () => {
    const look = await open();
    const { notAfter } = rig.context.ca.bundle(ring).anchors[0] ?? { notAfter: 0 };
    rig.clock.forward(notAfter - 30 * dayMs - rig.clock.now().getTime());
    await rig.attestAbsent(ring);
    await rig.replica.report();
    await look();
    await rig.context.rotations.rollback(`${ring}-1`, order);
    rig.clock.forward(dayMs - 10 * minuteMs);
    expect(await look()).toEqual([`${ring}-1 aborted`]);
    rig.clock.forward(10 * minuteMs);
    expect(await look()).toEqual([`${ring}-2 staged`, `${ring}-1 aborted`]);
  });

  it('may be started by hand meanwhile', async () => {
    const look = await open();
    await look();
    await rig.context.rotations.rollback(`${ring}-1`, order);
    await rig.start({ ring });
    expect(await look()).toEqual([`${ring}-2 staged`, `${ring}-1 aborted`]);
  });
});
