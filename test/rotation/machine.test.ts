import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { afterEach, expect, it } from 'vitest';

import type { LeafOrder } from '../../src/ca/types.js';
import type { Rotation } from '../../src/rotation/types.js';
import { intend, leafOrder } from '../ca/support.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { describeEachDatabase } from '../support/stores.js';
import { admin, dayMs, minuteMs, type Rig, type RigOptions, startRig } from './support.js';

const ring = 'front-proxy';

/** Every state that the rotation has been in, in order, by its history. */
async function path(rig: Rig, id: string): Promise<string[]> {
  const { events } = await rig.context.rotations.explain(id);
  return events.filter(({ kind }) => kind === 'transition').map(({ to }) => to);
}

/** Lets time pass and the machine step until the rotation is over, or it stands in `until`. */
async function run(rig: Rig, id: string, until?: Rotation['state'], most = 30): Promise<Rotation> {
  for (let round = 0; round < most; round += 1) {
    const rotation = await rig.get(id);
    if (rotation.finishedAt !== undefined || rotation.state === until) return rotation;
    rig.clock.forward(2 * minuteMs);
    await rig.step();
  }
  return rig.get(id);
}

/** A leaf of the ring, on the whole way. */
async function issue(rig: Rig, change: Partial<LeafOrder> = {}): Promise<{ serial: string; chain: X509Certificate[] }> {
  const { ca, store, clock } = rig.context;
  const now = clock.now().getTime();
  const names = { profile: 'kubeadm.rotunda.dev/front-proxy-client', node: 'cp-1' } as const;
  const prepared = ca.issuing.prepare(leafOrder({ ring, ...names, notAfter: now + 30 * dayMs, ...change }, now));
  await intend(store, ca, prepared);
  const issued = await ca.issuing.sign(prepared);
  await store.write((tx) => ca.issuing.record(tx, issued));
  const blocks = issued.chainPem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return { serial: prepared.serial, chain: blocks.map((pem) => new X509Certificate(pem)) };
}

const order = { actor: 'admin', reason: 'a test' };

