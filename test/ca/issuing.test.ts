import { X509Certificate } from 'node:crypto';

import { expect, it } from 'vitest';

import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import type { AuthorityKey, KeyStore } from '../../src/ca/keys/types.js';
import { abandonAfterMs } from '../../src/ca/ledger.js';
import type { PreparedCertificate } from '../../src/ca/types.js';
import type { Store } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';
import { newLeafKey } from './leaf-keys.js';
import { dayMs, intend, issue, kek, leafOrder, ringConfig, startCa, testClock } from './support.js';

async function stateOf(store: Store, serial: string): Promise<string | undefined> {
  const row = await store.db.selectFrom('ledger').select('state').where('serial', '=', serial).executeTakeFirst();
  return row?.state;
}

/** The database's keys, with something else in the place of each signature. */
function keysThat(change: (signature: Buffer, data: Buffer, key: AuthorityKey) => Buffer | Promise<Buffer>): KeyStore {
  const real = createDatabaseKeyStore(kek);
  const changed = (key: AuthorityKey): AuthorityKey => ({
    ...key,
    sign: async (data) => change(await key.sign(data), data, key),
  });
  return {
    generate: (keyType) => real.generate(keyType),
    load: async (reference) => changed(await real.load(reference)),
  };
}

describeEachStore('issuing', (open) => {
  it('goes from an order to a certificate in the inventory', async () => {
    const store = await open();
    const clock = testClock();
    const ca = await startCa(store, { clock });
    const order = leafOrder({
      names: [
        { kind: 'dns', value: 'worker-1.example' },
        { kind: 'ip', value: '2001:db8::1' },
        { kind: 'dns', value: 'worker-1.example' },
      ],
      requestName: 'csr-1',
      requestUid: 'uid-1',
      tokenId: 'abcdef',
    });
    const issued = await issue(store, ca, order);
    const { serial } = issued.prepared;
    expect(serial).toMatch(/^[0-7][0-9a-f]{31}$/);
    const certificate = new X509Certificate(issued.pem);
    expect(certificate.serialNumber.toLowerCase().padStart(32, '0')).toBe(serial);
    expect(certificate.verify(new X509Certificate(ca.bundle('kubernetes').pem).publicKey)).toBe(true);
    const ledger = await store.db
      .selectFrom('ledger')
      .selectAll()
      .where('serial', '=', serial)
      .executeTakeFirstOrThrow();
    expect(ledger).toEqual({
      serial,
      ring: 'kubernetes',
      ski: ca.ring('kubernetes').active.ski,
      epoch: 1,
      profile: order.profile,
      subject: 'CN=system:node:worker-1,O=system:nodes',
      names: '["dns:worker-1.example","ip:2001:db8::1","dns:worker-1.example"]',
      key_id: order.keyId,
      not_before: order.notBefore,
      not_after: order.notAfter,
      requester: order.requester,
      request_name: 'csr-1',
      request_uid: 'uid-1',
      state: 'issued',
      created_at: clock.now().getTime(),
    });
    expect(await ca.certificates.get(serial.toUpperCase())).toMatchObject({
      serial,
      pem: issued.pem,
      fingerprint: issued.fingerprint,
      authority: ca.ring('kubernetes').active.ski,
      commonName: 'system:node:worker-1',
      node: 'worker-1',
      tokenId: 'abcdef',
      names: [
        { kind: 'dns', value: 'worker-1.example' },
        { kind: 'ip', value: '2001:db8::1' },
      ],
    });
  });

  it('gives every certificate a serial of its own', async () => {
    const ca = await startCa(await open());
    const serials = Array.from({ length: 2000 }, () => ca.issuing.prepare(leafOrder()).serial);
    expect(new Set(serials).size).toBe(2000);
    for (const serial of serials) expect(serial).toMatch(/^(0[1-9a-f]|[1-7][0-9a-f])[0-9a-f]{30}$/);
  });

  it('refuses a serial that the ledger has', async () => {
    const store = await open();
    const random = { bytes: (count: number) => Buffer.alloc(count, 0x42) };
    const ca = await startCa(store, {
      rings: [{ name: 'kubernetes', keyType: 'ec-p256', commonName: 'kubernetes', lifetimeMs: 365 * dayMs }],
      random,
    });
    await issue(store, ca, leafOrder());
    const again = ca.issuing.prepare(leafOrder());
    await expect(intend(store, ca, again)).rejects.toThrow();
    await expect(ca.issuing.sign(again)).rejects.toThrow('the ledger does not know the certificate');
  });
});

