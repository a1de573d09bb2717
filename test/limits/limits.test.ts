import { connect, type TLSSocket } from 'node:tls';

import { afterEach, expect, it } from 'vitest';

import type { Clock } from '../../src/clock.js';
import { requestClientCertificate } from '../support/kubelet.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../support/service.js';
import { describeEachDatabase } from '../support/stores.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';

type Status = { reason: string; message: string; code: number; details?: { retryAfterSeconds?: number } };
type Csr = { metadata: { name: string }; status: { conditions?: { type: string }[]; certificate?: string } };

/** As a kubelet does it: a new key and a generated name for every attempt. */
function kubeletBody(node: string, name?: string): unknown {
  const subject = [
    ['O', 'system:nodes'],
    ['CN', `system:node:${node}`],
  ] as const;
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: name === undefined ? { generateName: 'csr-' } : { name },
    spec: {
      request: Buffer.from(csrPem(newEcKey(), { subject })).toString('base64'),
      signerName: kubeletClient,
      usages: ['digital signature', 'client auth'],
    },
  };
}

describeEachDatabase('limits', (newDatabase) => {
  const started: TestService[] = [];
  afterEach(async () => {
    for (const service of started.splice(0)) await service.stop();
  });

  const start = async (
    limits: Record<string, unknown> = {},
    clock?: Clock,
  ): Promise<{ service: TestService; admin: TestClient }> => {
    const service = await startTestService({
      storeUrl: await newDatabase(),
      config: { limits },
      ...(clock === undefined ? {} : { overrides: { clock } }),
    });
    started.push(service);
    return { service, admin: service.client(service.admin) };
  };

  const tokenFor = async (admin: TestClient, draft: unknown): Promise<string> => {
    const answer = await admin.send('POST', '/pki/v1/tokens', { body: draft });
    expect(answer.status).toBe(201);
    return answer.json<{ token: string }>().token;
  };

  const ask = (client: TestClient, node: string, name?: string): Promise<TestAnswer> =>
    client.send('POST', collection, { body: kubeletBody(node, name) });

  const storedNow = async ({ service }: TestService): Promise<number> =>
    (await service.context.store.db.selectFrom('requests').select('name').execute()).length;

  it('stores a denied kubelet that asks for ever a few times, and tells it to wait then', async () => {
    let now = Date.now();
    const { service, admin } = await start({}, { now: () => new Date(now) });
    const token = await tokenFor(admin, { node: { name: 'node-a' } });
    const kubelet = service.client({ token });
    const statuses: number[] = [];
    const waits: number[] = [];
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const answer = await ask(kubelet, 'node-b');
      statuses.push(answer.status);
      if (answer.status === 429) {
        const status = answer.json<Status>();
        expect(status).toMatchObject({ reason: 'TooManyRequests', code: 429 });
        expect(status.message).toContain('bound to the node "node-a"');
        expect(answer.headers['retry-after']).toBe(String(status.details?.retryAfterSeconds));
        waits.push(Number(answer.headers['retry-after']));
      }
      now += 32_000;
    }
    expect(statuses.filter((status) => status === 201)).toHaveLength(5);
    expect(waits.slice(0, 5)).toEqual([8, 16, 32, 60, 60]);
    expect(await storedNow(service)).toBe(5);

    // What would be approved is never told to wait.
    const own = await ask(kubelet, 'node-a');
    expect(own.status).toBe(201);

    // A day of it.
    for (let attempt = 0; attempt < 24 * 6; attempt += 1) {
      now += 600_000;
      await ask(kubelet, 'node-c');
      if (attempt % 6 === 0) await service.service.maintain();
    }
    expect(await storedNow(service)).toBeLessThanOrEqual(12);
    expect(await service.service.context.metrics.render()).toContain('rotunda_limited_total{limit="repeats"}');
  });

  it('approves a held kubelet at once when what was missing is there, and keeps one held request a node', async () => {
    const { service, admin } = await start();
    const token = await tokenFor(admin, {});
    const kubelet = service.client({ token });
    const held: string[] = [];
    let last: TestAnswer | undefined;
    for (let attempt = 0; attempt < 7; attempt += 1) {
      last = await ask(kubelet, 'node-a');
      if (last.status === 201) held.push(last.json<Csr>().metadata.name);
    }
    expect(held).toHaveLength(5);
    expect(last?.status).toBe(429);
    const left = await service.service.context.store.db.selectFrom('requests').select('name').execute();
    expect(left.map(({ name }) => name)).toEqual(held.slice(-1));

    const enrolled = await admin.send('POST', '/pki/v1/nodes', { body: { name: 'node-a' } });
    expect(enrolled.status).toBe(201);
    const answer = await ask(kubelet, 'node-a');
    expect(answer.status).toBe(201);
  });

  it('tells an unchanged name first, as a kubelet with a name of its own expects', async () => {
    const { service, admin } = await start({ repeats: { stored: 1 } });
    const kubelet = service.client({ token: await tokenFor(admin, { node: { name: 'node-a' } }) });
    expect((await ask(kubelet, 'node-b', 'node-csr-x')).status).toBe(201);
    expect((await ask(kubelet, 'node-b', 'node-csr-x')).status).toBe(409);
    expect((await ask(kubelet, 'node-b', 'node-csr-y')).status).toBe(429);
  });

  it('stops a node that asks for certificate after certificate, and no other', async () => {
    const { service, admin } = await start(
      { issued: { perSecond: 1, burst: 3 } },
      {
        now: () => new Date(),
        monotonic: () => 0,
      },
    );
    const joined = async (nodeName: string): Promise<TestClient> => {
      const token = await tokenFor(admin, { node: { name: nodeName } });
      return service.client(await requestClientCertificate({ url: service.url, ca: service.ca, nodeName, token }));
    };
    const first = await joined('node-a');
    const second = await joined('node-b');
    for (let count = 0; count < 3; count += 1) expect((await ask(first, 'node-a')).status).toBe(201);
    const refused = await ask(first, 'node-a');
    expect(refused.status).toBe(429);
    expect(refused.json<Status>().message).toContain('too many certificates for one machine');
    expect((await ask(second, 'node-b')).status).toBe(201);
  });

  it('counts what is large as many', async () => {
    const now = Date.now();
    const limits = { identity: { perSecond: 1, burst: 50 }, undecided: { perSecond: 1, burst: 20 } };
    const { service, admin } = await start(limits, { now: () => new Date(now), monotonic: () => 0 });
    const large = (node: string): Promise<TestAnswer> => {
      const body = kubeletBody(node) as { metadata: Record<string, unknown> };
      body.metadata['annotations'] = { large: 'x'.repeat(100_000) };
      return kubelet.send('POST', collection, { body });
    };
    const kubelet = service.client({ token: await tokenFor(admin, { node: { name: 'node-a' } }) });
    expect((await large('node-b')).status).toBe(201);
    const second = await large('node-c');
    expect(second.status).toBe(429);
    expect(second.json<Status>().message).toContain('too many requests that cannot be approved');
    expect((await ask(kubelet, 'node-c')).status).toBe(201);
    const third = await kubelet.send('POST', collection, { raw: Buffer.alloc(1_000_000) });
    expect(third.status).toBe(429);
    expect(third.json<Status>().message).toContain('too many requests, please try again later');
    expect(await storedNow(service)).toBe(2);
  });

  it('does not let one caller hold any number of long lists', async () => {
    const { service, admin } = await start();
    for (let count = 0; count < 40; count += 1) {
      const body = kubeletBody(`node-${String(count)}`) as { metadata: Record<string, unknown> };
      body.metadata['annotations'] = { large: 'x'.repeat(250_000) };
      expect((await admin.send('POST', collection, { body })).status).toBe(201);
    }
    const token = await tokenFor(admin, { node: { name: 'node-a' } });
    const { hostname, port } = new URL(service.url);
    const sockets: TLSSocket[] = [];
    // Reads the head of the answer and nothing more.
    const begin = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: hostname, port: Number(port), ca: service.ca, servername: 'localhost' });
        sockets.push(socket);
        socket.once('error', reject).once('data', (chunk: Buffer) => {
          socket.pause();
          resolve(chunk.toString('latin1').slice(9, 12));
        });
        socket.write(`GET ${collection} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      });
    try {
      for (let count = 0; count < 8; count += 1) expect(await begin()).toBe('200');
      expect(await begin()).toBe('429');
      expect((await admin.send('GET', collection)).status).toBe(200);
      const one = await service.client({ token }).send('GET', `${collection}?fieldSelector=metadata.name%3Dx`);
      expect(one.status).toBe(200);
      sockets[0]?.destroy();
      await expect.poll(begin, { timeout: 10_000 }).toBe('200');
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('lets a cluster join with one token from one address', async () => {
    const { service, admin } = await start({ identity: { perSecond: 1, burst: 2 }, repeats: { stored: 1 } });
    const token = await tokenFor(admin, {});
    const kubelet = service.client({ token });
    const nodes = Array.from({ length: 40 }, (_, index) => `node-${String(index)}`);
    for (const name of nodes) await admin.send('POST', '/pki/v1/nodes', { body: { name } });
    const answers = await Promise.all(nodes.map((node) => ask(kubelet, node)));
    expect(answers.map(({ status }) => status)).toEqual(nodes.map(() => 201));
    // Nodes that nobody enrolled are different requests, too.
    const strangers = await Promise.all(nodes.map((node) => ask(kubelet, `other-${node}`)));
    expect(strangers.map(({ status }) => status)).toEqual(nodes.map(() => 201));
  });

  it('gives each caller a rate on every surface, administrators none', async () => {
    const { service, admin } = await start({
      identity: { perSecond: 1, burst: 3 },
      anonymous: { perSecond: 1, burst: 3 },
    });
    const noisy = service.client({ token: await tokenFor(admin, { node: { name: 'node-a' } }) });
    const quiet = service.client({ token: await tokenFor(admin, { node: { name: 'node-b' } }) });
    for (let call = 0; call < 3; call += 1) expect((await noisy.send('GET', '/api')).status).toBe(200);
    const status = await noisy.send('GET', '/api');
    expect(status.status).toBe(429);
    expect(status.headers['retry-after']).toBe('1');
    expect(status.json<Status>()).toMatchObject({
      kind: 'Status',
      reason: 'TooManyRequests',
      details: { retryAfterSeconds: 1 },
    });
    const problem = await noisy.send('GET', '/pki/v1/whoami');
    expect(problem.status).toBe(429);
    expect(problem.headers['content-type']).toContain('application/problem+json');
    expect(problem.headers['retry-after']).toBe('1');
    expect((await quiet.send('GET', '/api')).status).toBe(200);
    for (let call = 0; call < 20; call += 1) expect((await admin.send('GET', '/api')).status).toBe(200);

    const anonymous = service.client();
    const wrong = service.client({ token: 'abcdef.0123456789abcdef' });
    expect((await wrong.send('GET', '/api')).status).toBe(401);
    for (let call = 0; call < 4; call += 1) await anonymous.send('GET', '/api');
    expect((await anonymous.send('GET', '/api')).status).toBe(429);
    expect((await wrong.send('GET', '/api')).status).toBe(429);
    for (const path of ['/livez', '/readyz', '/healthz']) expect((await anonymous.send('GET', path)).status).toBe(200);
  });

  it('works on so many requests at once and refuses what finds the queue full', async () => {
    const { service, admin } = await start({ signing: { running: 1, waiting: 2 } });
    const names = Array.from({ length: 12 }, (_, index) => `node-${String(index)}`);
    const clients = await Promise.all(
      names.map(async (name) => service.client({ token: await tokenFor(admin, { node: { name } }) })),
    );
    await Promise.all(clients.map((client) => client.send('GET', '/livez')));
    const answers = await Promise.all(clients.map((client, index) => ask(client, names[index] ?? '')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expect(answer.headers['retry-after']).toBe('1');
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(12 - refused.length);
    const patient = await Promise.all(
      clients.map(async (client, index) => {
        for (;;) {
          const answer = await ask(client, names[index] ?? '');
          if (answer.status !== 429) return answer.status;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }),
    );
    expect(patient).toEqual(names.map(() => 201));
  });
});
