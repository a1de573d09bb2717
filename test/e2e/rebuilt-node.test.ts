import { X509Certificate } from 'node:crypto';

import { afterEach, expect, test } from 'vitest';

import { type KubeletOptions, type Obtained, requestClientCertificate } from '../support/kubelet.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../support/service.js';
import { describeEachDatabase } from '../support/stores.js';

type NodeView = { state: string; joinedAt?: string; certificate?: { serial: string } };
type RequestView = { name: string; state: string; holdReason?: string; message?: string };

describeEachDatabase('a machine rebuilt under its old name', (newDatabase) => {
  let service: TestService;
  let admin: TestClient;

  afterEach(async () => service.stop());

  async function start(): Promise<void> {
    service = await startTestService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
  }

  async function post<T>(path: string, body: unknown = {}): Promise<T> {
    const answer = await admin.send('POST', path, { body });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.json<T>();
  }

  const token = async (draft: unknown): Promise<string> =>
    (await post<{ token: string }>('/pki/v1/tokens', draft)).token;
  const ask = (extra: Partial<KubeletOptions>): Promise<Obtained> =>
    requestClientCertificate({ url: service.url, ca: service.ca, nodeName: 'worker-1', ...extra });
  /** Who the service takes this certificate for: 200, or 401. */
  const use = (machine: Obtained): Promise<TestAnswer> => service.client(machine).send('GET', '/pki/v1/whoami');
  const node = async (): Promise<NodeView> => (await admin.send('GET', '/pki/v1/nodes/worker-1')).json<NodeView>();
  const replace = (): Promise<NodeView> => post<NodeView>('/pki/v1/nodes/worker-1/replace');

  /** Joined with the token, and seen with its certificate. */
  async function join(credential: string): Promise<Obtained> {
    const machine = await ask({ token: credential });
    expect((await use(machine)).status).toBe(200);
    expect((await node()).state).toBe('joined');
    return machine;
  }

  async function heldRequest(): Promise<RequestView> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { items } = (await admin.send('GET', '/pki/v1/requests?state=held')).json<{ items: RequestView[] }>();
      const [held] = items;
      if (held !== undefined) return held;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('nothing is held');
  }

  test('waits until somebody says so, and then ends what the old one has', async () => {
    await start();
    await post('/pki/v1/nodes', { name: 'worker-1' });
    const unbound = await token({});
    const old = await join(unbound);

    const asking = ask({ token: unbound, waitMs: 20_000 });
    const held = await heldRequest();
    const csr = await admin.send('GET', `/apis/certificates.k8s.io/v1/certificatesigningrequests/${held.name}`);
    expect(csr.text).toContain('`rotunda node replace worker-1`');

    // The request that waits is the one that is approved by it.
    expect(await replace()).toMatchObject({ state: 'expected' });
    const rebuilt = await asking;
    expect(rebuilt.name).toBe(held.name);
    const refused = await use(old);
    expect(refused.status, refused.text).toBe(401);
    expect((await use(rebuilt)).status).toBe(200);
    expect(await node()).toMatchObject({
      state: 'joined',
      certificate: { serial: new X509Certificate(rebuilt.cert).serialNumber.toLowerCase() },
    });
    await expect(ask({ credential: old })).rejects.toThrow('401');
    expect((await ask({ credential: rebuilt })).cert).toContain('BEGIN CERTIFICATE');
  }, 60_000);

  test('goes on as before until the new machine has its certificate, however often it is said', async () => {
    await start();
    await post('/pki/v1/nodes', { name: 'worker-1' });
    const unbound = await token({});
    const old = await join(unbound);
    await replace();
    await replace();
    expect((await use(old)).status).toBe(200);
    const renewed = await ask({ credential: old });
    expect((await use(renewed)).status).toBe(200);
    expect((await node()).state).toBe('expected');

    const rebuilt = await ask({ token: unbound });
    for (const gone of [old, renewed]) expect((await use(gone)).status).toBe(401);
    // It died before it wrote its certificate, and asks again.
    const again = await ask({ token: unbound });
    expect((await use(rebuilt)).status).toBe(401);
    expect((await use(again)).status).toBe(200);
    expect((await node()).state).toBe('joined');

    await replace();
    const third = await join(unbound);
    expect((await use(again)).status).toBe(401);
    expect((await use(third)).status).toBe(200);
  }, 60_000);

  test('takes a token that names it as the decision, from the first use of what it was given', async () => {
    await start();
    const old = await join(await token({ node: { name: 'worker-1' } }));
    const rebuilt = await ask({ token: await token({ node: { name: 'worker-1' } }) });
    expect((await use(old)).status).toBe(200);
    expect((await use(rebuilt)).status).toBe(200);
    const refused = await use(old);
    expect(refused.status, refused.text).toBe(401);
    await expect(ask({ credential: old })).rejects.toThrow('401');
    expect((await node()).state).toBe('joined');
  }, 60_000);

  test('leaves other certificates alone when a reusable token gives one more', async () => {
    await start();
    const reusable = await token({ node: { name: 'worker-1' }, reusable: true });
    const first = await join(reusable);
    const second = await ask({ token: reusable });
    expect((await use(second)).status).toBe(200);
    expect((await use(first)).status).toBe(200);
  }, 60_000);

  test('is not expected while it is disabled', async () => {
    await start();
    const old = await join(await token({ node: { name: 'worker-1' } }));
    await post('/pki/v1/nodes/worker-1/disable', { reason: 'stolen' });
    const answer = await admin.send('POST', '/pki/v1/nodes/worker-1/replace', { body: {} });
    expect([answer.status, answer.json()]).toMatchObject([
      409,
      { hint: expect.stringContaining('node enable') as string },
    ]);
    const bound = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: 'worker-1' } } });
    expect(bound.status).toBe(409);
    await post('/pki/v1/nodes/worker-1/enable');
    await replace();
    const rebuilt = await ask({ token: await token({}) });
    expect((await use(rebuilt)).status).toBe(200);
    expect((await use(old)).status).toBe(401);
  }, 60_000);
});
