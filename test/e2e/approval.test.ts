import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterEach, expect, it } from 'vitest';

import type { Clock } from '../../src/clock.js';
import { requestClientCertificate } from '../support/kubelet.js';
import { describeWithPeer, requirePeer, testWithPeer } from '../support/peers.js';
import { csrPem, keyPem, newEcKey } from '../support/pkcs10.js';
import {
  certificateOf,
  startTestService,
  type TestClient,
  type TestService,
  type TlsCredential,
} from '../support/service.js';
import { createDatabase, postgresVariable } from '../support/postgres.js';
import { describeEachDatabase } from '../support/stores.js';

const run = promisify(execFile);
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const signers = {
  client: 'kubernetes.io/kube-apiserver-client-kubelet',
  serving: 'kubernetes.io/kubelet-serving',
} as const;
const usages = { client: ['digital signature', 'client auth'], serving: ['digital signature', 'server auth'] } as const;

type Names = { readonly dns?: readonly string[]; readonly ips?: readonly string[] };

function body(kind: keyof typeof signers, node: string, name: string, names: Names = {}): Record<string, unknown> {
  const subject = [['O', 'system:nodes'] as const, ['CN', `system:node:${node}`] as const];
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: {
      request: Buffer.from(csrPem(newEcKey(), { subject, ...names })).toString('base64'),
      signerName: signers[kind],
      usages: usages[kind],
    },
  };
}

/** A node that has joined: enrolled with these addresses, and its client certificate. */
async function join(service: TestService, node: string, addresses: readonly string[]): Promise<TlsCredential> {
  const admin = service.client(service.admin);
  const made = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: node, addresses } } });
  const { token } = made.json<{ token: string }>();
  return requestClientCertificate({ url: service.url, ca: service.ca, nodeName: node, token });
}

type Seen = {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly status: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly message: string }[];
  };
};

async function read(client: TestClient, name: string): Promise<Seen> {
  return (await client.send('GET', `${collection}/${name}`)).json<Seen>();
}

/** Waits until it is so, at most ten seconds. */
async function until(client: TestClient, name: string, test: (seen: Seen) => boolean): Promise<Seen> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const seen = await read(client, name);
    if (test(seen)) return seen;
    if (performance.now() > deadline) throw new Error(JSON.stringify(seen.metadata.annotations ?? seen.status));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const reasonOf = ({ metadata }: Seen): string => metadata.annotations?.['rotunda.dev/hold-reason'] ?? '';
const isIssued = ({ status }: Seen): boolean => status.certificate !== undefined;

