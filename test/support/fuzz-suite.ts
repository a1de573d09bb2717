import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { byteMutations, mutated, mutatedBytes, mutations } from './hostile-bodies.js';
import { csrPath } from './kube-client.js';
import { anyRequest } from './kube-requests.js';
import { type RawConnection, rawConnection } from './raw-connection.js';
import { type ServiceProcess, startServiceProcess } from './service-process.js';

export type FuzzOptions = {
  /** Of each kind. */
  readonly runs: number;
  /** Connections of each hostile kind that are held at once. */
  readonly connections: number;
  /** Waits for the time limits of slow connections, about a minute. */
  readonly patient: boolean;
};

const patience = 600_000;
const megabyte = 1024 * 1024;
/** What all of it together may leave behind: buffers are bounded, and the collector is in no hurry. */
const mostGrowth = 160 * megabyte;
const fixtures = ['kubelet-1.36-client-csr', 'kubelet-1.36-serving-csr', 'kubectl-1.33-put-approval'].map((name) =>
  readFileSync(new URL(`../fixtures/kubelet/${name}.bin`, import.meta.url)),
);

const object = {
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: {
    name: 'target',
    generateName: 'fuzz-',
    labels: { a: 'b' },
    annotations: { c: 'd' },
    finalizers: ['example.com/f'],
    ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u', controller: true }],
    managedFields: [{ manager: 'm', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1: { 'f:metadata': {} } }],
  },
  spec: {
    request: anyRequest,
    signerName: 'example.com/x',
    usages: ['client auth'],
    expirationSeconds: 700,
    extra: { k: ['v'] },
  },
  status: {
    conditions: [{ type: 'Approved', status: 'True', lastUpdateTime: '2026-01-01T00:00:00Z' }],
    certificate: anyRequest,
  },
};
const operations = [
  { op: 'test', path: '/metadata/name', value: 'target' },
  { op: 'add', path: '/metadata/labels/x', value: 'y' },
  { op: 'copy', from: '/metadata', path: '/metadata/annotations' },
  { op: 'move', from: '/spec/usages/0', path: '/spec/usages/-' },
  { op: 'replace', path: '/status/conditions/0/type', value: 'Denied' },
];
const options = {
  kind: 'DeleteOptions',
  apiVersion: 'v1',
  preconditions: { uid: 'u', resourceVersion: '1' },
  dryRun: ['All'],
  propagationPolicy: 'Orphan',
};
const review = {
  spec: {
    user: 'u',
    groups: ['g'],
    extra: { k: ['v'] },
    resourceAttributes: { verb: 'get', resource: 'x' },
    nonResourceAttributes: { path: '/' },
  },
};

type Shot = { readonly method: string; readonly at: string; readonly type: string; readonly tree: unknown };
const shots: readonly Shot[] = [
  { method: 'POST', at: csrPath, type: 'application/json', tree: object },
  { method: 'POST', at: csrPath, type: 'application/yaml', tree: object },
  ...['', '/approval', '/status'].flatMap((subresource): Shot[] => [
    { method: 'PUT', at: `${csrPath}/target${subresource}`, type: 'application/json', tree: object },
    { method: 'PATCH', at: `${csrPath}/target${subresource}`, type: 'application/merge-patch+json', tree: object },
    {
      method: 'PATCH',
      at: `${csrPath}/target${subresource}`,
      type: 'application/strategic-merge-patch+json',
      tree: object,
    },
    { method: 'PATCH', at: `${csrPath}/target${subresource}`, type: 'application/json-patch+json', tree: operations },
    {
      method: 'PATCH',
      at: `${csrPath}/target${subresource}?fieldManager=f&force=true`,
      type: 'application/apply-patch+yaml',
      tree: object,
    },
  ]),
  { method: 'DELETE', at: `${csrPath}/target?dryRun=All`, type: 'application/json', tree: options },
  { method: 'DELETE', at: `${csrPath}?labelSelector=none`, type: 'application/json', tree: options },
  ...['selfsubjectaccessreviews', 'subjectaccessreviews', 'selfsubjectrulesreviews'].map((name) => ({
    method: 'POST',
    at: `/apis/authorization.k8s.io/v1/${name}`,
    type: 'application/json',
    tree: review,
  })),
];

/** A version that is to come is a Timeout, as upstream has it. */
const isAnswer = (status: number): boolean => status < 500 || status === 504;

