import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestService, type TestClient, type TestService } from '../../support/service.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const runs = 150;
const timeoutMs = 60_000;

let service: TestService;
let client: TestClient;

beforeAll(async () => {
  service = await startTestService();
  client = service.client(service.admin);
});

afterAll(async () => {
  await service.stop();
});

const template = JSON.stringify({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { generateName: 'fuzz-', labels: { a: 'b' }, finalizers: [], ownerReferences: [{ uid: 'u' }] },
  spec: { request: 'aGVsbG8=', signerName: 'example.com/x', usages: ['client auth'], expirationSeconds: 700 },
  status: { conditions: [{ type: 'Approved', status: 'True', lastUpdateTime: '2026-01-01T00:00:00Z' }] },
});
const piece = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    ':',
    'null',
    '-1',
    '1e999',
    '"__proto__":1,',
    '\\u0000',
    '\u0000',
    '\ud800',
  ),
  fc.string({ maxLength: 4 }),
);
const mutatedJson = fc
  .tuple(fc.nat(template.length), fc.nat(8), piece)
  .map(([at, cut, put]) => template.slice(0, at) + put + template.slice(at + cut));

describe('hostile bodies', () => {
  it(
    'in JSON and YAML are answered below 500',
    async () => {
      const type = fc.constantFrom('application/json', 'application/yaml');
      await fc.assert(
        fc.asyncProperty(mutatedJson, type, async (raw, contentType) => {
          const { status } = await client.send('POST', collection, { raw, headers: { 'content-type': contentType } });
          expect(status).toBeLessThan(500);
        }),
        { numRuns: runs },
      );
    },
    timeoutMs,
  );

  it(
    'in protobuf are answered below 500',
    async () => {
      const whole = readFileSync(new URL('../../fixtures/kubelet/kubelet-1.36-client-csr.bin', import.meta.url));
      const mutated = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(mutated, fc.nat(whole.length), async (changes, length) => {
          const raw = Buffer.from(whole);
          for (const [at, byte] of changes) raw[at] = byte;
          const cut = length % 3 === 0 ? raw.subarray(0, length) : raw;
          const { status } = await client.send('POST', collection, {
            raw: cut,
            headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
          });
          expect(status).toBeLessThan(500);
        }),
        { numRuns: runs },
      );
    },
    timeoutMs,
  );

  it(
    'as patches, updates and deletions are answered below 500',
    async () => {
      const created = await client.send('POST', collection, {
        raw: await goodBody(),
        headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      });
      const { name } = created.json<{ metadata: { name: string } }>().metadata;
      const types = [
        'application/merge-patch+json',
        'application/strategic-merge-patch+json',
        'application/json-patch+json',
        'application/apply-patch+yaml',
      ];
      const operation = fc.record({
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
        path: fc.constantFrom('/metadata', '/metadata/labels/a', '/status/conditions/-', '/spec/usages/9', '/', 'x'),
        from: fc.constantFrom('/metadata', '/status', '/spec/usages/0'),
        value: fc.jsonValue({ maxDepth: 2 }),
      });
      const body = fc.oneof(
        mutatedJson,
        fc.array(operation, { maxLength: 4 }).map((operations) => JSON.stringify(operations)),
        fc.json({ maxDepth: 3 }),
      );
      const where = fc.constantFrom('', '/approval', '/status');
      await fc.assert(
        fc.asyncProperty(
          body,
          fc.constantFrom(...types),
          where,
          fc.constantFrom('PATCH', 'PUT', 'DELETE'),
          async (raw, type, path, method) => {
            const headers = { 'content-type': method === 'PATCH' ? type : 'application/json' };
            const { status } = await client.send(method, `${collection}/${name}${path}?fieldManager=f&dryRun=All`, {
              raw,
              headers,
            });
            expect(status).toBeLessThan(500);
          },
        ),
        { numRuns: 2 * runs },
      );
    },
    timeoutMs,
  );

  it(
    'to the reviews are answered below 500',
    async () => {
      const spec = fc.record(
        {
          user: fc.jsonValue(),
          groups: fc.jsonValue(),
          extra: fc.jsonValue(),
          resourceAttributes: fc.jsonValue({ maxDepth: 2 }),
          nonResourceAttributes: fc.jsonValue({ maxDepth: 2 }),
          namespace: fc.jsonValue(),
        },
        { requiredKeys: [] },
      );
      const resource = fc.constantFrom('selfsubjectaccessreviews', 'subjectaccessreviews', 'selfsubjectrulesreviews');
      await fc.assert(
        fc.asyncProperty(spec, resource, async (given, name) => {
          const { status } = await client.send('POST', `/apis/authorization.k8s.io/v1/${name}`, {
            body: { spec: given },
          });
          expect(status).toBeLessThan(500);
        }),
        { numRuns: runs },
      );
    },
    timeoutMs,
  );
});

describe('hostile paths and queries', () => {
  it(
    'are answered below 500',
    async () => {
      const part = fc.constantFrom(
        'certificatesigningrequests',
        'namespaces',
        'approval',
        '..',
        '%2e%2e',
        '%',
        '%00',
        '%ff',
        '',
        'a b',
        '~',
        '__proto__',
        'constructor',
      );
      const path = fc
        .array(part, { maxLength: 5 })
        .map((parts) => `/apis/certificates.k8s.io/v1/${parts.map((one) => one.replace(' ', '%20')).join('/')}`);
      const query = fc.constantFrom(
        '',
        '?limit=-1',
        '?limit=99999999999999999999',
        '?continue=e30',
        '?resourceVersion=-1',
        '?labelSelector=%28',
        '?fieldSelector=metadata.name%3D%00',
        '?includeObject=x',
        '?resourceVersionMatch=Exact&resourceVersion=0',
        '?limit=1&limit=2',
        '?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYSJ9',
      );
      await fc.assert(
        fc.asyncProperty(path, query, fc.constantFrom('GET', 'DELETE', 'PUT', 'POST'), async (where, how, method) => {
          if (method === 'DELETE' && /certificatesigningrequests\/*$/.test(where)) return;
          const { status } = await client.send(method, where + how, {
            headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
          });
          expect(status).toBeLessThan(500);
        }),
        { numRuns: 2 * runs },
      );
    },
    timeoutMs,
  );
});

function goodBody(): Promise<Buffer> {
  return Promise.resolve(readFileSync(new URL('../../fixtures/kubelet/kubelet-1.36-client-csr.bin', import.meta.url)));
}
