import { afterAll, beforeAll, expect, it } from 'vitest';

import { requestClientCertificate, requestServingCertificate } from '../../support/kubelet.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { nodeToken, problem } from './service.js';

let service: TestService;
let admin: TestClient;

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
});
afterAll(async () => service.stop());

const path = '/pki/v1/node-imports';

it('tells what became of each, in order', async () => {
  const nodes = [{ name: 'b', addresses: ['10.0.0.1'] }, { name: 'a' }];
  const told = await admin.send('POST', path, { body: { nodes, dryRun: true } });
  expect([told.status, told.json()]).toEqual([
    200,
    {
      items: [
        { name: 'b', outcome: 'created', state: 'expected', changes: ['addresses'], errors: [] },
        { name: 'a', outcome: 'created', state: 'expected', changes: [], errors: [] },
      ],
    },
  ]);
  expect((await admin.send('GET', '/pki/v1/nodes')).json()).toEqual({ items: [] });
  await admin.send('POST', path, { body: { nodes } });
  const listed = (await admin.send('GET', '/pki/v1/nodes')).json<{ items: { name: string }[] }>();
  expect(listed.items.map(({ name }) => name)).toEqual(['a', 'b']);
});

it('says where something is wrong', async () => {
  const invalid = await admin.send('POST', path, { body: { nodes: [{ name: 'c' }, { name: 'D', addresses: ['x'] }] } });
  expect([invalid.status, problem(invalid).errors?.map(({ field }) => field)]).toEqual([
    422,
    ['nodes[1].name', 'nodes[1].addresses[0]'],
  ]);
  const conflict = await admin.send('POST', path, { body: { nodes: [{ name: 'e', addresses: ['10.0.0.1'] }] } });
  expect([conflict.status, problem(conflict).errors]).toMatchObject([
    409,
    [{ field: 'nodes[0].addresses', rule: 'FieldValueDuplicate' }],
  ]);
  for (const body of [
    {},
    { nodes: [] },
    { nodes: [{ name: 'f', rack: 1 }] },
    { nodes: [{ name: 'f' }], existing: 'x' },
  ])
    expect((await admin.send('POST', path, { body })).status).toBe(422);
  const many = Array.from({ length: 1001 }, (_, i) => ({ name: `m${i}` }));
  expect((await admin.send('POST', path, { body: { nodes: many } })).status).toBe(422);
  const huge = await admin.send('POST', path, {
    raw: ' '.repeat(2_200_000),
    headers: { 'content-type': 'application/json' },
  });
  expect(huge.status).toBe(413);
});

it('takes a thousand, in an answer for each, and the same call again under its key', async () => {
  const nodes = Array.from({ length: 1000 }, (_, i) => ({ name: `m${i}`, addresses: [`10.1.${i >> 8}.${i & 255}`] }));
  const call = { body: { nodes }, headers: { 'idempotency-key': 'import-1' } };
  const first = await admin.send('POST', path, call);
  expect([first.status, first.json<{ items: unknown[] }>().items.length]).toEqual([200, 1000]);
  const again = await admin.send('POST', path, call);
  expect([again.headers['idempotency-replayed'], again.text]).toEqual(['true', first.text]);
  const page = (await admin.send('GET', '/pki/v1/nodes?limit=500')).json<{ items: unknown[]; continue?: string }>();
  expect([page.items.length, page.continue !== undefined]).toEqual([500, true]);
});

it('approves at once what waited for an address', async () => {
  const token = await nodeToken(admin, 'waiting');
  const base = { url: service.url, ca: service.ca, nodeName: 'waiting' };
  const machine = await requestClientCertificate({ ...base, ...token });
  const asking = requestServingCertificate({
    ...base,
    credential: machine,
    dns: ['waiting'],
    ips: ['10.2.0.1'],
    waitMs: 20_000,
  });
  let held = 0;
  for (let attempt = 0; attempt < 100 && held === 0; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    held = (await admin.send('GET', '/pki/v1/requests?state=held')).json<{ items: unknown[] }>().items.length;
  }
  expect(held).toBe(1);
  const nodes = [{ name: 'waiting', addresses: ['10.2.0.1'] }];
  expect((await admin.send('POST', path, { body: { nodes, existing: 'merge' } })).status).toBe(200);
  expect((await asking).cert).toContain('BEGIN CERTIFICATE');
  const shown = (await admin.send('GET', '/pki/v1/nodes/waiting')).json();
  expect(shown).toMatchObject({
    state: 'joined',
    certificate: { serial: expect.stringMatching(/^[0-9a-f]+$/) as string },
  });
});

it('lists by state and labels', async () => {
  await admin.send('POST', path, {
    body: {
      nodes: [
        { name: 'r1', labels: { rack: 'a' } },
        { name: 'r2', labels: { rack: 'b' } },
      ],
    },
  });
  const names = async (query: string): Promise<string[]> =>
    (await admin.send('GET', `/pki/v1/nodes?${query}`))
      .json<{ items: { name: string }[] }>()
      .items.map(({ name }) => name);
  expect(await names('selector=rack%3Da')).toEqual(['r1']);
  expect(await names('selector=rack')).toEqual(['r1', 'r2']);
  expect(await names('state=joined')).toEqual(['waiting']);
  expect((await admin.send('GET', '/pki/v1/nodes?selector=%2C')).status).toBe(422);
  expect((await admin.send('GET', '/pki/v1/nodes?state=gone')).status).toBe(422);
});
