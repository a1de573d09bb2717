import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createKeyEncryptionKey } from '../../src/ca/keys/key-encryption-key.js';
import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import { openKeyEncryptionKey } from '../../src/ca/keys/salt.js';
import type { KeyStore } from '../../src/ca/keys/types.js';
import { formatDistinguishedName } from '../../src/ca/x509/name.js';
import { openStore } from '../../src/store/index.js';
import { describeEachStore } from '../support/stores.js';
import { dayMs, defaultRings, kek, logger, random, ringConfig, startCa, testClock } from './support.js';

const ringNames = ['etcd', 'front-proxy', 'kubernetes', 'rotunda'];

describeEachStore('first start', (open) => {
  it('creates every ring with one authority that signs, and bundle 1', async () => {
    const clock = testClock();
    const ca = await startCa(await open(), { clock });
    const now = clock.now().getTime();
    expect(ca.rings().map((ring) => ring.name)).toEqual(ringNames);
    for (const ring of ca.rings()) {
      const { active } = ring;
      const [certificate] = active.certificates;
      expect(ring).toMatchObject({ epoch: 1, generation: 1 });
      expect(active).toMatchObject({ state: 'active', tainted: false, keyType: 'ec-p256', createdAt: now });
      expect(active.certificates).toHaveLength(1);
      expect(certificate?.kind).toBe('self-signed');
      const facts = certificate?.facts;
      expect(facts?.subjectKeyId).toBe(active.ski);
      expect(facts?.authorityKeyId).toBe(active.ski);
      expect(facts?.notBefore).toBe(now - 60 * 60 * 1000);
      expect(facts?.notAfter).toBe(now + 3650 * dayMs);
      expect(formatDistinguishedName(facts?.subject ?? [])).toBe(active.subject);
      const bundle = ca.bundle(ring.name);
      expect(bundle).toMatchObject({ ring: ring.name, generation: 1, createdAt: now });
      expect(bundle.anchors.map((anchor) => anchor.fingerprint)).toEqual([facts?.fingerprint]);
      expect(new X509Certificate(bundle.pem).ca).toBe(true);
      expect(await ca.bundleAt(ring.name, 1)).toBe(bundle);
    }
    expect(ca.ring('etcd').active.subject).toMatch(/^CN=etcd-ca-1-[0-9a-f]{8}$/);
    expect(ca.authorities()).toHaveLength(4);
    expect(ca.authorities('etcd')).toEqual([ca.ring('etcd').active]);
  });

  it('tells what is not there', async () => {
    const ca = await startCa(await open());
    expect(() => ca.ring('nothing')).toThrow('there is no ring "nothing"');
    expect(() => ca.bundle('nothing')).toThrow(expect.objectContaining({ code: 'not-found' }));
    await expect(ca.bundleAt('etcd', 2)).rejects.toMatchObject({ code: 'not-found' });
    await expect(ca.bundleAt('nothing', 1)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('records each authority in the audit trail', async () => {
    const store = await open();
    const ca = await startCa(store);
    const events = await store.db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'authority.created')
      .execute();
    expect(events.map((event) => event.name).sort()).toEqual(
      ca
        .authorities()
        .map((authority) => authority.ski)
        .sort(),
    );
  });

  it('writes all rings or none', async () => {
    const store = await open();
    const real = createDatabaseKeyStore(kek);
    let made = 0;
    const failing: KeyStore = {
      ...real,
      generate: (keyType) => (++made === 3 ? Promise.reject(new Error('no entropy today')) : real.generate(keyType)),
    };
    await expect(startCa(store, { keys: failing })).rejects.toThrow('no entropy today');
    expect(await store.db.selectFrom('rings').selectAll().execute()).toEqual([]);
    expect(await store.db.selectFrom('authorities').selectAll().execute()).toEqual([]);
    expect((await startCa(store)).rings()).toHaveLength(4);
  });
});

describeEachStore('later starts', (open, newDatabase) => {
  it('find the same state', async () => {
    const url = await newDatabase();
    const first = await open({ url });
    const before = await startCa(first);
    const seen = before
      .rings()
      .map((ring) => [ring.active.ski, before.bundle(ring.name).digest, before.bundle(ring.name).pem]);
    await first.close();
    const second = await open({ url });
    const after = await startCa(second);
    expect(
      after.rings().map((ring) => [ring.active.ski, after.bundle(ring.name).digest, after.bundle(ring.name).pem]),
    ).toEqual(seen);
    expect(await second.db.selectFrom('authorities').selectAll().execute()).toHaveLength(4);
  });

  it('at the same time agree on one set of rings', async () => {
    const url = await newDatabase();
    const store = await open({ url });
    // A SQLite database has one process; PostgreSQL has replicas, each with its own connections.
    const replica = store.engine === 'postgres' ? await open({ url }) : store;
    const started = await Promise.all([store, replica, store, replica].map((each) => startCa(each)));
    const views = new Set(started.map((ca) => JSON.stringify(ca.rings().map((ring) => ring.active.ski))));
    expect(views.size).toBe(1);
    expect(await store.db.selectFrom('authorities').selectAll().execute()).toHaveLength(4);
    expect(await store.db.selectFrom('bundles').selectAll().execute()).toHaveLength(4);
  });

  it('add a ring that the configuration has gained, and refuse one that it has lost', async () => {
    const store = await open();
    const before = await startCa(store);
    const after = await startCa(store, { rings: [...defaultRings, ringConfig('kubernetes-server')] });
    expect(after.rings().map((ring) => ring.name)).toEqual([
      'etcd',
      'front-proxy',
      'kubernetes',
      'kubernetes-server',
      'rotunda',
    ]);
    expect(after.ring('etcd').active.ski).toBe(before.ring('etcd').active.ski);
    await expect(startCa(store)).rejects.toMatchObject({
      code: 'invalid',
      message: 'rings: the database holds "kubernetes-server", the configuration does not',
    });
  });

  it('keep the key type of a ring that exists, and say so', async () => {
    const store = await open();
    await startCa(store);
    const lines: string[] = [];
    const noting = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const rings = defaultRings.map((ring) => (ring.name === 'etcd' ? { ...ring, keyType: 'ed25519' as const } : ring));
    const ca = await startCa(store, { rings, logger: noting });
    expect(ca.ring('etcd').active.keyType).toBe('ec-p256');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { ring: 'etcd', keyType: 'ec-p256', configured: 'ed25519' },
    ]);
  });

  it('refuse another key-encryption key, naming both', async () => {
    const store = await open();
    await startCa(store);
    const other = createKeyEncryptionKey(randomBytes(32), 'environment', random);
    const refusal = startCa(store, { kek: other });
    await expect(refusal).rejects.toMatchObject({ code: 'unavailable' });
    await expect(refusal).rejects.toThrow(
      `belongs to the key-encryption key ${kek.fingerprint}, not to ${other.fingerprint} (environment)`,
    );
    await expect(startCa(store)).resolves.toBeDefined();
  });

  it('open the database with the same passphrase on every replica', async () => {
    const store = await open();
    const source = { kind: 'passphrase', passphrase: 'correct horse battery staple' } as const;
    const [one, two] = await Promise.all([
      openKeyEncryptionKey(source, { store, random }),
      openKeyEncryptionKey(source, { store, random }),
    ]);
    expect(one.fingerprint).toBe(two.fingerprint);
    await startCa(store, { kek: one });
    await expect(startCa(store, { kek: two })).resolves.toBeDefined();
  });
});