describeEachDatabase('approval', (newDatabase) => {
  const started: TestService[] = [];
  const directories: string[] = [];
  const start = async (options: Parameters<typeof startTestService>[0]): Promise<TestService> => {
    const service = await startTestService(options);
    started.push(service);
    return service;
  };
  afterEach(async () => {
    for (const service of started.splice(0).reverse()) await service.stop();
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });
  const newDirectory = (): string => {
    const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-approval-'));
    directories.push(directory);
    return directory;
  };

  it('refuses a node every name but its own, at both signers, before anything is stored', async () => {
    const service = await start({ storeUrl: await newDatabase() });
    const node = service.client(await join(service, 'n1', ['10.0.0.1']));
    for (const kind of ['client', 'serving'] as const) {
      const answer = await node.send('POST', collection, { body: body(kind, 'n2', `foreign-${kind}`) });
      expect([answer.status, answer.json()]).toEqual([
        403,
        expect.objectContaining({
          reason: 'Forbidden',
          message: `certificatesigningrequests.certificates.k8s.io "foreign-${kind}" is forbidden: can only create a node CSR with CN=system:node:n1`,
        }),
      ]);
      expect((await node.send('GET', `${collection}/foreign-${kind}`)).status).toBe(404);
    }
  });

  it('holds serving requests until their addresses are enrolled, and again when one is taken back', async () => {
    const service = await start({ storeUrl: await newDatabase() });
    const admin = service.client(service.admin);
    const names = { dns: ['n1'], ips: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] };
    const node = service.client(await join(service, 'n1', ['10.0.0.1']));
    const neighbour = service.client(await join(service, 'n2', []));
    await node.send('POST', collection, { body: body('serving', 'n1', 'one', names) });
    await neighbour.send('POST', collection, { body: body('serving', 'n2', 'two', { ips: ['10.0.0.2'] }) });
    expect(reasonOf(await read(admin, 'one'))).toBe(
      'not enrolled for the node "n1": IP 10.0.0.2, IP 10.0.0.3 (rotunda node update n1 --add-address 10.0.0.2 --add-address 10.0.0.3)',
    );
    const enrol = (change: object) => admin.send('PATCH', '/pki/v1/nodes/n1', { body: change });
    await enrol({ addAddresses: ['10.0.0.3'] });
    await until(admin, 'one', (seen) => reasonOf(seen).startsWith('not enrolled for the node "n1": IP 10.0.0.2 ('));
    await enrol({ addresses: ['10.0.0.1'] });
    await until(admin, 'one', (seen) => reasonOf(seen).includes('IP 10.0.0.2, IP 10.0.0.3 ('));
    await enrol({ addAddresses: ['10.0.0.2', '10.0.0.3'] });
    const { metadata, status } = await until(admin, 'one', isIssued);
    expect(status.conditions?.map(({ type }) => type)).toEqual(['Approved']);
    expect(metadata.annotations).toBeUndefined();
    expect(reasonOf(await read(admin, 'two'))).toContain('not enrolled for the node "n2": IP 10.0.0.2');
  });

  it('looks again when its time has come, also after a restart', async () => {
    const dataDir = newDirectory();
    const storeUrl = await newDatabase(dataDir);
    let now = Date.now();
    const clock: Clock = { now: () => new Date(now) };
    const first = await start({ dataDir, storeUrl, overrides: { clock } });
    const node = first.client(await join(first, 'n1', ['10.0.0.1']));
    await node.send('POST', collection, { body: body('serving', 'n1', 'held', { dns: ['n1'], ips: ['10.0.0.9'] }) });
    const before = await read(first.client(first.admin), 'held');
    // Enrolled by somebody who tells nobody.
    await first.service.context.store.write(async ({ db }) => {
      await db.updateTable('nodes').set({ addresses: '["10.0.0.9"]' }).where('name', '=', 'n1').execute();
    });
    await first.service.maintain();
    expect(await read(first.client(first.admin), 'held')).toEqual(before);
    await started.pop()?.stop();
    const second = await start({ dataDir, storeUrl, overrides: { clock } });
    const admin = second.client(second.admin);
    now += 61_000;
    await second.service.maintain();
    await until(admin, 'held', isIssued);
  });

  it('is explained in every state, by REST, and for what was never submitted', async () => {
    const service = await start({ storeUrl: await newDatabase() });
    const admin = service.client(service.admin);
    const node = service.client(await join(service, 'n1', ['10.0.0.1']));
    await node.send('POST', collection, { body: body('client', 'n1', 'issued') });
    await node.send('POST', collection, { body: body('serving', 'n1', 'held', { ips: ['10.0.0.9'] }) });
    const weak = body('client', 'n1', 'denied', { dns: ['n1'] });
    await node.send('POST', collection, { body: weak });
    const foreign = { ...body('client', 'n1', 'foreign') };
    Object.assign(foreign['spec'] as object, { signerName: 'example.com/other' });
    await admin.send('POST', collection, { body: foreign });
    await admin.send('POST', collection, { body: { ...weak, metadata: { name: 'failed' } } });
    await admin.send('POST', '/pki/v1/requests/failed/approve', { body: {} });
    await until(admin, 'failed', ({ status }) => status.conditions?.some(({ type }) => type === 'Failed') === true);
    const explained = async (name: string): Promise<unknown> =>
      (await admin.send('GET', `/pki/v1/requests/${name}/explain`)).json();
    const rule = (name: string, outcome: string): unknown =>
      expect.arrayContaining([expect.objectContaining({ rule: name, outcome })]);
    expect(await explained('issued')).toMatchObject({
      ...{ outcome: 'approve', state: 'issued', facts: 'recorded', rules: rule('may-become-node', 'passed') },
      decided: { condition: 'Approved', reason: 'AutoApproved' },
    });
    expect(await explained('held')).toMatchObject({
      ...{ outcome: 'hold', state: 'pending', facts: 'today', rules: rule('names-enrolled', 'missing') },
    });
    expect(await explained('denied')).toMatchObject({
      ...{ outcome: 'deny', state: 'denied', facts: 'recorded', rules: rule('dns-names', 'failed') },
      decided: { condition: 'Denied', reason: 'ProfileViolation' },
    });
    expect(await explained('failed')).toMatchObject({
      ...{ state: 'failed', rules: rule('dns-names', 'failed') },
      decided: { condition: 'Failed', reason: 'SignerValidationFailure' },
    });
    expect(await explained('foreign')).toMatchObject({ state: 'pending', reason: 'UnknownSigner', rules: [] });
    const revision = await service.service.context.store.revision();
    const draft = (kind: keyof typeof signers, name: string, names: Names, as?: object): object => {
      const { spec } = body(kind, name, 'x', names) as { spec: { request: string } };
      const request = Buffer.from(spec.request, 'base64').toString();
      return { signerName: signers[kind], request, ...(as === undefined ? {} : { as }) };
    };
    const wouldBe = async (given: object, client = admin): Promise<unknown> =>
      (await client.send('POST', '/pki/v1/requests/explain', { body: given })).json();
    const own = { ips: ['10.0.0.1'] };
    expect(await wouldBe(draft('serving', 'n1', own, { node: 'n1' }))).toMatchObject({ outcome: 'approve' });
    expect(await wouldBe(draft('serving', 'n1', own, { node: 'n2' }))).toMatchObject({
      ...{ outcome: 'refuse', reason: 'Forbidden', message: 'can only create a node CSR with CN=system:node:n2' },
    });
    expect(await wouldBe(draft('serving', 'n1', own, { user: 'jane', groups: ['dev'] }))).toMatchObject({
      ...{ outcome: 'refuse', message: 'jane may not create certificatesigningrequests' },
    });
    expect(await wouldBe(draft('client', 'n1', {}))).toMatchObject({ outcome: 'hold', reason: 'NeedsApproval' });
    expect(await wouldBe(draft('client', 'n1', {}, { token: 'zzzzzz' }))).toMatchObject({ code: 'not-found' });
    expect(await wouldBe(draft('serving', 'n1', own, { node: 'n1' }), node)).toMatchObject({ code: 'forbidden' });
    expect(await service.service.context.store.revision()).toBe(revision);
  });

  it("is Kubernetes' own for kubelets where that is configured", async () => {
    const service = await start({
      storeUrl: await newDatabase(),
      config: { nodeApproval: 'upstream-any-node-name' },
    });
    const admin = service.client(service.admin);
    const withToken = async (groups?: readonly string[]): Promise<TestClient> => {
      const made = await admin.send('POST', '/pki/v1/tokens', { body: groups === undefined ? {} : { groups } });
      return service.client(made.json<{ token: string }>());
    };
    const mayAsk = async (client: TestClient): Promise<unknown> => {
      const resourceAttributes = {
        ...{ verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
        subresource: 'nodeclient',
      };
      const review = await client.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes },
        },
      });
      return review.json<{ status: { allowed: boolean } }>().status.allowed;
    };
    const given = await withToken();
    const other = await withToken(['system:bootstrappers:others']);
    const key = newEcKey();
    const master = csrPem(key, {
      subject: [
        ['O', 'system:masters'],
        ['CN', 'kubernetes-super-admin'],
      ],
    });
    const asked = { signerName: 'kubeadm.rotunda.dev/super-admin', request: master, name: 'master' };
    expect((await admin.send('POST', '/pki/v1/requests', { body: asked })).status).toBe(202);
    await admin.send('POST', '/pki/v1/requests/master/approve', { body: {} });
    const clusterAdmin = service.client({ cert: await certificateOf(admin, 'master'), key: keyPem(key) });
    const reasons = async (client: TestClient, name: string): Promise<unknown> => {
      expect((await client.send('POST', collection, { body: body('client', name, name) })).status).toBe(201);
      return (await read(admin, name)).status.conditions?.map(({ type, message }) => `${type}: ${message}`);
    };
    const approved = ['Approved: Auto approving kubelet client certificate after SubjectAccessReview.'];
    expect([await mayAsk(given), await reasons(given, 'any-node')]).toEqual([true, approved]);
    expect([await mayAsk(clusterAdmin), await reasons(clusterAdmin, 'by-master')]).toEqual([true, approved]);
    expect([await mayAsk(other), await reasons(other, 'waits')]).toEqual([false, undefined]);
    expect(reasonOf(await read(admin, 'waits'))).toContain('may not create certificatesigningrequests/nodeclient');
    const strange = body('client', 'strange', 'strange', { dns: ['strange'] });
    expect((await given.send('POST', collection, { body: strange })).status).toBe(201);
    expect((await read(admin, 'strange')).status).toEqual({});
  });

  testWithPeer('kubectl', 'is described by kubectl with what is missing', async () => {
    const service = await start({ storeUrl: await newDatabase() });
    const node = service.client(await join(service, 'n1', ['10.0.0.1']));
    await node.send('POST', collection, { body: body('serving', 'n1', 'held', { ips: ['10.0.0.9'] }) });
    const { stdout } = await run(requirePeer('kubectl'), [
      ...['describe', 'csr', 'held', '--kubeconfig', service.kubeconfig, '--request-timeout=15s'],
      `--cache-dir=${newDirectory()}`,
    ]);
    expect(stdout).toMatch(/Events:[^]*Held[^]*IP 10\.0\.0\.9 \(rotunda node update n1 --add-address 10\.0\.0\.9\)/);
  });
});