describeEachDatabase('a rotation', (newDatabase) => {
  let rig: Rig | undefined;
  afterEach(async () => {
    await rig?.close();
    rig = undefined;
  });
  const open = async (options: RigOptions = {}): Promise<Rig> => {
    rig = await startRig({ storeUrl: await newDatabase(), ...options });
    return rig;
  };

  it('goes through every state, and its successor signs at the end', async () => {
    const rig = await open();
    const before = rig.context.ca.ring(ring);
    await rig.attestAbsent(ring);
    const { id, newKey } = await rig.start({ ring });
    expect((await run(rig, id)).state).toBe('finished');
    expect(await path(rig, id)).toEqual([
      ...['trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling', 'finished'],
    ]);
    const after = rig.context.ca.ring(ring);
    expect(after.active.ski).toBe(newKey);
    expect(after.generation).toBe(before.generation + 2);
    expect(rig.context.ca.bundle(ring).anchors.map((anchor) => anchor.subjectKeyId)).toEqual([newKey]);
    const authorities = rig.context.ca.authorities(ring);
    expect(authorities.find(({ ski }) => ski === before.active.ski)?.state).toBe('destroyed');
    expect(after).toMatchObject({ frozen: false, joinsHeld: false, rotating: false, crossPem: '' });
  });

  it('does not go on while a class that verifies is not accounted for', async () => {
    const rig = await open();
    const { id } = await rig.start({ ring });
    expect((await run(rig, id)).state).toBe('trusting');
    rig.clock.forward(20 * dayMs);
    const { ways } = await rig.context.rotations.explain(id);
    const gate = ways.find(({ by }) => by === 'machine')?.gate;
    expect(gate?.passes).toBe(false);
    expect(gate?.blockers.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['kube-apiserver', 'extension-apiserver']),
    );
  });

  it('waits for the leaves of the old authority, by the ledger alone', async () => {
    const rig = await open();
    await rig.attestAbsent(ring);
    const old = await issue(rig);
    const { id } = await rig.start({ ring });
    await run(rig, id, 'issuing');
    expect((await run(rig, id, 'drained', 10)).state).toBe('issuing');
    const { ways } = await rig.context.rotations.explain(id);
    expect(ways[0]?.gate.blockers[0]).toMatchObject({ subject: old.serial, kind: 'certificate' });
    rig.clock.forward(31 * dayMs);
    expect((await run(rig, id)).state).toBe('finished');
  });

  it('lets who knows the old authority alone verify the new one, until that is retired', async () => {
    const rig = await open();
    await rig.attestAbsent(ring);
    const [oldAnchor] = rig.context.ca.bundle(ring).anchors;
    // It keeps the rotation where it is for a while.
    await issue(rig, { notAfter: rig.context.clock.now().getTime() + dayMs });
    const { id } = await rig.start({ ring });
    await run(rig, id, 'issuing');
    const { chain } = await issue(rig, { notAfter: rig.context.clock.now().getTime() + dayMs });
    const [leaf, cross] = chain;
    const anchor = new X509Certificate(oldAnchor?.der ?? Buffer.alloc(0));
    expect(chain).toHaveLength(2);
    expect(leaf?.checkIssued(cross as X509Certificate) && leaf.verify((cross as X509Certificate).publicKey)).toBe(true);
    expect(cross?.checkIssued(anchor) && cross.verify(anchor.publicKey)).toBe(true);
    rig.clock.forward(2 * dayMs);
    await run(rig, id, 'finished');
    expect((await issue(rig)).chain).toHaveLength(1);
  });

  it.each([
    ['staged', 'aborted'],
    ['trusting', 'rolled-back'],
    ['canary', 'rolled-back'],
    ['issuing', 'rolled-back'],
    ['distrusting', 'rolled-back'],
    ['cooling', 'rolled-back'],
  ] as const)('comes back from %s to the old authority', async (state, end) => {
    const rig = await open({
      config: {
        rotation: {
          automatic: false,
          trustSoak: '1m',
          canarySoak: '1m',
          drainSoak: '1m',
          cooling: '30d',
          destroyKeys: 'automatic',
        },
      },
    });
    await rig.attestAbsent(ring);
    const before = rig.context.ca.ring(ring).active.ski;
    const leaf = await issue(rig, { notAfter: rig.context.clock.now().getTime() + 5 * minuteMs });
    const { id, newKey } = await rig.start({ ring, policy: 'manual' });
    for (let round = 0; round < 12 && (await rig.get(id)).state !== state; round += 1) {
      await rig.context.rotations.advance(id, order);
      await run(rig, id, state, 3);
    }
    expect((await rig.get(id)).state).toBe(state);
    const generation = rig.context.ca.bundle(ring).generation;
    const back = await rig.context.rotations.rollback(id, order);
    expect(back.back || back.finishedAt !== undefined).toBe(true);
    for (let round = 0; round < 12 && (await rig.get(id)).finishedAt === undefined; round += 1) {
      await rig.context.rotations.advance(id, order);
      await run(rig, id, undefined, 3);
    }
    expect((await rig.get(id)).state).toBe(end);
    const ca = rig.context.ca;
    expect(ca.ring(ring)).toMatchObject({ joinsHeld: false, rotating: false, crossPem: '' });
    expect(ca.ring(ring).active.ski).toBe(before);
    expect(ca.bundle(ring).anchors.map((anchor) => anchor.subjectKeyId)).toEqual([before]);
    expect(ca.bundle(ring).generation).toBeGreaterThanOrEqual(generation);
    expect(ca.authorities(ring).find(({ ski }) => ski === newKey)?.state).toBe('destroyed');
    expect((await issue(rig)).serial).not.toBe(leaf.serial);
  });

  it("cuts off a key that is somebody else's too, and never signs with it again", async () => {
    const rig = await open();
    await rig.attestAbsent(ring);
    const before = rig.context.ca.ring(ring).active.ski;
    await issue(rig);
    const deadline = rig.context.clock.now().getTime() + 2 * 3_600_000;
    const { id, newKey } = await rig.start({
      ring,
      kind: 'emergency',
      options: { deadline, preference: 'availability-first' },
    });
    await expect(issue(rig)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await run(rig, id, 'reissuing')).state).toBe('reissuing');
    const again = await issue(rig);
    expect(again.chain).toHaveLength(1);
    await expect(rig.context.rotations.rollback(id, order)).rejects.toMatchObject({ code: 'conflict' });
    expect((await run(rig, id, 'cut', 20)).state).toBe('reissuing');
    rig.clock.forward(2 * 3_600_000);
    await rig.step();
    const { ca } = rig.context;
    expect(ca.bundle(ring).anchors.map((anchor) => anchor.subjectKeyId)).toEqual([newKey]);
    expect(ca.authorities(ring).find(({ ski }) => ski === before)).toMatchObject({ state: 'destroyed', tainted: true });
    rig.clock.forward(31 * dayMs);
    expect((await run(rig, id)).state).toBe('finished');
    expect(await path(rig, id)).toEqual(['spreading', 'reissuing', 'cut', 'recovering', 'finished']);
  });

  it('gives an authority another certificate without changing its key', async () => {
    const rig = await open();
    await rig.attestAbsent(ring);
    const before = rig.context.ca.bundle(ring).anchors[0];
    rig.clock.forward(100 * dayMs);
    const leaf = await issue(rig);
    const { id } = await rig.start({ ring, kind: 'reissue' });
    expect((await run(rig, id)).state).toBe('finished');
    const [anchor, ...more] = rig.context.ca.bundle(ring).anchors;
    expect(more).toEqual([]);
    expect(anchor?.subjectKeyId).toBe(before?.subjectKeyId);
    expect(anchor?.notAfter).toBeGreaterThan(before?.notAfter ?? Infinity);
    const issuer = new X509Certificate(anchor?.der ?? Buffer.alloc(0));
    expect(leaf.chain[0]?.checkIssued(issuer) && leaf.chain[0].verify(issuer.publicKey)).toBe(true);
  });

  it('migrates to another algorithm, the old one vouching for the new', async () => {
    const rig = await open({
      config: {
        rings: [{ name: ring, keyType: 'rsa-2048' }],
        rotation: {
          automatic: false,
          trustSoak: '1m',
          canarySoak: '1m',
          drainSoak: '1m',
          cooling: '1m',
          destroyKeys: 'automatic',
        },
      },
    });
    await rig.attestAbsent(ring);
    await issue(rig, { notAfter: rig.context.clock.now().getTime() + dayMs });
    const { id } = await rig.start({ ring, options: { keyType: 'ec-p384' } });
    await run(rig, id, 'issuing');
    const { chain } = await issue(rig, { notAfter: rig.context.clock.now().getTime() + dayMs });
    expect(chain.map(({ publicKey }) => publicKey.asymmetricKeyType)).toEqual(['ec', 'ec']);
    rig.clock.forward(2 * dayMs);
    await run(rig, id);
    expect(rig.context.ca.ring(ring).active.keyType).toBe('ec-p384');
  });

  it('stops where the ring is not as the rotation left it, and the service goes on', async () => {
    const rig = await open();
    await rig.attestAbsent(ring);
    const { id } = await rig.start({ ring });
    await run(rig, id, 'trusting');
    await rig.context.store.write(async ({ db }) => {
      await db.updateTable('rings').set({ epoch: 99 }).where('name', '=', ring).execute();
    });
    await rig.context.ca.reload();
    expect((await run(rig, id, 'canary', 5)).state).toBe('trusting');
    const stopped = await rig.context.rotations.explain(id);
    expect(stopped.standstill).toMatch(/epoch 99/);
    await expect(rig.context.rotations.resume(id, order)).rejects.toMatchObject({ code: 'conflict' });
    expect((await issue(rig)).chain).toHaveLength(1);
  });

  it('rotates a ring of signing keys: published before use, retired after the last token', async () => {
    const rig = await open();
    const pem = (): string =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const [first, second] = [pem(), pem()];
    await rig.context.keySets.create('service-account', first, 'admin');
    const draft = { ring: 'service-account', statement: 'absent', ttlMs: 300 * dayMs, reason: 'a test' } as const;
    for (const found of (await rig.context.consumers.verifiers('service-account')).classes)
      await rig.context.consumers.attest({ ...draft, class: found.class }, admin);
    const { id, oldKey, newKey } = await rig.start({
      ring: 'service-account',
      kind: 'keys',
      options: { publicKey: second },
    });
    await run(rig, id, 'issuing', 10);
    expect((await rig.get(id)).state).toBe('trusting');
    const kids = async (): Promise<string[]> =>
      (await rig.context.keySets.get('service-account')).keys.map(({ kid }) => kid);
    expect(await kids()).toEqual([oldKey, newKey]);
    await rig.context.rotations.advance(id, order);
    expect((await run(rig, id, 'issuing', 10)).state).toBe('issuing');
    expect((await run(rig, id, 'drained', 10)).state).toBe('issuing');
    rig.clock.forward(366 * dayMs);
    for (const found of (await rig.context.consumers.verifiers('service-account')).classes)
      await rig.context.consumers.attest({ ...draft, class: found.class }, admin);
    expect((await run(rig, id)).state).toBe('finished');
    expect(await kids()).toEqual([newKey]);
  });
});

