import { X509Certificate } from 'node:crypto';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { publishing } from '../../support/publishing.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { nodeCsr, nodeToken, problem, type ProblemBody } from './service.js';

type Stale = ProblemBody & {
  readonly bundle?: {
    readonly ring: string;
    readonly generation: number;
    readonly digest: string;
    readonly anchors: readonly unknown[];
  };
};

const signerName = 'kubernetes.io/kube-apiserver-client-kubelet';
const ring = 'kubernetes';

describeEachDatabase('a ring with a join floor', (newDatabase) => {
  let service: TestService;
  let admin: TestClient;
  let publish: ReturnType<typeof publishing>;
  beforeEach(async () => {
    service = await startTestService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
    publish = publishing(service.service.context);
  });
  afterEach(() => service.stop());

  let nodes = 0;
  const join = async (statement: object, client?: TestClient): Promise<TestAnswer> => {
    const node = `n${String((nodes += 1))}`;
    const by = client ?? service.client(await nodeToken(admin, node));
    return by.send('POST', '/pki/v1/requests', { body: { signerName, request: nodeCsr(node), ...statement } });
  };
  const refused = (answer: TestAnswer): Stale => {
    expect([answer.status, problem(answer).code]).toEqual([409, 'stale-bundle']);
    return answer.json<Stale>();
  };

  it('asks for nothing while its floor is 0', async () => {
    for (const statement of [{}, { bundleGeneration: 0 }, { bundleGeneration: 1 }]) {
      expect((await join(statement)).status).toBe(201);
    }
  });

  it('gives nobody a certificate who states none, or less, and everybody who states enough', async () => {
    const { generation } = await publish.addAuthority(ring, { raiseFloor: true });
    const { digest } = service.service.context.ca.bundle(ring);
    for (const statement of [{}, { bundleGeneration: 0 }, { bundleGeneration: generation - 1 }]) {
      const stale = refused(await join(statement));
      expect(stale.bundle).toMatchObject({ ring, generation, digest });
      expect(stale.bundle?.anchors).toHaveLength(2);
      expect(stale.hint).toContain(`bundleGeneration ${String(generation)}`);
    }
    const requests = (await admin.send('GET', '/pki/v1/requests')).json<{ items: unknown[] }>();
    expect(requests.items).toEqual([]);
    const joined = await join({ bundleGeneration: generation, bundleDigest: digest });
    expect(joined.status).toBe(201);
    expect(new X509Certificate(joined.json<{ certificate: string }>().certificate).ca).toBe(false);
  });

  it('goes by its own floor, which only moves with what is published', async () => {
    await publish.addAuthority('etcd', { raiseFloor: true });
    expect((await join({})).status).toBe(201);
    const first = await publish.addAuthority(ring, { raiseFloor: true });
    const second = await publish.change({ ring, anchors: [service.service.context.ca.ring(ring).active.ski] });
    expect(second).toBe(first.generation + 1);
    // Published without a raise: who holds the one before may join.
    expect((await join({ bundleGeneration: first.generation })).status).toBe(201);
  });

  it('refuses the right number over other content, and what was never published', async () => {
    const before = service.service.context.ca.bundle(ring).digest;
    const { generation } = await publish.addAuthority(ring, { raiseFloor: true });
    const other = refused(await join({ bundleGeneration: generation, bundleDigest: before }));
    expect(other.detail).toContain('another one than the caller holds');
    expect(other.bundle?.generation).toBe(generation);
    expect(refused(await join({ bundleGeneration: generation + 1 })).detail).toContain('no bundle 3 yet');
    expect(refused(await join({ bundleGeneration: 2_147_483_647 })).bundle?.generation).toBe(generation);
  });

  it('also compares while there is no floor', async () => {
    const bundleDigest = `sha256:${'0'.repeat(64)}`;
    refused(await join({ bundleGeneration: 1, bundleDigest }));
    expect(
      (await join({ bundleGeneration: 1, bundleDigest: service.service.context.ca.bundle(ring).digest })).status,
    ).toBe(201);
  });

  it('asks whoever renews too', async () => {
    const node = `n${String((nodes += 1))}`;
    const token = service.client(await nodeToken(admin, node));
    const body = { signerName, request: nodeCsr(node) };
    expect((await token.send('POST', '/pki/v1/requests', { body })).status).toBe(201);
    const { generation } = await publish.addAuthority(ring, { raiseFloor: true });
    const renewal = { ...body, request: nodeCsr(node) };
    refused(await token.send('POST', '/pki/v1/requests', { body: renewal }));
    const again = await token.send('POST', '/pki/v1/requests', { body: { ...renewal, bundleGeneration: generation } });
    expect(again.status).toBe(201);
  });

  it('holds a statement in an annotation to the same rule', async () => {
    const { generation } = await publish.addAuthority(ring, { raiseFloor: true });
    const ask = async (stated: string): Promise<TestAnswer> => {
      const node = `n${String((nodes += 1))}`;
      const annotations = { 'rotunda.dev/bundle-generation': stated };
      const body = {
        ...{ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' },
        metadata: { generateName: 'node-', annotations },
        spec: {
          signerName,
          request: Buffer.from(nodeCsr(node)).toString('base64'),
          usages: ['digital signature', 'client auth'],
        },
      };
      const client = service.client(await nodeToken(admin, node));
      return client.send('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', { body });
    };
    for (const stated of ['0', String(generation - 1), '9999999999']) {
      const answer = await ask(stated);
      expect([stated, answer.status, answer.json<{ kind: string }>().kind]).toEqual([stated, 409, 'Status']);
    }
    expect((await ask(String(generation))).status).toBe(201);
  });

  it('keeps what was stated with the request', async () => {
    const { digest } = service.service.context.ca.bundle(ring);
    const { name } = (await join({ bundleGeneration: 1, bundleDigest: digest })).json<{ name: string }>();
    const path = `/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}`;
    const { metadata } = (await admin.send('GET', path)).json<{ metadata: { annotations: Record<string, string> } }>();
    expect(metadata.annotations).toEqual({
      'rotunda.dev/bundle-generation': '1',
      'rotunda.dev/bundle-digest': digest,
    });
  });

  it('lets none through while the floor goes up', async () => {
    const joiners = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const name = `racer-${String(index)}`;
        return { name, client: service.client(await nodeToken(admin, name)) };
      }),
    );
    const { epoch } = service.service.context.ca.ring(ring);
    const answers: TestAnswer[] = [];
    const lane = async (): Promise<void> => {
      for (let joiner = joiners.pop(); joiner !== undefined; joiner = joiners.pop()) {
        const body = { signerName, request: nodeCsr(joiner.name), bundleGeneration: 1 };
        answers.push(await joiner.client.send('POST', '/pki/v1/requests', { body }));
      }
    };
    const lanes = [lane(), lane(), lane(), lane()];
    await expect.poll(() => answers.length, { interval: 1, timeout: 10_000 }).toBeGreaterThan(5);
    await publish.addAuthority(ring, { raiseFloor: true });
    await Promise.all(lanes);
    expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([201, 409]);
    // Who came through did so in the epoch before the floor.
    for (const answer of answers.filter(({ status }) => status === 201)) {
      const { serialNumber } = new X509Certificate(answer.json<{ certificate: string }>().certificate);
      const { db } = service.service.context.store;
      const row = db.selectFrom('ledger').select('epoch').where('serial', '=', serialNumber.toLowerCase());
      expect((await row.executeTakeFirstOrThrow()).epoch).toBe(epoch);
    }
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer);
  });

  it('refuses statements that are none', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const statements: readonly object[] = [
      { bundleGeneration: -1 },
      { bundleGeneration: 1.5 },
      { bundleGeneration: '1' },
      { bundleGeneration: null },
      { bundleGeneration: 2_147_483_648 },
      { bundleGeneration: 1, bundleDigest: 'banana' },
      { bundleGeneration: 1, bundleDigest: digest.toUpperCase() },
      { bundleDigest: digest },
    ];
    for (const statement of statements) {
      const answer = await join(statement);
      expect([statement, answer.status, problem(answer).code]).toEqual([statement, 422, 'invalid']);
    }
  });
});
