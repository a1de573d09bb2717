import { afterAll, beforeAll, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { csrFor, nodeToken, problem } from './service.js';

let service: TestService;
let admin: TestClient;

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
});
afterAll(async () => service.stop());

const key = (value: string) => ({ 'idempotency-key': value });

it('gives a repeated call the first answer, and does nothing twice', async () => {
  const body = { signerName: 'kubernetes.io/kube-apiserver-client', request: csrFor('jane') };
  const first = await admin.send('POST', '/pki/v1/requests', { body, headers: key('k1') });
  const again = await admin.send('POST', '/pki/v1/requests', { body, headers: key('k1') });
  expect([again.status, again.text, again.headers['location']]).toEqual([
    first.status,
    first.text,
    first.headers['location'],
  ]);
  expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
  expect((await admin.send('GET', '/pki/v1/requests')).json<{ items: unknown[] }>().items).toHaveLength(1);
});

it('repeats refusals too', async () => {
  const first = await admin.send('POST', '/pki/v1/nodes/nope/disable', { body: {}, headers: key('k2') });
  const again = await admin.send('POST', '/pki/v1/nodes/nope/disable', { body: {}, headers: key('k2') });
  expect([first.status, again.status, again.headers['content-type']]).toEqual([
    404,
    404,
    first.headers['content-type'],
  ]);
});

it('refuses another call under the same key', async () => {
  await admin.send('POST', '/pki/v1/nodes', { body: { name: 'i1' }, headers: key('k3') });
  const other = await admin.send('POST', '/pki/v1/nodes', { body: { name: 'i2' }, headers: key('k3') });
  expect([other.status, problem(other).code]).toEqual([422, 'invalid']);
  expect((await admin.send('GET', '/pki/v1/nodes/i2')).status).toBe(404);
});

it('keeps callers apart', async () => {
  const client = service.client(await nodeToken(admin, 'i3'));
  const body = { signerName: 'kubernetes.io/kube-apiserver-client', request: csrFor('a') };
  const mine = await admin.send('POST', '/pki/v1/requests', { body, headers: key('k4') });
  const theirs = await client.send('POST', '/pki/v1/requests', { body, headers: key('k4') });
  expect(theirs.headers['idempotency-replayed']).toBeUndefined();
  expect(theirs.text).not.toBe(mine.text);
});

it('lets one of many at once run', async () => {
  const send = () => admin.send('POST', '/pki/v1/nodes', { body: { name: 'i5' }, headers: key('k5') });
  const statuses = (await Promise.all(Array.from({ length: 8 }, send))).map(({ status }) => status);
  // The others find it running, or done: nobody is told that the node is there already.
  expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(0);
  expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
  expect((await send()).status).toBe(201);
});

it('refuses keys where the answer is a secret, and keys that are none', async () => {
  const token = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: 'i6' } }, headers: key('k6') });
  expect([token.status, problem(token).code]).toEqual([400, 'bad-request']);
  expect((await admin.send('GET', '/pki/v1/nodes/i6')).status).toBe(404);
  const long = await admin.send('POST', '/pki/v1/nodes', { body: { name: 'i7' }, headers: key('x'.repeat(256)) });
  expect(long.status).toBe(400);
});
