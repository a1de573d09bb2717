import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { pino } from 'pino';
import { Agent, request } from 'undici';
import { afterEach, expect, it } from 'vitest';

import { openStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/types.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.js';
import { describeEachDatabase } from '../support/stores.js';

const rounds = Number(process.env['ROTUNDA_CRASH_ROUNDS'] ?? 12);
const workers = 12;

/** Everything that a client was told before the service died. */
type Told = {
  certificates: { serial: string; pem: string }[];
  requests: { name: string; uid: string; revision: number }[];
};

describeEachDatabase('a service killed again and again under load', (newDatabase) => {
  const cleanups: (() => Promise<void> | void)[] = [];

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function configured(): Promise<{ dataDir: string; args: string[]; url: string }> {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-crash-'));
    cleanups.push(() => {
      rmSync(dataDir, { recursive: true, force: true });
    });
    const url = await newDatabase(dataDir);
    const config = path.join(dataDir, 'config.yaml');
    const key = path.join(dataDir, 'shared.key');
    writeFileSync(key, Buffer.alloc(32, 9).toString('base64'), { mode: 0o600 });
    const text = `apiVersion: rotunda.dev/v1alpha1\nstore: { url: ${JSON.stringify(url)} }\nkeyEncryptionKey: { file: ${key} }\nlog: { level: error }\n`;
    writeFileSync(config, text);
    return { dataDir, args: ['--config', config, '--listen', '127.0.0.1:0'], url };
  }

  it(
    'loses nothing that was answered, and signs nothing that the ledger does not know',
    { timeout: 600_000 },
    async () => {
      const { dataDir, args, url } = await configured();
      const told: Told = { certificates: [], requests: [] };
      const first = await startServiceProcess({ dataDir, args });
      const tokens = await reusableTokens(first);
      await first.stop('SIGKILL');
      for (let round = 0; round < rounds; round += 1) {
        const service = await startServiceProcess({ dataDir, args });
        const stopped = load(service, tokens, told);
        await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 700));
        await service.stop('SIGKILL');
        await stopped;
      }
      const last = await startServiceProcess({ dataDir, args });
      await settled(last);
      await checkAnswers(last, told);
      expect(await last.stop()).toBe(0);
      const store = await openStore({ url, logger: pino({ level: 'silent' }), clock: { now: () => new Date() } });
      cleanups.push(() => store.close());
      await checkRecords(store, told);
      expect(told.certificates.length).toBeGreaterThan(rounds * 2);
    },
  );

  /** On PostgreSQL another replica might still be at work on what was left, so that it is taken up only after a while. */
  async function settled(service: ServiceProcess): Promise<void> {
    const admin = new Agent({ connect: { ca: service.ca, cert: service.admin.cert, key: service.admin.key } });
    cleanups.push(() => admin.destroy());
    const deadline = Date.now() + 120_000;
    for (;;) {
      const answer = await request(`${service.url}/pki/v1/requests?state=pending&limit=1`, { dispatcher: admin });
      const { items } = (await answer.body.json()) as { items: unknown[] };
      if (items.length === 0) return;
      if (Date.now() > deadline) throw new Error('requests stay pending');
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  async function checkAnswers(service: ServiceProcess, told: Told): Promise<void> {
    const admin = new Agent({ connect: { ca: service.ca, cert: service.admin.cert, key: service.admin.key } });
    cleanups.push(() => admin.destroy());
    for (const { name, uid } of sample(told.requests, 200)) {
      const answer = await request(`${service.url}/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}`, {
        dispatcher: admin,
      });
      const text = await answer.body.text();
      expect(answer.statusCode, text).toBe(200);
      expect((JSON.parse(text) as { metadata: { uid: string } }).metadata.uid).toBe(uid);
    }
  }
});

async function checkRecords(store: Store, told: Told): Promise<void> {
  const ledger = await store.db
    .selectFrom('ledger')
    .select(['serial', 'state', 'key_id', 'not_after', 'request_uid'])
    .execute();
  const inventory = await store.db
    .selectFrom('certificates')
    .select(['serial', 'der', 'key_id', 'not_after'])
    .execute();
  const inLedger = new Map(ledger.map((row) => [row.serial, row]));
  const inInventory = new Map(inventory.map((row) => [row.serial, row]));
  for (const row of inventory) {
    const entry = inLedger.get(row.serial);
    expect(entry?.state).toBe('issued');
    expect(entry?.key_id).toBe(row.key_id);
    expect(entry?.not_after).toBe(row.not_after);
  }
  for (const row of ledger) expect(row.state === 'issued').toBe(inInventory.has(row.serial));
  for (const { serial, pem } of told.certificates) {
    expect(inInventory.get(serial)?.der.equals(new X509Certificate(pem).raw)).toBe(true);
  }
  const requests = await store.db
    .selectFrom('requests')
    .select(['uid', 'name', 'state', 'serial', 'revision'])
    .execute();
  const byUid = new Map(requests.map((row) => [row.uid, row]));
  for (const { uid } of told.requests) expect(byUid.has(uid)).toBe(true);
  for (const row of requests) {
    expect(row.state, row.name).toBe('issued');
    expect(inInventory.has(row.serial ?? ''), row.name).toBe(true);
  }
  const newest = await store.revision();
  for (const { revision } of told.requests) expect(revision).toBeLessThanOrEqual(newest);
  const revisions = await store.db.selectFrom('changes').select('revision').orderBy('revision').execute();
  expect(new Set(revisions.map((row) => row.revision)).size).toBe(revisions.length);
}

async function reusableTokens(service: ServiceProcess): Promise<string[]> {
  const admin = new Agent({ connect: { ca: service.ca, cert: service.admin.cert, key: service.admin.key } });
  const tokens: string[] = [];
  for (let index = 0; index < workers; index += 1) {
    const answer = await request(`${service.url}/pki/v1/tokens`, {
      method: 'POST',
      dispatcher: admin,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ node: { name: `node-${String(index)}` }, reusable: true }),
    });
    tokens.push(((await answer.body.json()) as { token: string }).token);
  }
  await admin.destroy();
  return tokens;
}

