import { X509Certificate } from 'node:crypto';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { certificateOf, startTestService, type TestClient, type TestService } from '../../support/service.js';
import { csrFor, newKey, nodeCsr, nodeToken, problem } from './service.js';

let service: TestService;
let admin: TestClient;
let node: TestClient;
let operator: TestClient;
let viewer: TestClient;

beforeAll(async () => {
  const listed = { class: 'backup', name: 'nightly', endpoints: ['10.0.0.5:8443'], rings: ['etcd'] };
  service = await startTestService({ config: { consumers: [listed] } });
  admin = service.client(service.admin);
  node = await nodeClient('w1');
  operator = await rotundaClient('olga', 'rotunda:operators');
  viewer = await rotundaClient('victor', 'rotunda:viewers');
});
afterAll(async () => service.stop());

async function nodeClient(name: string): Promise<TestClient> {
  const key = newKey();
  const asked = await service.client(await nodeToken(admin, name)).send('POST', '/pki/v1/requests', {
    body: { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', request: nodeCsr(name, key) },
  });
  const { certificate } = asked.json<{ certificate: string }>();
  return service.client({ cert: certificate, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() });
}

async function rotundaClient(name: string, group: string): Promise<TestClient> {
  const key = newKey();
  const asked = await admin.send('POST', '/pki/v1/requests', {
    body: { signerName: 'rotunda.dev/client', request: csrFor(name, [group], [], key) },
  });
  const request = asked.json<{ name: string }>().name;
  await admin.send('POST', `/pki/v1/requests/${request}/approve`, { body: {} });
  const cert = await certificateOf(admin, request);
  return service.client({ cert, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() });
}

const pathOf = (name: string, action = ''): string => `/pki/v1/consumers/${encodeURIComponent(name)}${action}`;
const bundle = async (ring: string): Promise<{ generation: number; digest: string }> => {
  const { generation, digest } = (await admin.send('GET', `/pki/v1/rings/${ring}/bundle`)).json<{
    generation: number;
    digest: string;
  }>();
  return { generation, digest };
};
const heartbeat = async (change: object = {}): Promise<object> => ({
  process: { id: 'boot-1', startedAt: new Date(Date.now() - 60_000).toISOString() },
  reportedAt: new Date().toISOString(),
  rings: [
    {
      ...{ ring: 'kubernetes', loaded: await bundle('kubernetes') },
      delivered: { ...(await bundle('kubernetes')), at: new Date(Date.now() - 120_000).toISOString() },
    },
  ],
  ...change,
});

type View = { name: string; state: string; source: string; rings: { ring: string; loaded: number; counts: boolean }[] };

describe('consumers', () => {
  it('that were given certificates are there, and report for themselves', async () => {
    const found = await admin.send('GET', pathOf('kubelet/w1'));
    expect(found.json<View>()).toMatchObject({ name: 'kubelet/w1', source: 'issued', node: 'w1', state: 'live' });
    const reported = await node.send('POST', pathOf('kubelet/w1', '/heartbeat'), { body: await heartbeat() });
    expect([reported.status, reported.json()]).toMatchObject([
      200,
      {
        outcome: 'applied',
        consumer: {
          process: { id: 'boot-1' },
          leaseSeconds: 900,
          rings: [{ ring: 'kubernetes', loaded: 1, current: 1, evidence: 'restart', counts: true, joiner: false }],
        },
      },
    ]);
    const acknowledged = await node.send('POST', pathOf('kubelet/w1', '/acknowledgements'), {
      body: {
        ...{ ring: 'kubernetes', ...(await bundle('kubernetes')) },
        process: { id: 'boot-1', startedAt: new Date(Date.now() - 60_000).toISOString() },
        reportedAt: new Date().toISOString(),
      },
    });
    expect(acknowledged.status).toBe(200);
  });

  it('begin anew where a person lets their machine in again, and not where they renew', async () => {
    const signerName = 'kubernetes.io/kube-apiserver-client-kubelet';
    const kept = async (): Promise<number | undefined> =>
      (await admin.send('GET', pathOf('kubelet/w5'))).json<View>().rings[0]?.loaded;
    const self = await nodeClient('w5');
    await self.send('POST', pathOf('kubelet/w5', '/heartbeat'), { body: await heartbeat() });
    const renewed = await self.send('POST', '/pki/v1/requests', { body: { signerName, request: nodeCsr('w5') } });
    expect([renewed.status, await kept()]).toEqual([201, 1]);
    const asked = await admin.send('POST', '/pki/v1/requests', { body: { signerName, request: nodeCsr('w5') } });
    const request = asked.json<{ name: string }>().name;
    await admin.send('POST', `/pki/v1/requests/${request}/approve`, { body: {} });
    await certificateOf(admin, request);
    expect(await kept()).toBe(0);
  });

  it('are nobody else’s to speak for', async () => {
    await admin.send('POST', '/pki/v1/consumers', { body: { name: 'kube-scheduler/w2' } });
    await admin.send('POST', '/pki/v1/consumers', { body: { name: 'kube-scheduler/w1' } });
    const beat = await heartbeat();
    const acknowledgement = { ring: 'kubernetes', ...(await bundle('kubernetes')) };
    // Named after its machine, but not registered to run there.
    for (const name of ['kube-scheduler/w2', 'kube-scheduler/w1', 'kubelet/w2', 'kubelet/w1x', 'etcd-member/main/w1']) {
      const asked = await node.send('POST', pathOf(name, '/heartbeat'), { body: beat });
      expect([name, asked.status, problem(asked).code]).toEqual([name, 403, 'forbidden']);
    }
    for (const [who, status] of [
      [viewer, 403],
      [service.client(), 401],
      [service.client(await nodeToken(admin, 'w1')), 403],
    ] as const) {
      expect((await who.send('POST', pathOf('kubelet/w1', '/heartbeat'), { body: beat })).status).toBe(status);
      const said = await who.send('POST', pathOf('kubelet/w1', '/acknowledgements'), { body: acknowledgement });
      expect(said.status).toBe(status);
    }
    await admin.send('POST', '/pki/v1/consumers', { body: { name: 'kube-scheduler/w1', node: 'w1' } });
    expect((await node.send('POST', pathOf('kube-scheduler/w1', '/heartbeat'), { body: beat })).status).toBe(200);
  });

  it('are registered, changed, listed, filtered and deleted', async () => {
    const draft = { class: 'etcd-client', name: 'backup', leaseSeconds: 60, endpoints: ['[::1]:2379'] };
    const made = await operator.send('POST', '/pki/v1/consumers', { body: draft });
    expect([made.status, made.headers['location']]).toEqual([201, '/pki/v1/consumers/etcd-client%2Fbackup']);
    const again = await operator.send('POST', '/pki/v1/consumers', { body: { ...draft, software: 'backup 1' } });
    expect([again.status, again.json()]).toMatchObject([200, { software: 'backup 1', leaseSeconds: 60 }]);
    const names = async (query: string): Promise<string[]> =>
      (await viewer.send('GET', `/pki/v1/consumers?${query}`)).json<{ items: View[] }>().items.map(({ name }) => name);
    expect(await names('ring=etcd&class=etcd-client')).toEqual(['etcd-client/backup']);
    expect(await names('state=gone')).toEqual([]);
    const first = (await viewer.send('GET', '/pki/v1/consumers?limit=1')).json<{ items: View[]; continue: string }>();
    expect(await names(`limit=1&continue=${first.continue}`)).not.toEqual([first.items[0]?.name]);
    expect((await operator.send('DELETE', pathOf('etcd-client/backup'))).status).toBe(204);
    expect((await operator.send('GET', pathOf('etcd-client/backup'))).status).toBe(404);
    const held = await operator.send('DELETE', pathOf('kubelet/w1'));
    expect([held.status, problem(held).hint]).toEqual([409, expect.stringContaining('quarantine') as string]);
  });

  it('acknowledge the bundle that was published and no other', async () => {
    const post = (body: object) => operator.send('POST', pathOf('kube-scheduler/w2', '/acknowledgements'), { body });
    const right = await bundle('kubernetes');
    const wrong = await post({ ring: 'kubernetes', generation: 1, digest: (await bundle('etcd')).digest });
    expect([wrong.status, problem(wrong).code, problem(wrong).detail]).toEqual([
      409,
      'conflict',
      expect.stringContaining(right.digest),
    ]);
    const future = await post({ ring: 'kubernetes', ...right, generation: 9 });
    expect([future.status, problem(future).errors?.[0]?.field]).toEqual([422, 'generation']);
    for (const evidence of ['canary-probe', 'in-process', 'attestation']) {
      const claimed = await post({ ring: 'kubernetes', ...right, evidence });
      expect([evidence, claimed.status, problem(claimed).errors?.[0]?.field]).toEqual([evidence, 422, 'evidence']);
    }
    // A handshake is what the connection shows, and this one shows nothing.
    const claimed = await post({ ring: 'kubernetes', ...right, evidence: 'reverse-handshake' });
    expect([claimed.status, problem(claimed).code]).toEqual([409, 'conflict']);
    expect((await post({ ring: 'kubernetes', ...right })).json()).toMatchObject({ outcome: 'applied' });
    expect((await post({ ring: 'kubernetes', ...right, extra: 1 })).status).toBe(422);
    expect((await post({ ring: 'etcd', ...right })).status).toBe(409);
  });

  it('are quarantined by operators, after a look at what that breaks', async () => {
    const quarantine = (who: TestClient, body: object) =>
      who.send('POST', pathOf('kubelet/w1', '/quarantine'), { body });
    expect((await quarantine(viewer, { reason: 'x' })).status).toBe(403);
    expect((await quarantine(node, { reason: 'x' })).status).toBe(403);
    expect((await quarantine(operator, {})).status).toBe(422);
    const shown = await quarantine(operator, { reason: 'dead', dryRun: true });
    expect(shown.json()).toMatchObject({
      quarantined: false,
      leaves: [{ commonName: 'system:node:w1', ring: 'kubernetes' }],
      breaks: [expect.stringContaining('not renewed'), expect.stringContaining('verifies kubernetes')],
    });
    expect((await quarantine(operator, { reason: 'dead' })).json()).toMatchObject({ quarantined: true });
    expect((await viewer.send('GET', pathOf('kubelet/w1'))).json()).toMatchObject({
      state: 'quarantined',
      quarantine: { by: 'olga', reason: 'dead' },
    });
    const early = await operator.send('POST', pathOf('kubelet/w1', '/unquarantine'));
    expect([early.status, problem(early).code]).toEqual([409, 'conflict']);
    await node.send('POST', pathOf('kubelet/w1', '/heartbeat'), { body: await heartbeat() });
    expect((await operator.send('POST', pathOf('kubelet/w1', '/unquarantine'))).json()).toMatchObject({
      state: 'live',
    });
  });

  it('in quarantine get no renewal', async () => {
    const other = await nodeClient('w3');
    await operator.send('POST', pathOf('kubelet/w3', '/quarantine'), { body: { reason: 'stolen' } });
    const body = { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', request: nodeCsr('w3') };
    const refused = await other.send('POST', '/pki/v1/requests', { body });
    expect([refused.status, problem(refused).detail]).toEqual([403, expect.stringContaining('quarantined')]);
  });

  it('of the configuration are there from the start', async () => {
    expect((await viewer.send('GET', pathOf('backup/nightly'))).json()).toMatchObject({
      source: 'configuration',
      endpoints: ['10.0.0.5:8443'],
      rings: [{ ring: 'etcd', verifies: true, presents: false }],
    });
  });

  it('go with the node or member that is deleted, whose certificates are banned', async () => {
    await nodeClient('w4');
    expect((await viewer.send('GET', pathOf('kubelet/w4'))).status).toBe(200);
    expect((await operator.send('DELETE', '/pki/v1/nodes/w4')).status).toBe(204);
    expect((await viewer.send('GET', pathOf('kubelet/w4'))).status).toBe(404);
    await operator.send('POST', '/pki/v1/etcd-clusters', { body: { name: 'main' } });
    const urls = { peerUrls: ['https://10.1.0.1:2380'], clientUrls: ['https://10.1.0.1:2379'] };
    await operator.send('POST', '/pki/v1/etcd-clusters/main/members', { body: { name: 'm1', ...urls } });
    await operator.send('POST', '/pki/v1/consumers', { body: { name: 'etcd-member/main/m1' } });
    expect((await operator.send('DELETE', '/pki/v1/etcd-clusters/main/members/m1')).status).toBe(204);
    expect((await viewer.send('GET', pathOf('etcd-member/main/m1'))).status).toBe(404);
  });

  it('may be of people, whose certificates name them', async () => {
    const key = newKey();
    const asked = await admin.send('POST', '/pki/v1/requests', {
      body: { signerName: 'kubernetes.io/kube-apiserver-client', request: csrFor('system:sam/ops ☃', [], [], key) },
    });
    const request = asked.json<{ name: string }>().name;
    await admin.send('POST', `/pki/v1/requests/${request}/approve`, { body: {} });
    const cert = new X509Certificate(await certificateOf(admin, request));
    const found = await viewer.send('GET', pathOf('kubeconfig/system:sam/ops ☃'));
    const { expiresAt } = found.json<{ expiresAt: string }>();
    expect([found.status, Date.parse(expiresAt)]).toEqual([200, Date.parse(cert.validTo)]);
    expect((await viewer.send('GET', pathOf('kubeconfig/rotunda:olga'))).status).toBe(200);
  });
});

describe('attestations', () => {
  it('are made and taken back by operators, and read by viewers', async () => {
    const draft = { ring: 'kubernetes', class: 'pod', statement: 'loaded', generation: 1, reason: 'restarted all' };
    expect((await viewer.send('POST', '/pki/v1/attestations', { body: draft })).status).toBe(403);
    expect((await node.send('POST', '/pki/v1/attestations', { body: draft })).status).toBe(403);
    const made = await operator.send('POST', '/pki/v1/attestations', { body: draft });
    const { id, expiresAt } = made.json<{ id: string; expiresAt: string }>();
    expect([made.status, made.headers['location']]).toEqual([201, `/pki/v1/attestations/${id}`]);
    expect(Math.round((Date.parse(expiresAt) - Date.now()) / 86_400_000)).toBe(30);
    expect((await viewer.send('GET', `/pki/v1/attestations/${id}`)).json()).toMatchObject({
      by: 'olga',
      state: 'live',
    });
    const live = await viewer.send('GET', '/pki/v1/attestations?state=live&ring=kubernetes');
    expect(live.json()).toEqual({ items: [made.json()] });
    expect((await operator.send('DELETE', `/pki/v1/attestations/${id}`)).json()).toMatchObject({ state: 'revoked' });
    expect((await viewer.send('GET', '/pki/v1/attestations?state=live')).json()).toEqual({ items: [] });
    expect((await viewer.send('DELETE', `/pki/v1/attestations/${id}`)).status).toBe(403);
  });

  it.each([
    [{ ttlSeconds: 0 }, 'ttlSeconds'],
    [{ ttlSeconds: 40_000_000 }, 'ttlSeconds'],
    [{ class: 'kubelet' }, 'statement'],
    [{ class: 'etcd-member' }, 'class'],
    [{ generation: 7 }, 'generation'],
    [{ reason: undefined }, 'reason'],
  ])('%j is refused', async (change, field) => {
    const draft = { ring: 'kubernetes', class: 'pod', statement: 'loaded', generation: 1, reason: 'x', ...change };
    const answer = await operator.send('POST', '/pki/v1/attestations', { body: draft });
    expect([answer.status, problem(answer).errors?.[0]?.field]).toEqual([422, field]);
  });
});

it('hostile reports are never a defect, and never believed', async () => {
  const before = (await admin.send('GET', pathOf('kube-scheduler/w2'))).json<View>().rings;
  const digest = (await bundle('kubernetes')).digest;
  const strings = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      'kubernetes',
      'etcd',
      digest,
      '9999-12-31T23:59:59Z',
      '0000-01-01T00:00:00Z',
      'self-report',
      'restart',
      '\ud800',
    ),
  );
  const anything = fc.oneof(
    strings,
    fc.integer(),
    fc.double(),
    fc.constantFrom(1, 2 ** 31, -1, null, []),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const fields = (keys: readonly string[]) =>
    fc.dictionary(fc.constantFrom(...keys), anything, { maxKeys: keys.length });
  const ring = fields(['ring', 'delivered', 'loaded', 'clean', 'streamsSince']);
  const body = fc
    .tuple(
      fields([
        'process',
        'reportedAt',
        'rings',
        'ring',
        'generation',
        'evidence',
        'deliveredAt',
        'startedAt',
        'reason',
        'name',
        'class',
        'node',
        'endpoints',
        'software',
        'consumer',
        'statement',
        'ttlSeconds',
      ]),
      fc.option(fc.array(ring, { maxLength: 2 })),
    )
    .map(([some, rings]) => (rings === null ? some : { ...some, rings }));
  const routes = fc.constantFrom('/heartbeat', '/acknowledgements', '/quarantine', '/unquarantine');
  await fc.assert(
    fc.asyncProperty(routes, strings, body, async (route, name, content) => {
      const own = Buffer.from(name, 'utf8').toString('utf8');
      for (const path of [pathOf('kube-scheduler/w2', route), pathOf(`kubelet/${own}`, route)]) {
        if (path.includes('w2') && route === '/quarantine') continue;
        expect((await admin.send('POST', path, { body: content })).status).toBeLessThan(500);
      }
      for (const path of ['/pki/v1/attestations', '/pki/v1/consumers'])
        expect((await admin.send('POST', path, { body: content })).status).toBeLessThan(500);
    }),
    { numRuns: 120 },
  );
  expect((await admin.send('GET', pathOf('kube-scheduler/w2'))).json<View>().rings).toEqual(before);
}, 60_000);