describeEachStore('what the database holds', (open) => {
  it('is refused when a CA key, a certificate or a bundle was altered', async () => {
    const store = await open();
    const ca = await startCa(store);
    const [etcd, rotunda] = [ca.ring('etcd').active, ca.ring('rotunda').active];
    const keyOf = async (ski: string) =>
      (await store.db.selectFrom('authorities').select('wrapped_key').where('ski', '=', ski).executeTakeFirstOrThrow())
        .wrapped_key;
    const [etcdKey, rotundaKey] = [await keyOf(etcd.ski), await keyOf(rotunda.ski)];
    await store.write(async ({ db }) => {
      await db.updateTable('authorities').set({ wrapped_key: rotundaKey }).where('ski', '=', etcd.ski).execute();
    });
    await expect(startCa(store)).rejects.toMatchObject({ code: 'unavailable' });
    await store.write(async ({ db }) => {
      await db.updateTable('authorities').set({ wrapped_key: etcdKey }).where('ski', '=', etcd.ski).execute();
      await db.updateTable('bundles').set({ digest: 'sha256:00' }).where('ring', '=', 'etcd').execute();
    });
    await expect(startCa(store)).rejects.toThrow('bundle 1 of the ring etcd is damaged');
    const foreign = ca.ring('rotunda').active.certificates[0]?.facts.der ?? Buffer.alloc(0);
    await store.write(async ({ db }) => {
      await db.updateTable('authority_certificates').set({ der: foreign }).where('ski', '=', etcd.ski).execute();
    });
    await expect(startCa(store)).rejects.toThrow('was altered');
  });
});

describe('a database file', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rotunda-ca-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('never holds a private key in the clear', async () => {
    const store = await openStore({ url: `sqlite:${join(directory, 'rotunda.db')}`, logger, clock: testClock() });
    const rings = [
      ringConfig('kubernetes'),
      ringConfig('etcd', { keyType: 'ed25519' }),
      ringConfig('rotunda', { keyType: 'rsa-2048' }),
    ];
    await startCa(store, { rings });
    const rows = await store.db
      .selectFrom('authorities')
      .innerJoin('authority_certificates', 'authority_certificates.ski', 'authorities.ski')
      .select(['wrapped_key', 'der'])
      .execute();
    const secrets = rows.flatMap((row) => secretsOf(openWrapped(row.wrapped_key, row.der)));
    const content = () => Buffer.concat(readdirSync(directory).map((file) => readFileSync(join(directory, file))));
    const whileOpen = content();
    await store.close();
    const bytes = Buffer.concat([whileOpen, content()]);
    expect(secrets).toHaveLength(6);
    expect(bytes.includes(rows[0]?.wrapped_key ?? randomBytes(32))).toBe(true);
    for (const secret of secrets) {
      expect(bytes.includes(secret)).toBe(false);
      expect(bytes.includes(secret.toString('base64'))).toBe(false);
      expect(bytes.includes(secret.toString('hex'))).toBe(false);
    }
  });
});

/** A CA key as PKCS#8, opened as the key store does. */
function openWrapped(wrapped: Buffer | null, certificate: Buffer): Buffer {
  const spki = new X509Certificate(certificate).publicKey.export({ format: 'der', type: 'spki' });
  return kek.unwrap(wrapped ?? Buffer.alloc(0), `authority-key/${createHash('sha256').update(spki).digest('hex')}`);
}

/** What must be nowhere: the PKCS#8 text, and the bare secret in it. */
function secretsOf(pkcs8: Buffer): Buffer[] {
  const jwk = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  return [pkcs8, Buffer.from(jwk.d ?? '', 'base64url')];
}