describeWithPeer('openssl', 'the manifest of a bundle', () => {
  it('is signed by the authority that consumers know from before, so that openssl verifies it', async () => {
    const rig = await startRig();
    try {
      await rig.attestAbsent(ring);
      const [before] = rig.context.ca.bundle(ring).anchors;
      const { id } = await rig.start({ ring });
      await run(rig, id, 'trusting');
      const { manifest } = rig.context.ca.bundle(ring);
      const { text, signature, signedBy } = manifest ?? { text: '', signature: '', signedBy: '' };
      expect(signedBy).toBe(before?.subjectKeyId);
      const directory = rig.context.config.dataDir;
      writeFileSync(`${directory}/manifest.json`, text);
      writeFileSync(`${directory}/manifest.sig`, Buffer.from(signature, 'base64'));
      const key = new X509Certificate(before?.der ?? Buffer.alloc(0)).publicKey.export({ format: 'pem', type: 'spki' });
      writeFileSync(`${directory}/anchor.pub`, key);
      const args = ['dgst', '-sha256', '-verify', 'anchor.pub', '-signature', 'manifest.sig', 'manifest.json'];
      expect(execFileSync(requirePeer('openssl'), args, { cwd: directory, encoding: 'utf8' })).toContain('Verified OK');
    } finally {
      await rig.close();
    }
  });
});
