import { generateKeyPairSync } from 'node:crypto';

import { afterEach, expect, it } from 'vitest';

import type { Rotation, RotationState } from '../../src/rotation/types.js';
import { startByOf } from '../../src/rotation/outlook/start-by.js';
import { intend, leafOrder } from '../ca/support.js';
import { describeEachDatabase } from '../support/stores.js';
import { admin, dayMs, minuteMs, type Rig, startRig } from './support.js';

const ring = 'front-proxy';
const hourMs = 60 * minuteMs;
const order = { actor: 'admin', reason: 'a test' };
const slow = { trustSoak: '1m', canarySoak: '1m', drainSoak: '1m', cooling: '30d', destroyKeys: 'automatic' };

describeEachDatabase('a rotation that changes its course', (newDatabase) => {
  let rig: Rig;
  afterEach(() => rig.close());
  const open = async (rotation: object = {}): Promise<void> => {
    rig = await startRig({
      storeUrl: await newDatabase(),
      config: { rotation: { automatic: false, ...slow, ...rotation } },
    });
    await rig.attestAbsent(ring);
  };
  const get = (id: string): Promise<Rotation> => rig.get(id);
  const ringNow = () => rig.context.ca.ring(ring);
  const published = (): (string | undefined)[] =>
    rig.context.ca.bundle(ring).anchors.map(({ subjectKeyId }) => subjectKeyId);

  async function run(id: string, until?: RotationState, rounds = 30): Promise<RotationState> {
    for (let round = 0; round < rounds; round += 1) {
      const { state, finishedAt } = await get(id);
      if (finishedAt !== undefined || state === until) return state;
      rig.clock.forward(2 * minuteMs);
      await rig.step();
    }
    return (await get(id)).state;
  }

  /** Leads a rotation by hand until it is there. */
  async function lead(id: string, until: RotationState, of: Partial<typeof order> = {}): Promise<void> {
    for (let round = 0; round < 14 && (await get(id)).state !== until; round += 1) {
      await rig.context.rotations.advance(id, { ...order, ...of });
      await run(id, until, 3);
    }
    expect((await get(id)).state).toBe(until);
  }

  async function begin(state: RotationState): Promise<Rotation> {
    const started = await rig.start({ ring, policy: 'manual' });
    await lead(started.id, state);
    return get(started.id);
  }

  const declare = (compromised?: string, hours = 4): Promise<Rotation> =>
    rig.start({
      ...{ ring, kind: 'emergency', compromised, policy: 'manual' },
      options: { deadline: rig.clock.now().getTime() + hours * hourMs, preference: 'availability-first' },
    });

  async function issue(lifeMs: number): Promise<string> {
    const { ca, store, clock } = rig.context;
    const now = clock.now().getTime();
    const names = { profile: 'kubeadm.rotunda.dev/front-proxy-client', node: 'cp-1' } as const;
    const prepared = ca.issuing.prepare(leafOrder({ ring, ...names, notAfter: now + lifeMs }, now));
    await intend(store, ca, prepared);
    const issued = await ca.issuing.sign(prepared);
    await store.write((tx) => ca.issuing.record(tx, issued));
    return prepared.ski;
  }

  it('asks which key an emergency is about, once both have signed', async () => {
    await open();
    const { oldKey, newKey } = await begin('issuing');
    await expect(declare()).rejects.toMatchObject({ code: 'invalid' });
    await expect(declare('00'.repeat(20))).rejects.toMatchObject({ code: 'invalid' });
    expect(ringNow()).toMatchObject({ frozen: false });
    for (const key of [oldKey, newKey])
      expect(rig.context.ca.authorities(ring).find(({ ski }) => ski === key)?.tainted).toBe(false);
  });

  it('goes back to the old key when the new one, which signs, is the stolen one', async () => {
    await open();
    const { id, oldKey, newKey } = await begin('issuing');
    const turned = await declare(newKey);
    expect(turned).toMatchObject({ id, kind: 'emergency', state: 'declared', oldKey: newKey, newKey: oldKey });
    expect(ringNow()).toMatchObject({ frozen: true });
    expect(await run(id)).toBe('finished');
    expect(ringNow()).toMatchObject({ frozen: false, joinsHeld: false });
    expect([ringNow().active.ski, published()]).toEqual([oldKey, [oldKey]]);
    const stolen = rig.context.ca.authorities(ring).find(({ ski }) => ski === newKey);
    expect(stolen).toMatchObject({ tainted: true, state: 'destroyed' });
  });

  it('cuts the new key off while the old one signs again', async () => {
    await open();
    const { id, oldKey, newKey } = await begin('issuing');
    await issue(dayMs);
    await rig.context.rotations.rollback(id, order);
    const turned = await declare(newKey);
    expect(turned).toMatchObject({ id, state: 'reissuing', oldKey: newKey, newKey: oldKey });
    expect(ringNow()).toMatchObject({ frozen: false });
    expect(await issue(dayMs)).toBe(oldKey);
    // What the stolen one signed is in use until the deadline.
    expect(await run(id, 'cut', 10)).toBe('reissuing');
    rig.clock.forward(4 * hourMs);
    await run(id, 'recovering', 3);
    expect(published()).toEqual([oldKey]);
  });

  it.each(['distrusting', 'cooling'] as const)('makes a third key where the old one is retired (%s)', async (state) => {
    await open();
    const { id, oldKey, newKey } = await begin(state);
    const made = await declare(newKey);
    expect(made.id).not.toBe(id);
    expect(made).toMatchObject({ kind: 'emergency', state: 'declared', oldKey: newKey });
    expect([oldKey, newKey]).not.toContain(made.newKey);
    expect((await get(id)).state).toBe('finished');
    const states = rig.context.ca.authorities(ring).map(({ ski, state: now }) => [ski, now]);
    expect(Object.fromEntries(states)).toMatchObject({ [oldKey]: 'destroyed' });
    expect(await run(made.id)).toBe('finished');
    expect([ringNow().active.ski, published()]).toEqual([made.newKey, [made.newKey]]);
    expect(ringNow().rotating).toBe(false);
  });

  it('does not hinder an emergency while the key gets another certificate', async () => {
    await open();
    const { id, oldKey } = await rig.start({ ring, kind: 'reissue' });
    expect(await run(id, 'trusting')).toBe('trusting');
    const made = await declare();
    expect([(await get(id)).state, made.state, made.oldKey]).toEqual(['aborted', 'declared', oldKey]);
    expect(await run(made.id)).toBe('finished');
    expect(published()).toEqual([made.newKey]);
  });

  it('that runs since long ago waits for trust in an emergency as if it began now', async () => {
    await open();
    const { id } = await rig.start({ ring });
    await run(id, 'trusting');
    await rig.context.rotations.pause(id, order);
    rig.clock.forward(3 * dayMs);
    const rings = [{ ring, verifies: true, presents: false }];
    await rig.context.consumers.register({ name: 'kube-apiserver/cp-1', rings }, admin);
    await declare();
    expect(await run(id, 'reissuing', 10)).toBe('spreading');
    rig.clock.forward(2 * hourMs);
    expect(await run(id, 'cut', 3)).not.toBe('spreading');
  });

  it('waits no longer in an emergency only for who says the name of the ring', async () => {
    await open();
    await issue(30 * dayMs);
    const { id, policy } = await declare();
    expect(policy).toBe('automatic');
    expect(await run(id, 'reissuing')).toBe('reissuing');
    await expect(rig.context.rotations.advance(id, order)).rejects.toMatchObject({ code: 'invalid' });
    await expect(rig.context.rotations.advance(id, { ...order, confirm: 'etcd' })).rejects.toMatchObject({
      code: 'invalid',
    });
    expect(await run(id, 'cut', 5)).toBe('reissuing');
    await rig.context.rotations.advance(id, { ...order, confirm: ring });
    expect(await run(id, 'recovering', 3)).toBe('recovering');
  });

  it('publishes of an authority what is published, not what it has outlived', async () => {
    await open();
    rig.clock.forward(9.5 * 365 * dayMs);
    await rig.attestAbsent(ring);
    const [before] = rig.context.ca.bundle(ring).anchors;
    const { id } = await rig.start({ ring, kind: 'reissue' });
    expect(await run(id)).toBe('finished');
    const [later] = rig.context.ca.bundle(ring).anchors;
    rig.clock.forward(365 * dayMs);
    await rig.attestAbsent(ring);
    const next = await rig.start({ ring });
    expect(await run(next.id, 'trusting')).toBe('trusting');
    const fingerprints = rig.context.ca.bundle(ring).anchors.map(({ fingerprint }) => fingerprint);
    expect(fingerprints).toContain(later?.fingerprint);
    expect(fingerprints).not.toContain(before?.fingerprint);
    expect(fingerprints).toHaveLength(2);
    expect(await issue(dayMs)).toBe(before?.subjectKeyId);
  });

  it.each(['staged', 'trusting'] as const)('forgets a certificate that was given up from %s', async (state) => {
    await open();
    rig.clock.forward(100 * dayMs);
    await rig.attestAbsent(ring);
    const before = [published(), await startByOf(rig.context, ring)];
    const { id } = await rig.start({ ring, kind: 'reissue', policy: 'manual' });
    if (state === 'trusting') await lead(id, 'trusting');
    await rig.context.rotations.rollback(id, order);
    for (let round = 0; round < 5 && (await get(id)).finishedAt === undefined; round += 1) {
      await rig.context.rotations.advance(id, order);
      await run(id, undefined, 2);
    }
    expect(['aborted', 'rolled-back']).toContain((await get(id)).state);
    const by = await startByOf(rig.context, ring);
    expect([published(), by.startBy]).toEqual([before[0], (before[1] as typeof by).startBy]);
    const next = await rig.start({ ring });
    await run(next.id, 'trusting');
    expect(rig.context.ca.bundle(ring).anchors).toHaveLength(2);
  });

  it.each(['issuing', 'distrusting'] as const)('of signing keys comes back from %s', async (state) => {
    await open({ longestToken: '1h' });
    const set = 'service-account';
    const pem = (): string =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
    await rig.context.keySets.create(set, pem(), 'admin');
    await rig.attestAbsent(set);
    const { id, oldKey } = await rig.start({
      ring: set,
      kind: 'keys',
      options: { publicKey: pem() },
      policy: 'manual',
    });
    for (let round = 0; round < 20 && (await get(id)).state !== state; round += 1) {
      await rig.context.rotations.advance(id, order);
      rig.clock.forward(hourMs);
      await run(id, state, 2);
    }
    await rig.context.rotations.rollback(id, order);
    for (let round = 0; round < 20 && (await get(id)).finishedAt === undefined; round += 1) {
      await rig.context.rotations.advance(id, order);
      rig.clock.forward(hourMs);
      await run(id, undefined, 2);
    }
    expect((await get(id)).state).toBe('rolled-back');
    const { keys, active } = await rig.context.keySets.get(set);
    expect([active, keys.map(({ kid }) => kid)]).toEqual([oldKey, [oldKey]]);
  });

  it('of signing keys takes no key that another ring has', async () => {
    await open();
    const pem = (): string =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const first = pem();
    const { keySets } = rig.context;
    await keySets.create('tokens-a', first, 'admin');
    await expect(keySets.create('tokens-b', first, 'admin')).rejects.toMatchObject({ code: 'invalid' });
    await keySets.create('tokens-b', pem(), 'admin');
    const start = rig.start({ ring: 'tokens-b', kind: 'keys', options: { publicKey: first } });
    await expect(start).rejects.toMatchObject({ code: 'invalid' });
  });
});
