import { afterEach, describe, expect, it } from 'vitest';

import { copyKey } from '../../src/rotation/planning/restarts.js';
import { type Rig, startRig } from '../rotation/support.js';

let rig: Rig;
afterEach(() => rig.close());

describe('copies of a bundle that somebody else keeps', () => {
  it('are unknown until they were read back in the present state', async () => {
    rig = await startRig();
    const { copies, rotations } = rig.context;
    const rotation = await rig.start({ ring: 'front-proxy' });
    const at = async (state: 'drained' | 'distrusting') => (await rotations.facts({ ...rotation, state })).copies;
    expect(await at('drained')).toEqual([]);
    // What was read in another state, or was not there to be read, says nothing.
    copies.set(copyKey({ ...rotation, state: 'drained' }), []);
    expect(await at('distrusting')).toMatchObject([{ generation: undefined, holdsOld: true }]);
    copies.set(copyKey({ ...rotation, state: 'distrusting' }), []);
    expect(await at('distrusting')).toEqual([]);
  });

  it('are none where the ring is in no API server', async () => {
    rig = await startRig();
    const rotation = await rig.start({ ring: 'etcd' });
    expect((await rig.context.rotations.facts({ ...rotation, state: 'distrusting' })).copies).toEqual([]);
  });
});