describeEachStore('nothing unrecorded is signed', (open) => {
  it('not before the intent is durable, and not twice', async () => {
    const store = await open();
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('the ledger does not know the certificate');
    await store.write(async (tx) => {
      await ca.issuing.intend(tx, prepared);
      await expect(ca.issuing.sign(prepared)).rejects.toThrow('the ledger does not know the certificate');
    });
    const both = await Promise.allSettled([ca.issuing.sign(prepared), ca.issuing.sign(prepared)]);
    expect(both.map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('signed before');
    await expect(intend(store, ca, prepared)).rejects.toThrow('intended before');
  });

  it('not when the transaction of the intent was undone', async () => {
    const store = await open();
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    const failing = store.write(async (tx) => {
      await ca.issuing.intend(tx, prepared);
      throw new Error('the caller changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    expect(await stateOf(store, prepared.serial)).toBeUndefined();
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('the ledger does not know the certificate');
    await intend(store, ca, prepared);
    await expect(ca.issuing.sign(prepared)).resolves.toBeDefined();
  });

  it('not what was made up or copied, nor recorded what was not signed', async () => {
    const store = await open();
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    await intend(store, ca, prepared);
    const copy: PreparedCertificate = { ...prepared };
    await expect(ca.issuing.sign(copy)).rejects.toThrow('not prepared here');
    await expect(intend(store, ca, { ...prepared, serial: `11${'0'.repeat(30)}` })).rejects.toThrow(
      'not prepared here',
    );
    const issued = await ca.issuing.sign(prepared);
    await expect(store.write((tx) => ca.issuing.record(tx, { ...issued }))).rejects.toThrow('not signed here');
    expect(Object.isFrozen(prepared) && Object.isFrozen(issued)).toBe(true);
  });

  it('by a signer that the ring no longer has; the next order gets the new one', async () => {
    const store = await open();
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    await store.write(async ({ db }) => {
      await db.updateTable('rings').set({ epoch: 2 }).where('name', '=', 'kubernetes').execute();
    });
    await expect(intend(store, ca, prepared)).rejects.toMatchObject({ code: 'conflict' });
    expect(await stateOf(store, prepared.serial)).toBeUndefined();
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('the ledger does not know the certificate');
    await expect.poll(() => ca.ring('kubernetes').epoch).toBe(2);
    await issue(store, ca, leafOrder());
  });
});

describeEachStore('a crash', (open, newDatabase) => {
  const crashAfter = async (step: 'intend' | 'sign', store: Store): Promise<string> => {
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    await intend(store, ca, prepared);
    if (step === 'sign') await ca.issuing.sign(prepared);
    await store.close();
    return prepared.serial;
  };

  it.each(['intend', 'sign'] as const)('after %s leaves a row that tells, and that stays', async (step) => {
    const url = await newDatabase();
    const store = await open({ url });
    const serial = await crashAfter(step, store);
    const clock = testClock();
    clock.set(clock.now().getTime() + abandonAfterMs + 1);
    const reopened = await open({ url });
    expect(await stateOf(reopened, serial)).toBe('intended');
    const ca = await startCa(reopened, { clock });
    expect(await ca.recover()).toBe(1);
    expect(await stateOf(reopened, serial)).toBe('abandoned');
    expect(await ca.recover()).toBe(0);
    await expect(ca.certificates.get(serial)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('long ago or a moment ago: SQLite has one process, PostgreSQL may have another that is about to sign', async () => {
    const url = await newDatabase();
    const store = await open({ url });
    const serial = await crashAfter('intend', store);
    const clock = testClock();
    // Even a clock that was set back must not keep a dead process's row alive.
    clock.set(clock.now().getTime() - dayMs);
    const reopened = await open({ url });
    const ca = await startCa(reopened, { clock });
    const alone = reopened.engine === 'sqlite';
    expect(await ca.recover()).toBe(alone ? 1 : 0);
    expect(await stateOf(reopened, serial)).toBe(alone ? 'abandoned' : 'intended');
  });

  it('does not take what is in flight here for what a crash left', async () => {
    const store = await open();
    const ca = await startCa(store);
    const prepared = ca.issuing.prepare(leafOrder());
    await intend(store, ca, prepared);
    expect(await ca.recover()).toBe(0);
    const issued = await ca.issuing.sign(prepared);
    await store.write((tx) => ca.issuing.record(tx, issued));
    expect(await stateOf(store, prepared.serial)).toBe('issued');
  });

  it('of patience: what was abandoned is never recorded', async () => {
    const store = await open();
    const clock = testClock();
    const ca = await startCa(store, { clock });
    const prepared = ca.issuing.prepare(leafOrder());
    await intend(store, ca, prepared);
    const issued = await ca.issuing.sign(prepared);
    clock.set(clock.now().getTime() + abandonAfterMs + 1);
    expect(await ca.recover()).toBe(1);
    await expect(store.write((tx) => ca.issuing.record(tx, issued))).rejects.toMatchObject({ code: 'conflict' });
    expect(await stateOf(store, prepared.serial)).toBe('abandoned');
    await expect(ca.certificates.get(prepared.serial)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describeEachStore('rules that nothing overrides', (open) => {
  it('truncate nothing: a leaf that would outlive its issuer is refused with both times', async () => {
    const clock = testClock();
    const now = clock.now().getTime();
    const rings = [
      { name: 'kubernetes', keyType: 'ec-p256', commonName: 'kubernetes', lifetimeMs: 60 * dayMs },
    ] as const;
    const ca = await startCa(await open(), { clock, rings });
    const exact = ca.issuing.prepare(leafOrder({ notAfter: now + 60 * dayMs }));
    expect(exact.spec.notAfter).toBe(now + 60 * dayMs);
    const order = leafOrder({ notAfter: now + 60 * dayMs + 1000 });
    expect(() => ca.issuing.prepare(order)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => ca.issuing.prepare(order)).toThrow(/2027-01-22T12:00:01.000Z.* 2027-01-22T12:00:00.000Z/);
  });

  it('keep the reserved groups to the service’s own ring, however they are spelt', async () => {
    const store = await open();
    const ca = await startCa(store);
    const subject = (group: string) => [
      { oid: '2.5.4.10', value: group },
      { oid: '2.5.4.3', value: 'admin' },
    ];
    for (const group of ['rotunda:admins', 'rotunda:', 'Rotunda:Admins']) {
      const order = leafOrder({ subject: subject(group), commonName: 'admin' });
      expect(() => ca.issuing.prepare(order)).toThrow(expect.objectContaining({ code: 'invalid' }));
      expect(() => ca.issuing.prepare(order)).toThrow('is reserved to the ring rotunda');
    }
    await issue(store, ca, leafOrder({ ring: 'rotunda', subject: subject('rotunda:admins'), commonName: 'admin' }));
    const elsewhere = await startCa(store, { rotundaRing: 'front-proxy' });
    expect(() => elsewhere.issuing.prepare(leafOrder({ ring: 'rotunda', subject: subject('rotunda:admins') }))).toThrow(
      'reserved',
    );
  });

  it('refuse what the lint refuses: CA usages, no extended usage, a reversed validity, an unknown ring', async () => {
    const ca = await startCa(await open());
    const invalid = expect.objectContaining({ code: 'invalid' }) as Error;
    expect(() => ca.issuing.prepare(leafOrder({ keyUsages: ['digitalSignature', 'keyCertSign'] }))).toThrow(invalid);
    expect(() => ca.issuing.prepare(leafOrder({ extendedKeyUsages: [] }))).toThrow(invalid);
    const { notBefore } = leafOrder();
    expect(() => ca.issuing.prepare(leafOrder({ notAfter: notBefore }))).toThrow(invalid);
    expect(() => ca.issuing.prepare(leafOrder({ spki: newLeafKey('ed25519').spki.subarray(1) }))).toThrow(invalid);
    expect(() => ca.issuing.prepare(leafOrder({ ring: 'nothing' }))).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
  });
});

describeEachStore('an issuer that fails', (open) => {
  it('is found out when it signs something else, or nothing that verifies', async () => {
    const store = await open();
    const flipped = await startCa(store, {
      keys: keysThat((signature) => {
        const changed = Buffer.from(signature);
        changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
        return changed;
      }),
    });
    await expect(issue(store, flipped, leafOrder())).rejects.toThrow('a signature that does not verify');
    const other = await startCa(store, {
      keys: keysThat(async (_signature, data, key) => key.sign(Buffer.concat([data, data]))),
    });
    await expect(issue(store, other, leafOrder())).rejects.toThrow('a signature that does not verify');
  });

  it('leaves the intent in the ledger, and the certificate cannot be tried again', async () => {
    const store = await open();
    const ca = await startCa(store, { keys: keysThat(() => Promise.reject(new Error('the token was pulled out'))) });
    const prepared = ca.issuing.prepare(leafOrder());
    await intend(store, ca, prepared);
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('the token was pulled out');
    await expect(ca.issuing.sign(prepared)).rejects.toThrow('signed before');
    expect(await stateOf(store, prepared.serial)).toBe('intended');
  });

  it('is sampled: every 64th signature of an elliptic curve key, each one of an RSA key', async () => {
    const store = await open();
    let spoilt = new Set<number>();
    let count = 0;
    const keys = keysThat((signature) => {
      const changed = Buffer.from(signature);
      if (spoilt.has(count++)) changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      return changed;
    });
    const rings = [ringConfig('kubernetes'), ringConfig('rsa', { keyType: 'rsa-2048' })];
    const ca = await startCa(store, { keys, rings });
    const signNext = async (ring: string) => {
      const prepared = ca.issuing.prepare(leafOrder({ ring }));
      await intend(store, ca, prepared);
      return ca.issuing.sign(prepared).then(
        () => true,
        () => false,
      );
    };
    spoilt = new Set([1, 63, 64]);
    const passed: boolean[] = [];
    for (let at = 0; at < 65; at += 1) passed.push(await signNext('kubernetes'));
    // Between samples a spoilt signature passes here; its client notices.
    expect(passed.map((each, at) => (each ? -1 : at)).filter((at) => at >= 0)).toEqual([64]);
    count = 0;
    expect([await signNext('rsa'), await signNext('rsa'), await signNext('rsa')]).toEqual([true, false, true]);
  });
});
