import { afterEach, describe, expect, it } from 'vitest';

import type { Rotation } from '../../src/rotation/types.js';
import { type Fleet, lead, startFleet } from '../rotation/fleet/fleet.js';
import { verifyAll } from '../rotation/fleet/verify.js';
import { type Rig, startRig } from '../rotation/support.js';

const ring = 'etcd';
const cluster = 'main';
const size = Number(process.env['ROTUNDA_FLEET_SIZE'] ?? 20);
const order = { actor: 'admin', reason: 'a test' };
const soaks = { trustSoak: '1s', canarySoak: '1s', drainSoak: '1s', cooling: '2s', destroyKeys: 'automatic' };

let rig: Rig;
let fleet: Fleet;
let state = 'idle';
const seen = new Set<string>();

/** TLS goes by the clock of the machine, so this service does too. */
const realClock = { now: () => new Date(), forward: () => undefined };

async function start(request: object = {}): Promise<Rotation> {
  rig = await startRig({ clock: realClock, config: { rotation: { automatic: false, ...soaks } } });
  await rig.attestAbsent(ring);
  fleet = await startFleet({ context: rig.context, ring, cluster }, size, () => state);
  await fleet.everyEdge();
  const rotation = await rig.start({ ring, ...request });
  // Nobody here can say when its streams began; each restart ends them.
  return rotation;
}

afterEach(async () => {
  await fleet.stop();
  await rig.close();
  state = 'idle';
  seen.clear();
});

async function go(id: string, until?: Rotation['state']): Promise<Rotation> {
  return lead(
    fleet,
    {
      step: () => rig.step(),
      get: () => rig.get(id),
      each: async (now) => {
        state = now;
        // Every edge has just been tried; nothing here probes the members.
        if (now === 'canary') await rig.context.rotations.advance(id, order);
      },
      looked: () => {
        verifyAll(
          fleet.peers.filter(({ asleep }) => !asleep),
          seen,
        );
        return Promise.resolve();
      },
    },
    until,
  );
}

describe(`a fleet of ${String(size)} TLS endpoints, each shaking hands with every other all the time`, () => {
  it('does not notice that its CA is replaced', async () => {
    const { id, newKey } = await start();
    expect((await go(id)).state).toBe('finished');
    await fleet.everyEdge();
    expect(fleet.failures).toEqual([]);
    expect(fleet.peers.map(({ leaf }) => leaf.ski)).toEqual(fleet.peers.map(() => newKey));
    expect(fleet.handshakes()).toBeGreaterThan(8 * size * (size - 1));
    // Old leaves under the first two bundles, new ones with the cross-certificate under the last two.
    expect(seen.size).toBeGreaterThanOrEqual(4);
  });

  it.each(['trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling'] as const)(
    'does not notice that the rotation turns back from %s',
    async (from) => {
      const { id, oldKey } = await start({ policy: 'manual' });
      while ((await rig.get(id)).state !== from) {
        await rig.context.rotations.advance(id, order);
        const { state: before } = await rig.get(id);
        await lead(fleet, {
          step: () => rig.step(),
          get: async () => {
            const now = await rig.get(id);
            return now.state === before ? now : { ...now, finishedAt: 1 };
          },
          each: () => Promise.resolve(),
          looked: () => Promise.resolve(),
        });
      }
      state = from;
      await rig.context.rotations.rollback(id, order);
      const keepGoing = setInterval(() => void rig.context.rotations.advance(id, order).catch(() => undefined), 300);
      try {
        expect((await go(id)).state).toBe('rolled-back');
      } finally {
        clearInterval(keepGoing);
      }
      await fleet.everyEdge();
      expect(fleet.failures).toEqual([]);
      expect(rig.context.ca.ring(ring).active.ski).toBe(oldKey);
      expect(fleet.peers.map(({ leaf }) => leaf.ski)).toEqual(fleet.peers.map(() => oldKey));
    },
  );

  it('loses those alone, in an emergency, whom the machine has named before', async () => {
    const deadline = Date.now() + 60_000;
    const { id } = await start({ kind: 'emergency', options: { deadline, preference: 'availability-first' } });
    const straggler = fleet.peers[3];
    if (straggler === undefined) throw new Error('the fleet is too small');
    straggler.asleep = true;
    const named = async (): Promise<string[]> => {
      const { ways } = await rig.context.rotations.explain(id);
      return ways.flatMap(({ gate }) => gate.blockers.map(({ subject }) => subject));
    };
    await go(id, 'spreading');
    for (let round = 0; round < 6; round += 1) await fleet.tend();
    expect(await named()).toEqual([`etcd-member/${cluster}/${straggler.name}`]);
    // Nothing is issued anew before half of the time is over, or everybody is there.
    await go(id, 'reissuing');
    const early = fleet.failures.filter((failure) => !failure.state.includes('reissuing'));
    expect(early).toEqual([]);
    for (let round = 0; round < 3; round += 1) await fleet.tend();
    await rig.step();
    expect(await named()).toContain(straggler.leaf.serial);
    await go(id, 'cut');
    for (let round = 0; round < 3; round += 1) await fleet.tend();
    const before = fleet.failures.length;
    await fleet.everyEdge();
    const lost = fleet.failures.slice(before);
    expect(lost.length).toBeGreaterThan(0);
    const strange = fleet.failures.filter(({ from, to }) => from !== straggler.name && to !== straggler.name);
    expect(strange).toEqual([]);
  });
});
