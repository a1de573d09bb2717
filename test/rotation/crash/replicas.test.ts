import { afterEach, expect, it, vi } from 'vitest';

import type { Fence } from '../../../src/rotation/machine.js';
import { createLease, holds } from '../../../src/store/lease.js';
import type { openStore as OpenStore } from '../../../src/store/index.js';
import type { Store } from '../../../src/store/types.js';
import { issue, leafOrder } from '../../ca/support.js';
import { describeWithPeer } from '../../support/peers.js';
import { describeEachDatabase } from '../../support/stores.js';
import { createPlaces, postgres } from '../schedules/databases.js';
import { dayMs, minuteMs, movedClock, type Rig, startRig } from '../support.js';

/** Stores that are opened while this is set hear of no change that others make, until it is told. */
const late = vi.hoisted(() => ({ isOn: false, waiting: [] as (() => void)[] }));

vi.mock('../../../src/store/index.js', async (original) => {
  const { openStore } = await original<{ openStore: typeof OpenStore }>();
  return {
    openStore: async (options: Parameters<typeof openStore>[0]): Promise<Store> => {
      const store = await openStore(options);
      if (!late.isOn) return store;
      const { subscribe } = store.feed;
      const feed: Store['feed'] = {
        ...store.feed,
        subscribe: (asked, listener) =>
          subscribe(asked, (change) => {
            late.waiting.push(() => {
              listener(change);
            });
          }),
      };
      return Object.assign(store, { feed });
    },
  };
});

const ring = 'front-proxy';
const client = { ring, profile: 'kubeadm.rotunda.dev/front-proxy-client', node: 'cp-1' };
const yes: Fence = () => Promise.resolve(true);
const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
  late.isOn = false;
  late.waiting.length = 0;
});

async function open(storeUrl: string, clock: Rig['clock']): Promise<Rig> {
  const rig = await startRig({ storeUrl, clock });
  rigs.push(rig);
  return rig;
}

/** Steps with one leader until the rotation is there. */
async function stepTo(rig: Rig, id: string, state: string): Promise<void> {
  for (let round = 0; round < 20 && (await rig.get(id)).state !== state; round += 1) {
    rig.clock.forward(2 * minuteMs);
    await rig.step();
  }
  expect((await rig.get(id)).state).toBe(state);
}

/** Everything that a step could have changed. */
async function rowsOf({ context }: Rig, id: string): Promise<unknown> {
  const { db } = context.store;
  return {
    rotation: await db.selectFrom('rotations').selectAll().where('id', '=', id).execute(),
    rings: await db.selectFrom('rings').selectAll().orderBy('name').execute(),
    authorities: await db.selectFrom('authorities').select(['ski', 'state']).orderBy('ski').execute(),
    bundles: (await db.selectFrom('bundles').select('digest').execute()).length,
    events: (await db.selectFrom('rotation_events').select('sequence').execute()).length,
    effects: (await db.selectFrom('effects').select(['id', 'state']).orderBy('id').execute()).length,
  };
}

async function transitionsOf(rig: Rig, id: string): Promise<string[]> {
  const { events } = await rig.context.rotations.explain(id);
  return events.filter(({ kind }) => kind === 'transition').map(({ to }) => to);
}

const whole = ['trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling', 'finished'];

describeEachDatabase('leaders of one rotation', (newDatabase) => {
  it('write nothing once they are deposed, although the step was made ready before', async () => {
    const rig = await open(await newDatabase(), movedClock());
    await rig.attestAbsent(ring);
    const { id } = await rig.start({ ring });
    for (const state of whole) {
      rig.clock.forward(3 * minuteMs);
      await rig.replica.report();
      const before = await rowsOf(rig, id);
      let asked = 0;
      await rig.context.rotations.step(() => {
        asked += 1;
        return Promise.resolve(false);
      });
      expect(asked, state).toBe(1);
      expect(await rowsOf(rig, id), state).toEqual(before);
      // The same step by one who leads.
      for (let round = 0; round < 5 && (await rig.get(id)).state !== state; round += 1) {
        await rig.step();
        if ((await transitionsOf(rig, id)).includes(state)) break;
        rig.clock.forward(minuteMs);
      }
      if ((await rig.get(id)).finishedAt !== undefined) break;
    }
    expect(await transitionsOf(rig, id)).toEqual(whole);
  });

  it('that step at once take each transition once', async () => {
    const rig = await open(await newDatabase(), movedClock());
    await rig.attestAbsent(ring);
    const before = rig.context.ca.ring(ring);
    const { id } = await rig.start({ ring });
    for (let round = 0; round < 20 && (await rig.get(id)).finishedAt === undefined; round += 1) {
      rig.clock.forward(2 * minuteMs);
      await rig.replica.report();
      await Promise.all([1, 2, 3].map(() => rig.context.rotations.step(yes)));
      await rig.replica.report();
    }
    expect(await transitionsOf(rig, id)).toEqual(whole);
    expect(rig.context.ca.ring(ring).generation).toBe(before.generation + 2);
  });
});

