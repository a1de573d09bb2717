import { afterEach, beforeEach, expect, it } from 'vitest';

import { requestClientCertificate } from '../../support/kubelet.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { openWatch } from '../../support/watch.js';

type NodeObject = {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
};

describeEachDatabase('core/v1 Nodes', (newDatabase) => {
  let rotunda: TestService;
  let admin: TestClient;

  beforeEach(async () => {
    rotunda = await startTestService({ storeUrl: await newDatabase() });
    admin = rotunda.client(rotunda.admin);
  });
  afterEach(() => rotunda.stop());

  const joined = async (name: string, addresses: readonly string[]): Promise<TestClient> => {
    const body = { node: { name, addresses, dnsNames: [`${name}.example.org`] } };
    const made = await admin.send('POST', '/pki/v1/tokens', { body });
    const { token } = made.json<{ token: string }>();
    return rotunda.client(await requestClientCertificate({ url: rotunda.url, ca: rotunda.ca, nodeName: name, token }));
  };

  it('show a node what it is enrolled with, and nobody else', async () => {
    const node = await joined('worker-1', ['192.0.2.1']);
    await joined('worker-2', ['192.0.2.2']);
    const own = await node.send('GET', '/api/v1/nodes/worker-1');
    expect(own.status, own.text).toBe(200);
    expect(own.json<NodeObject>().status.addresses).toEqual([
      { type: 'Hostname', address: 'worker-1' },
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'InternalDNS', address: 'worker-1.example.org' },
    ]);
    const list = await node.send('GET', '/api/v1/nodes?fieldSelector=metadata.name%3Dworker-1');
    expect(list.json<{ items: NodeObject[] }>().items.map(({ metadata }) => metadata.name)).toEqual(['worker-1']);
    const refused = [
      '/api/v1/nodes/worker-2',
      '/api/v1/nodes',
      '/api/v1/nodes?watch=true',
      '/api/v1/nodes?fieldSelector=metadata.name%3Dworker-2',
      '/api/v1/nodes?fieldSelector=metadata.name%21%3Dworker-1',
      '/api/v1/nodes?fieldSelector=metadata.name%3Dworker-1%2Cmetadata.name%3Dworker-2',
    ];
    for (const path of refused) expect((await node.send('GET', path)).status, path).toBe(403);
  });

  it('are not written by nodes', async () => {
    const node = await joined('worker-1', ['192.0.2.1']);
    const body = { kind: 'Node', apiVersion: 'v1', metadata: { name: 'worker-1' } };
    expect((await node.send('POST', '/api/v1/nodes', { body })).status).toBe(403);
    const patch = {
      body: { metadata: { labels: { a: 'b' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    };
    expect((await node.send('PATCH', '/api/v1/nodes/worker-1', patch)).status).toBe(403);
    expect((await node.send('PATCH', '/api/v1/nodes/worker-1/status', patch)).status).toBe(403);
    expect((await admin.send('POST', '/api/v1/nodes', { body })).status).toBe(405);
  });

  it('tell the node that watches itself when it is enrolled with something else, and of no other', async () => {
    const node = await joined('worker-1', ['192.0.2.1']);
    const initial = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const url = `${rotunda.url}/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dworker-1&${initial}`;
    const watch = await openWatch(url, { dispatcher: node.agent });
    try {
      await watch.until(2);
      await admin.send('POST', '/pki/v1/nodes', { body: { name: 'worker-2', addresses: ['192.0.2.2'] } });
      await admin.send('PATCH', '/pki/v1/nodes/worker-1', { body: { addAddresses: ['192.0.2.9'] } });
      const events = await watch.until(3);
      expect(events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK', 'MODIFIED']);
      const changed = events[2]?.object as unknown as NodeObject;
      expect(changed.status.addresses.map(({ address }) => address)).toContain('192.0.2.9');
    } finally {
      watch.close();
    }
  });

  it('are listed for administrators page by page', async () => {
    for (const name of ['c', 'a', 'b']) await admin.send('POST', '/pki/v1/nodes', { body: { name } });
    type List = { readonly metadata: { readonly continue?: string }; readonly items: readonly NodeObject[] };
    const first = (await admin.send('GET', '/api/v1/nodes?limit=2')).json<List>();
    const rest = (
      await admin.send('GET', `/api/v1/nodes?limit=2&continue=${first.metadata.continue ?? ''}`)
    ).json<List>();
    expect([...first.items, ...rest.items].map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect((await admin.send('GET', '/api/v1/nodes/none')).status).toBe(404);
  });
});