describeWithPeer('postgresBin', 'approval by another replica', () => {
  it('is at once when the missing address is enrolled there, for every request that waits', async () => {
    const database = await createDatabase(process.env[postgresVariable] ?? '');
    const replicas: TestService[] = [];
    try {
      for (let made = 0; made < 2; made += 1) replicas.push(await startTestService({ storeUrl: database.url }));
      const [here, there] = replicas;
      if (here === undefined || there === undefined) throw new Error('no replicas');
      const other = there.client(there.admin);
      const nodes = ['n1', 'n2', 'n3'];
      for (const name of nodes) {
        const asking = here.client(await join(here, name, []));
        await asking.send('POST', collection, {
          body: body('serving', name, name, { ips: [`10.0.0.${name.slice(1)}`] }),
        });
      }
      expect(reasonOf(await read(other, 'n3'))).toContain('IP 10.0.0.3');
      for (const name of nodes) {
        const enrolled = { addAddresses: [`10.0.0.${name.slice(1)}`] };
        expect((await other.send('PATCH', `/pki/v1/nodes/${name}`, { body: enrolled })).status).toBe(200);
      }
      for (const name of nodes) await until(here.client(here.admin), name, isIssued);
    } finally {
      for (const replica of replicas) await replica.stop();
      await database.drop();
    }
  });
});
