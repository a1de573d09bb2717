import { afterAll, beforeAll, expect, it } from 'vitest';

import { nodeSubject, requestBytes } from '../../csr/support.js';
import { admin } from '../../identity/rooms.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../../support/service.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const mebibyte = 1024 * 1024;

let service: TestService;
let machine: TestClient;

beforeAll(async () => {
  service = await startTestService();
  const { token, secret } = await service.service.context.tokens.create({}, admin);
  machine = service.client({ token: `${token.id}.${secret}` });
});

afterAll(async () => {
  await service.stop();
});

type Sent = { readonly raw: string; readonly type?: string; readonly query?: string };

function post({ raw, type = 'application/json', query = '' }: Sent): Promise<TestAnswer> {
  return machine.send('POST', `${collection}${query}`, { raw, headers: { 'content-type': type } });
}

function request(change: { metadata?: object; usages?: readonly string[] }): string {
  return JSON.stringify({
    metadata: { name: 'large', ...change.metadata },
    spec: {
      request: requestBytes(nodeSubject('node-a')),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: change.usages ?? ['client auth'],
    },
  });
}

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `!${String(index)}`);
const repeated = (key: string, count: number): string => `{${Array(count).fill(`"${key}":1`).join(',')}}`;
const lines = Array.from({ length: 40_000 }, (_, index) => `k${String(index)}: 1`).join('\n');

/** Each entry of a list may break rules, and each broken rule is told: the answer must not grow a hundredfold. */
it.each<[string, Sent, number]>([
  ['usages', { raw: request({ usages: many(60_000) }) }, 413],
  [
    'labels',
    { raw: request({ metadata: { labels: Object.fromEntries(many(50_000).map((key) => [key, '!'])) } }) },
    413,
  ],
  ['finalizers', { raw: request({ metadata: { finalizers: many(50_000) } }) }, 413],
  ['owners', { raw: request({ metadata: { ownerReferences: many(50_000).map((uid) => ({ uid })) } }) }, 413],
  [
    'fields that come twice under a long path',
    { raw: `{"${'k'.repeat(2000)}":${repeated('a', 20_000)}}`, query: '?fieldValidation=Strict' },
    400,
  ],
  ['YAML', { raw: lines, type: 'application/yaml' }, 413],
])('an excess of %s is refused in a short answer', async (_what, sent, status) => {
  const answer = await post(sent);
  expect(answer.status).toBe(status);
  expect(answer.text.length).toBeLessThan(mebibyte);
});

it.each<[string, string]>([
  ['sound', `{"y":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ['with a fault', `{"y":${'['.repeat(9_990)}!`],
  ['with a field twice', `{"x":1,"x":2,"y":${'['.repeat(9_990)}${']'.repeat(9_990)}}`],
])('deep nesting is the fault of the client: %s', async (_what, raw) => {
  const answer = await post({ raw });
  expect(answer.status).toBe(400);
  expect(answer.text).toContain('exceeded max depth');
});

it('deep nesting in a patch is the fault of the client', async () => {
  const administrator = service.client(service.admin);
  await administrator.send('POST', collection, {
    raw: request({ metadata: { name: 'patched' } }),
    headers: { 'content-type': 'application/json' },
  });
  const raw = `{"metadata":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_001)}`;
  const headers = { 'content-type': 'application/merge-patch+json' };
  const answer = await administrator.send('PATCH', `${collection}/patched`, { raw, headers });
  expect(answer.status).toBe(400);
});

it('a huge certificate is refused before it is looked through', async () => {
  const administrator = service.client(service.admin);
  const certificate = Buffer.from('-----BEGIN A-----\n'.repeat(20_000)).toString('base64');
  const started = performance.now();
  const answer = await administrator.send('PATCH', `${collection}/patched/status`, {
    raw: JSON.stringify({ status: { certificate } }),
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  expect(answer.status).toBe(422);
  expect(performance.now() - started).toBeLessThan(2000);
});
