import { afterEach, describe, expect, it } from 'vitest';

import { collectRotations } from '../../src/service/rotation-metrics.js';
import { minuteMs, type Rig, startRig } from '../rotation/support.js';

const ring = 'front-proxy';
const measured = /^rotunda_(rotation|bundle)_/;
let rig: Rig;

afterEach(() => rig.close());

describe('what is measured of rotations', () => {
  it('is the same for everybody who asks at the same time', async () => {
    rig = await startRig();
    const { metrics } = rig.context;
    collectRotations(rig.context);
    const scrape = async (): Promise<string[]> =>
      (await metrics.render()).split('\n').filter((line) => measured.test(line));
    await rig.start({ ring });
    rig.clock.forward(2 * minuteMs);
    await rig.step();
    const alone = await scrape();
    expect(alone).toContain(`rotunda_rotation_blockers{ring="${ring}",kind="class"} 2`);
    expect(await Promise.all([scrape(), scrape(), scrape()])).toEqual([alone, alone, alone]);
  });
});
