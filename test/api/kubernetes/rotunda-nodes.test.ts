import { afterEach, expect, test } from 'vitest';

import { authorize } from '../../../src/identity/authorize.js';
import { reviewedIdentity } from '../../../src/identity/roles.js';
import { nodeToken, newKey } from '../rest/service.js';
import { makeCsr } from '../../../src/cli/csr.js';
import { startTestService, type TestClient, type TestService, type TlsCredential } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';

const nodes = '/apis/rotunda.dev/v1/nodes';
type NodeObject = {
  metadata: {
    name: string;
    resourceVersion: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: { addresses?: string[]; dnsNames?: string[]; disabled?: boolean };
  status: { state: string };
};
type Event = { type: string; object: NodeObject };

const manifest = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'rotunda.dev/v1',
  kind: 'Node',
  metadata: { name, ...metadata },
  spec,
});

describeEachDatabase('Node objects of rotunda.dev', (newDatabase) => {
  let service: TestService;
  let admin: TestClient;

  afterEach(async () => service.stop());

  async function start(): Promise<void> {
    service = await startTestService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
  }

  async function create(name: string, spec: object = {}, metadata: object = {}): Promise<NodeObject> {
    const answer = await admin.send('POST', nodes, { body: manifest(name, spec, metadata) });
    expect(answer.status, answer.text).toBe(201);
    return answer.json<NodeObject>();
  }

  const patch = (name: string, type: string, body: unknown) =>
    admin.send('PATCH', `${nodes}/${name}`, {
      raw: JSON.stringify(body),
      headers: { 'content-type': `application/${type}` },
    });

  /** The events from a version on, until `count` of them arrived. */
  async function watch(query: string, count: number): Promise<Event[]> {
    const answer = await admin.agent.request({
      origin: service.url,
      path: `${nodes}?watch=true&${query}`,
      method: 'GET',
      signal: AbortSignal.timeout(20_000),
    });
    expect(answer.statusCode).toBe(200);
    let text = '';
    const events = (): Event[] =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Event);
    for await (const chunk of answer.body) {
      text += String(chunk);
      if (events().length >= count) break;
    }
    return events().slice(0, count);
  }

  test('are what /pki/v1 has, by every verb', async () => {
    await start();
    const made = await create(
      'n1',
      { addresses: ['10.0.0.2', '10.0.0.1'], dnsNames: ['N1.example'] },
      { labels: { rack: 'a' }, annotations: { note: 'x' } },
    );
    expect(made).toMatchObject({
      kind: 'Node',
      apiVersion: 'rotunda.dev/v1',
      spec: { addresses: ['10.0.0.1', '10.0.0.2'], dnsNames: ['n1.example'] },
      status: { state: 'expected', createdBy: 'admin' },
    });
    expect((await admin.send('GET', '/pki/v1/nodes/n1')).json()).toMatchObject({
      addresses: ['10.0.0.1', '10.0.0.2'],
      labels: { rack: 'a' },
    });
    await admin.send('POST', '/pki/v1/nodes', { body: { name: 'n2', labels: { rack: 'b' } } });
    const list = (await admin.send('GET', `${nodes}?labelSelector=rack%3Db`)).json<{ items: NodeObject[] }>();
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(['n2']);

    expect(
      (await patch('n1', 'merge-patch+json', { spec: { dnsNames: null }, metadata: { labels: { zone: 'z' } } })).json(),
    ).toMatchObject({
      metadata: { labels: { rack: 'a', zone: 'z' }, annotations: { note: 'x' } },
    });
    expect(
      (await patch('n1', 'json-patch+json', [{ op: 'add', path: '/spec/disabled', value: true }])).json(),
    ).toMatchObject({ status: { state: 'disabled' } });
    expect((await patch('n1', 'strategic-merge-patch+json', { spec: { disabled: false } })).json()).toMatchObject({
      status: { state: 'expected' },
    });
    const applied = await admin.send('PATCH', `${nodes}/n3?fieldManager=test&force=true`, {
      raw: JSON.stringify(manifest('n3', { addresses: ['10.0.0.3'] })),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
    expect([applied.status, applied.json()]).toMatchObject([201, { spec: { addresses: ['10.0.0.3'] } }]);

    const current = (await admin.send('GET', `${nodes}/n1`)).json<NodeObject>();
    const same = await admin.send('PUT', `${nodes}/n1`, { body: current });
    expect(same.json()).toEqual(current);
    const stale = { ...current, metadata: { ...current.metadata, resourceVersion: made.metadata.resourceVersion } };
    expect((await admin.send('PUT', `${nodes}/n1`, { body: stale })).status).toBe(409);
    // Its status is the service's.
    const written = await admin.send('PUT', `${nodes}/n1`, { body: { ...current, status: { state: 'joined' } } });
    expect(written.json()).toMatchObject({ status: { state: 'expected' } });

    const gone = await admin.send('DELETE', `${nodes}/n1`, {
      body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'x' } },
    });
    expect(gone.status).toBe(409);
    expect((await admin.send('DELETE', `${nodes}/n1`)).json()).toMatchObject({
      status: 'Success',
      details: { group: 'rotunda.dev', kind: 'nodes' },
    });
    expect((await admin.send('GET', '/pki/v1/nodes/n1')).status).toBe(404);
    expect((await admin.send('DELETE', `${nodes}?labelSelector=rack`)).json<{ items: unknown[] }>().items).toHaveLength(
      1,
    );
  }, 60_000);

  test('are refused with the paths of the object', async () => {
    await start();
    const bad = await admin.send('POST', nodes, {
      body: manifest('n1', { addresses: ['10.0.0.0/8'], dnsNames: ['*.x'] }),
    });
    expect([bad.status, bad.json()]).toMatchObject([
      422,
      {
        reason: 'Invalid',
        details: {
          group: 'rotunda.dev',
          kind: 'Node',
          causes: [{ field: 'spec.addresses[0]' }, { field: 'spec.dnsNames[0]' }],
        },
      },
    ]);
    expect((await admin.send('POST', nodes, { body: manifest('N1') })).json()).toMatchObject({
      details: { causes: [{ field: 'metadata.name' }] },
    });
    await create('n1');
    expect((await admin.send('POST', nodes, { body: manifest('n1') })).json()).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
    });
    const strict = await admin.send('POST', `${nodes}?fieldValidation=Strict`, { body: manifest('n2', { rack: 'a' }) });
    expect([strict.status, strict.text]).toEqual([
      400,
      expect.stringContaining('unknown field \\"spec.rack\\"') as string,
    ]);
    expect(
      (await admin.send('POST', `${nodes}?dryRun=All`, { body: manifest('n2', { disabled: true }) })).json(),
    ).toMatchObject({ status: { state: 'disabled', createdBy: 'admin' } });
    expect((await admin.send('GET', `${nodes}/n2`)).status).toBe(404);
    expect((await admin.send('GET', `${nodes}?fieldSelector=spec.addresses%3Dx`)).status).toBe(400);
  }, 60_000);

  test('are watched, whoever changes them', async () => {
    await start();
    const { metadata } = await create('n1', {}, { labels: { rack: 'a' } });
    const after = `resourceVersion=${metadata.resourceVersion}&timeoutSeconds=15`;
    await admin.send('POST', '/pki/v1/node-imports', { body: { nodes: [{ name: 'n2', labels: { rack: 'a' } }] } });
    await admin.send('POST', '/pki/v1/nodes/n1/disable', { body: {} });
    await admin.send('PATCH', '/pki/v1/nodes/n1', { body: { labels: { rack: 'b' } } });
    await admin.send('DELETE', '/pki/v1/nodes/n2');
    const events = await watch(after, 4);
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name} ${object.status.state}`)).toEqual([
      'ADDED n2 expected',
      'MODIFIED n1 disabled',
      'MODIFIED n1 disabled',
      'DELETED n2 expected',
    ]);
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    const selected = await watch(`${after}&labelSelector=rack%3Da`, 4);
    expect(selected.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
      'ADDED n2',
      'MODIFIED n1',
      'DELETED n1',
      'DELETED n2',
    ]);
    const disabled = await watch(`${after}&fieldSelector=status.state%3Ddisabled`, 1);
    expect(disabled.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual(['ADDED n1']);

    // A machine joins.
    const token = await nodeToken(admin, 'n3');
    const listed = (await admin.send('GET', nodes)).json<{ metadata: { resourceVersion: string } }>();
    await service.service.context.store.write((tx) => service.service.context.nodes.joined(tx, 'n3', Date.now()));
    expect(await watch(`resourceVersion=${listed.metadata.resourceVersion}&timeoutSeconds=15`, 1)).toMatchObject([
      { type: 'MODIFIED', object: { metadata: { name: 'n3' }, status: { state: 'joined' } } },
    ]);
    expect(token.token).toContain('.');
  }, 60_000);

  async function credential(signerName: string, commonName: string, organization: string): Promise<TlsCredential> {
    const key = newKey();
    const request = makeCsr(key, { commonName, organizations: [organization], names: [] });
    const made = await admin.send('POST', '/pki/v1/requests', { body: { signerName, request } });
    const { name } = made.json<{ name: string }>();
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { certificate } = (await admin.send('GET', `/pki/v1/requests/${name}`)).json<{ certificate?: string }>();
      if (certificate !== undefined)
        return { cert: certificate, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${signerName} gave nothing`);
  }

  test('are for those who manage nodes, and for no one of the cluster', async () => {
    await start();
    await create('n1');
    const statuses = async (client: TestClient): Promise<number[]> => [
      (await client.send('GET', `${nodes}/n1`)).status,
      (await client.send('GET', nodes)).status,
      (await client.send('POST', nodes, { body: manifest('n9') })).status,
      (await client.send('DELETE', `${nodes}/n1?dryRun=All`)).status,
    ];
    const forbidden = [403, 403, 403, 403];
    const masters = reviewedIdentity({ username: 'root', groups: ['system:masters', 'system:authenticated'] });
    for (const verb of ['get', 'list', 'watch', 'create', 'update', 'delete'])
      expect(authorize(masters, { verb, group: 'rotunda.dev', resource: 'nodes', name: 'n1' }).allowed).toBe(false);
    expect(await statuses(service.client())).toEqual(forbidden);
    expect(await statuses(service.client(await nodeToken(admin, 'n1')))).toEqual(forbidden);
    const viewer = service.client(await credential('rotunda.dev/client', 'vera', 'rotunda:viewers'));
    expect(await statuses(viewer)).toEqual([200, 200, 403, 403]);
    const operator = service.client(await credential('rotunda.dev/client', 'olga', 'rotunda:operators'));
    expect(await statuses(operator)).toEqual([200, 200, 201, 200]);
  }, 60_000);

  test('are not the Nodes of the API server', async () => {
    await start();
    await create('n1');
    const change = { raw: '{"spec":{}}', headers: { 'content-type': 'application/merge-patch+json' } };
    expect((await admin.send('PATCH', '/api/v1/nodes/n1', change)).status).toBe(405);
    expect((await admin.send('GET', '/api/v1/nodes/n2')).status).toBe(404);
    const groups = (await admin.send('GET', '/apis')).json<{ groups: { name: string }[] }>();
    expect(groups.groups.map(({ name }) => name)).toContain('rotunda.dev');
    expect((await admin.send('GET', '/apis/rotunda.dev/v1')).json()).toMatchObject({
      resources: [{ name: 'nodes', singularName: 'node', namespaced: false, kind: 'Node' }],
    });
  }, 60_000);
});