/** Asks without a pause until the service is gone; half over each surface. */
async function load(service: ServiceProcess, tokens: readonly string[], told: Told): Promise<void> {
  await Promise.all(
    tokens.map(async (token, index) => {
      const agent = new Agent({ connect: { ca: service.ca }, connections: 1 });
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      try {
        for (;;) await (index % 2 === 0 ? askRest : askKubernetes)(service.url, agent, headers, index, told);
      } catch (error) {
        if (error instanceof WrongAnswer) throw error;
        // The connection broke: the service was killed, and what was not answered was not promised.
      } finally {
        await agent.destroy();
      }
    }),
  );
}

class WrongAnswer extends Error {}

const signerName = 'kubernetes.io/kube-apiserver-client-kubelet';

function csrFor(index: number): string {
  return csrPem(newEcKey(), {
    subject: [
      ['O', 'system:nodes'],
      ['CN', `system:node:node-${String(index)}`],
    ],
  });
}

async function askRest(
  url: string,
  dispatcher: Agent,
  headers: Record<string, string>,
  index: number,
  told: Told,
): Promise<void> {
  const body = JSON.stringify({ signerName, request: csrFor(index) });
  const answer = await request(`${url}/pki/v1/requests`, { method: 'POST', dispatcher, headers, body });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new WrongAnswer(`${String(answer.statusCode)} ${text}`);
  const { certificate } = JSON.parse(text) as { certificate: string };
  told.certificates.push({ serial: new X509Certificate(certificate).serialNumber.toLowerCase(), pem: certificate });
}

async function askKubernetes(
  url: string,
  dispatcher: Agent,
  headers: Record<string, string>,
  index: number,
  told: Told,
): Promise<void> {
  const body = JSON.stringify({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { generateName: 'csr-' },
    spec: {
      request: Buffer.from(csrFor(index)).toString('base64'),
      signerName,
      usages: ['digital signature', 'client auth'],
    },
  });
  const answer = await request(`${url}/apis/certificates.k8s.io/v1/certificatesigningrequests`, {
    method: 'POST',
    dispatcher,
    headers,
    body,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new WrongAnswer(`${String(answer.statusCode)} ${text}`);
  const { metadata } = JSON.parse(text) as { metadata: { name: string; uid: string; resourceVersion: string } };
  told.requests.push({ name: metadata.name, uid: metadata.uid, revision: Number(metadata.resourceVersion) });
}

function sample<T>(list: readonly T[], count: number): T[] {
  const step = Math.max(1, Math.floor(list.length / count));
  return list.filter((_, index) => index % step === 0);
}