describeWithPeer('postgresBin', 'two replicas on one database', () => {
  const places = createPlaces(postgres);

  it('take each transition once although both take themselves for the leader', async () => {
    const { storeUrl } = await places.fresh();
    const clock = movedClock();
    const [a, b] = [await open(storeUrl, clock), await open(storeUrl, clock)];
    await a.attestAbsent(ring);
    const before = a.context.ca.ring(ring);
    const { id } = await a.start({ ring });
    for (let round = 0; round < 30 && (await a.get(id)).finishedAt === undefined; round += 1) {
      clock.forward(2 * minuteMs);
      for (const rig of [a, b]) {
        await rig.context.ca.reload();
        await rig.replica.report();
      }
      await Promise.all([a, b].map((rig) => rig.context.rotations.step(yes)));
    }
    expect(await transitionsOf(a, id)).toEqual(whole);
    await Promise.all([a, b].map((rig) => rig.context.ca.reload()));
    for (const rig of [a, b]) {
      expect(rig.context.ca.ring(ring)).toMatchObject({ generation: before.generation + 2, rotating: false });
      expect(rig.context.ca.ring(ring).active.ski).toBe((await a.get(id)).newKey);
    }
    const bundles = await a.context.store.db
      .selectFrom('bundles')
      .select('generation')
      .where('ring', '=', ring)
      .execute();
    expect(bundles).toHaveLength(before.generation + 2);
  });

  it('sign nothing with an authority that another has replaced, however late they hear of it', async () => {
    const { storeUrl } = await places.fresh();
    const clock = movedClock();
    const leader = await open(storeUrl, clock);
    await leader.attestAbsent(ring);
    const time = clock.now().getTime();
    const order = leafOrder({ ...client, notAfter: time + dayMs }, time);
    // It keeps the rotation from going further than to the switch.
    await issue(leader.context.store, leader.context.ca, order);
    const { id, oldKey, newKey } = await leader.start({ ring });
    await stepTo(leader, id, 'canary');
    late.isOn = true;
    const stale = await open(storeUrl, clock);
    late.isOn = false;
    const { ca, store } = stale.context;
    const early = ca.issuing.prepare(order);
    // It says nothing for so long that the other goes on without it.
    await stepTo(leader, id, 'issuing');
    expect(ca.ring(ring).active.ski).toBe(oldKey);
    const after = ca.issuing.prepare(order);
    for (const known of [early, after]) {
      expect(known.ski).toBe(oldKey);
      await expect(store.write((tx) => ca.issuing.intend(tx, known))).rejects.toMatchObject({ code: 'conflict' });
      await expect(ca.issuing.sign(known)).rejects.toMatchObject({ code: 'internal' });
    }
    const signed = await store.db.selectFrom('ledger').select(['ski', 'profile']).where('ring', '=', ring).execute();
    expect(signed.filter(({ ski }) => ski === oldKey)).toHaveLength(1);
    // Being refused it has looked.
    await vi.waitFor(() => {
      expect(ca.ring(ring).active.ski).toBe(newKey);
    });
    expect(late.waiting.length).toBeGreaterThan(0);
  });

  it.each(['planned', 'reissue'] as const)(
    'lead what was begun elsewhere, without having heard of it (%s)',
    async (kind) => {
      const { storeUrl } = await places.fresh();
      const clock = movedClock();
      const a = await open(storeUrl, clock);
      late.isOn = true;
      const leader = await open(storeUrl, clock);
      late.isOn = false;
      await a.attestAbsent(ring);
      clock.forward(dayMs);
      const before = a.context.ca.bundle(ring).anchors.length;
      const { id } = await a.start({ ring, kind });
      await leader.replica.report();
      expect(await leader.context.rotations.step(yes)).toBe(1);
      expect(await transitionsOf(leader, id)).toEqual(['trusting']);
      await a.context.ca.reload();
      expect(a.context.ca.bundle(ring).anchors).toHaveLength(before + 1);
    },
  );

  it('write nothing as a leader that another has succeeded', async () => {
    const { storeUrl } = await places.fresh();
    const clock = movedClock();
    const [a, b] = [await open(storeUrl, clock), await open(storeUrl, clock)];
    await a.attestAbsent(ring);
    const { id } = await a.start({ ring });
    const lease = { clock, name: 'rotation', ttlMs: 15_000 };
    const [first, second] = [a, b].map(({ context }) => createLease({ ...lease, store: context.store }));
    const held = await first?.take();
    expect(await second?.take()).toBeUndefined();
    clock.forward(16_000);
    const taken = await second?.take();
    expect(taken?.epoch).toBe((held?.epoch ?? 0) + 1);
    const before = await rowsOf(a, id);
    expect(await a.context.rotations.step((tx) => holds(tx, 'rotation', held?.epoch ?? 0))).toBe(0);
    expect(await rowsOf(a, id)).toEqual(before);
    expect(await b.context.rotations.step((tx) => holds(tx, 'rotation', taken?.epoch ?? 0))).toBe(1);
    expect(await transitionsOf(b, id)).toEqual(['trusting']);
  });
});