/** Hostile bodies, headers and connections against the service in a process of its own. */
export function describeFuzz({ runs, connections, patient }: FuzzOptions): void {
  const seed = Number(process.env['ROTUNDA_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  describe(`hostile clients (ROTUNDA_SEED=${String(seed)})`, () => {
    let service: ServiceProcess;
    let agent: Agent;
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-fuzz-'));

    beforeAll(async () => {
      service = await startServiceProcess({ dataDir });
      agent = new Agent({ connect: { ca: service.ca, ...service.admin } });
      await send('POST', csrPath, { 'content-type': 'application/json' }, JSON.stringify(object));
    }, patience);
    afterAll(async () => {
      await agent.destroy();
      await service.stop('SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
    });

    async function send(
      method: string,
      at: string,
      headers: Record<string, string>,
      body?: string | Buffer,
    ): Promise<number> {
      const answer = await request(service.url + at, {
        method: method as 'POST',
        dispatcher: agent,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      await answer.body.dump();
      return answer.statusCode;
    }

    async function expectHealthy(): Promise<void> {
      expect(await send('GET', '/readyz', {})).toBe(200);
      expect(service.child.exitCode).toBeNull();
    }

    const check = async <T>(
      arbitrary: fc.Arbitrary<T>,
      times: number,
      body: (value: T) => Promise<void>,
    ): Promise<void> => {
      await fc.assert(fc.asyncProperty(arbitrary, body), { numRuns: times, seed, endOnFailure: true });
      await expectHealthy();
    };

    it(
      'with bodies that are altered in their structure get nothing above 499',
      () =>
        check(fc.tuple(fc.constantFrom(...shots), mutations), 3 * runs, async ([shot, changes]) => {
          const tree = mutated(shot.tree, changes);
          const text = shot.type === 'application/yaml' ? stringify(tree) : JSON.stringify(tree);
          expect(
            await send(shot.method, shot.at, { 'content-type': shot.type }, text),
            text.slice(0, 500),
          ).toBeLessThan(500);
        }),
      patience,
    );

    it(
      'with altered protobuf get nothing above 499',
      () => {
        const where = fc.constantFrom<[string, string]>(
          ['POST', csrPath],
          ['PUT', `${csrPath}/target/approval`],
          ['PUT', `${csrPath}/target`],
          ['DELETE', `${csrPath}/target?dryRun=All`],
          ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews'],
        );
        return check(
          fc.tuple(fc.constantFrom(...fixtures), byteMutations, where),
          runs,
          async ([body, changes, [method, at]]) => {
            const headers = { 'content-type': 'application/vnd.kubernetes.protobuf' };
            expect(await send(method, at, headers, mutatedBytes(body, changes))).toBeLessThan(500);
          },
        );
      },
      patience,
    );

    it(
      'with odd headers and queries get nothing above 499',
      () => {
        const piece = fc.constantFrom(
          'application/json',
          'application/yaml',
          'application/vnd.kubernetes.protobuf',
          '*/*',
          'text/html',
          ';as=Table',
          ';v=v1',
          ';g=meta.k8s.io',
          ';as=PartialObjectMetadataList',
          ';q=0',
          ';q=x',
          ',',
          ';charset=utf-16',
          ';',
          '=',
          'x'.repeat(2000),
        );
        const header = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
        const parameter = fc.tuple(
          fc.constantFrom(
            'limit',
            'continue',
            'resourceVersion',
            'resourceVersionMatch',
            'fieldSelector',
            'labelSelector',
            'timeoutSeconds',
            'includeObject',
            'dryRun',
            'fieldManager',
            'fieldValidation',
            'force',
            'pretty',
          ),
          fc.oneof(
            fc.string({ maxLength: 20 }),
            fc.constantFrom(
              '0',
              '-1',
              '1',
              'All',
              'true',
              '99999999999999999999',
              '!a,b in (c',
              'a=b=c',
              'metadata.name=x',
              '%00',
            ),
          ),
        );
        const query = fc
          .array(parameter, { maxLength: 4 })
          .map((all) =>
            all
              .map(([name, value]) => `${name}=${encodeURIComponent(value.replace(/[\ud800-\udfff]/g, '?'))}`)
              .join('&'),
          );
        const encoding = fc.constantFrom('identity', 'gzip', 'br', 'x');
        const shape = fc.record({
          accept: header,
          type: header,
          query,
          encoding,
          method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE'),
        });
        return check(shape, runs, async ({ accept, type, query: given, encoding: how, method }) => {
          const headers = { accept, 'content-type': type, 'content-encoding': how, 'accept-encoding': how };
          const body = method === 'GET' || method === 'HEAD' ? undefined : JSON.stringify(object);
          const at = `${method === 'POST' ? csrPath : `${csrPath}/target`}?${given}`;
          expect(await send(method, at, headers, body)).toSatisfy(isAnswer);
          expect(await send('GET', `${csrPath}?${given}`, { accept })).toSatisfy(isAnswer);
        });
      },
      patience,
    );

    it.each<[string, string]>([
      ['two lengths', 'content-length: 5\r\ncontent-length: 7\r\n\r\n{}'],
      ['a length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'],
      ['a negative length', 'content-length: -1\r\n\r\n{}'],
      ['a length that is no number', 'content-length: 0x10\r\n\r\n{}'],
      ['a length beyond all bounds', 'content-length: 99999999999999999999\r\n\r\n{}'],
      ['a length of more than is taken', `content-length: ${String(100 * megabyte)}\r\n\r\n{}`],
      ['another transfer encoding', 'transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'],
      ['a chunk of another size', 'transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'],
      ['a chunk beyond all bounds', 'transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}'],
      ['a header of 100 kB', `x-long: ${'x'.repeat(100_000)}\r\n\r\n`],
      ['5,000 headers', `${Array.from({ length: 5000 }, (_, i) => `x-${String(i)}: y`).join('\r\n')}\r\n\r\n`],
      ['a header folded', 'x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}'],
      ['a zero byte in a header', 'x-a: b\u0000c\r\n\r\n'],
      ['expectations', 'expect: 200-maybe\r\ncontent-length: 2\r\n\r\n{}'],
      ['an upgrade', 'connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}'],
    ])(
      'that lie about the body, %s, are refused or cut off',
      async (_what, rest) => {
        const connection = await rawConnection(service);
        connection.write(`POST ${csrPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${rest}`);
        const outcome = await connection.statusOrEnd(20_000);
        if (typeof outcome === 'number') expect(outcome).toBeLessThan(500);
        else expect(outcome).toBe('closed');
        connection.destroy();
        await expectHealthy();
      },
      patience,
    );

    it.each([
      '',
      '\r\n\r\n',
      'GET',
      'GET / HTTP/9.9\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001',
      `GET /${'a'.repeat(200_000)} HTTP/1.1\r\n\r\n`,
    ])(
      'that speak something else (%#) are cut off or told',
      async (text) => {
        const connection = await rawConnection(service);
        connection.write(text);
        connection.halfClose();
        const outcome = await connection.statusOrEnd(20_000);
        expect(outcome === 'closed' || (typeof outcome === 'number' && outcome < 500)).toBe(true);
        connection.destroy();
        await expectHealthy();
      },
      patience,
    );

    it(
      'that hold on to connections, bodies and watches cost bounded memory, and slow nobody',
      async () => {
        const before = service.memory();
        const held: RawConnection[] = [];
        const open = async (text: string, read = true): Promise<void> => {
          const connection = await rawConnection(service, { read });
          connection.write(text);
          held.push(connection);
        };
        const head = `POST ${csrPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
        const large = 'x'.repeat(200_000);
        for (let i = 0; i < connections; i += 1) {
          await open('');
          await open(`${head}x-half: `);
          await open(`${head}content-length: 3000000\r\n\r\n{"metadata":{"annotations":{"a":"`);
          await open(`${head}transfer-encoding: chunked\r\n\r\n${large.length.toString(16)}\r\n${large}\r\n`);
          await open(`GET ${csrPath}?watch=true HTTP/1.1\r\nhost: x\r\n\r\n`, false);
        }
        for (let i = 0; i < 20; i += 1) {
          const annotations = { filler: `${large}${String(i)}` };
          const patch = JSON.stringify({ metadata: { annotations } });
          const begun = performance.now();
          expect(
            await send('PATCH', `${csrPath}/target`, { 'content-type': 'application/merge-patch+json' }, patch),
          ).toBe(200);
          await expectHealthy();
          expect(performance.now() - begun).toBeLessThan(20_000);
        }
        // Watches that are never read: what is buffered for each is bounded, and they are closed.
        const perWatch = 6 * megabyte;
        expect(service.memory() - before).toBeLessThan(mostGrowth + connections * (perWatch + large.length * 2));
        if (patient) await expectGone(held);
        for (const connection of held) connection.destroy();
        await sleep(500);
        await expectHealthy();
      },
      patience,
    );

    it(
      'leave the memory of the service as it was, or nearly',
      async () => {
        const start = service.memory();
        for (let round = 0; round < (patient ? 10 : 1); round += 1) {
          const bodies = Array.from({ length: 30 }, () =>
            send('POST', csrPath, { 'content-type': 'application/json' }, Buffer.alloc(4 * megabyte, 0x20)).catch(
              () => 413,
            ),
          );
          expect((await Promise.all(bodies)).every((status) => status < 500)).toBe(true);
        }
        expect(service.memory() - start).toBeLessThan(mostGrowth);
        await expectHealthy();
      },
      patience,
    );
  });
}

/** Bodies and heads that do not come to an end are given up in time; idle connections may stay for two minutes. */
async function expectGone(held: readonly RawConnection[]): Promise<void> {
  const slow = held.filter((_, i) => i % 5 === 1 || i % 5 === 2 || i % 5 === 3);
  for (let waited = 0; waited < 120 && slow.some(({ closed }) => !closed()); waited += 1) await sleep(1000);
  expect(slow.filter(({ closed }) => !closed()).length).toBe(0);
}
