import fc from 'fast-check';
import { expect, it } from 'vitest';

import { startTestService, type TestClient } from '../../support/service.js';
import { describeEachDatabase, type NewDatabase } from '../../support/stores.js';
import { csrFor } from './service.js';

const posts = [
  'nodes',
  'tokens',
  'etcd-clusters',
  'etcd-clusters/c/members',
  'requests',
  'nodes/n/disable',
  'requests/r/approve',
  'requests/explain',
  'requests/replay',
  'certificates/01/revoke',
];
const gets = ['nodes', 'requests', 'certificates', 'tokens', 'authorities'];
const fields = [
  'name',
  'addresses',
  'dnsNames',
  'labels',
  'node',
  'etcdMember',
  'controlPlane',
  'ttlSeconds',
  'token',
  'groups',
  'peerUrls',
  'clientUrls',
  'clientNames',
  'signerName',
  'request',
  'usages',
  'expirationSeconds',
  'reason',
  'message',
  'as',
  'config',
  'since',
  'facts',
  '__proto__',
  'constructor',
  'extra',
];
const queries = [
  'limit',
  'continue',
  'ring',
  'name',
  'address',
  'serial',
  'expiringWithin',
  'expiresBefore',
  'state',
  'signerName',
  'node',
];
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(
    '',
    '\u0000',
    'a\u0000b',
    '%00',
    '../..',
    "'; drop table nodes; --",
    '::ffff:10.0.0.1',
    '10.0.0.0/8',
    'https://[::1]:2380',
    'https://x:99999',
    'n1',
    '\ud800',
    '1e309',
    '99999999999999999999',
  ),
);
const value = fc.oneof(
  hostile,
  fc.array(hostile, { maxLength: 5 }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.integer(),
  fc.dictionary(hostile, hostile, { maxKeys: 3 }),
);
const body = fc.oneof(fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 6 }), fc.jsonValue());

/** The test client holds every answer against the contract, so an answer that is no problem details fails here too. */
async function answered(
  admin: TestClient,
  method: string,
  path: string,
  options: Parameters<TestClient['send']>[2],
): Promise<void> {
  const answer = await admin.send(method, path, options);
  expect([answer.status, answer.text]).toSatisfy(([status]: [number, string]) => status < 500);
}

async function withAdmin(newDatabase: NewDatabase, work: (admin: TestClient) => Promise<void>): Promise<void> {
  const service = await startTestService({ storeUrl: await newDatabase() });
  try {
    await work(service.client(service.admin));
  } finally {
    await service.stop();
  }
}

describeEachDatabase('hostile input', (newDatabase) => {
  it('never fails on any body', async () => {
    await withAdmin(newDatabase, async (admin) => {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...posts), body, async (path, content) => {
          await answered(admin, 'POST', `/pki/v1/${path}`, { body: content });
        }),
        { numRuns: 400 },
      );
    });
  });

  it('never fails on any path', async () => {
    await withAdmin(newDatabase, async (admin) => {
      const paths = fc.constantFrom(
        'nodes',
        'tokens',
        'requests',
        'certificates',
        'rings',
        'authorities',
        'etcd-clusters',
      );
      await fc.assert(
        fc.asyncProperty(fc.constantFrom('GET', 'DELETE', 'PATCH'), paths, hostile, async (method, path, name) => {
          const segment = encodeURIComponent(wellFormed(name));
          await answered(admin, method, `/pki/v1/${path}/${segment}`, method === 'PATCH' ? { body: {} } : {});
        }),
        { numRuns: 200 },
      );
    });
  });

  it('never fails on any query', async () => {
    await withAdmin(newDatabase, async (admin) => {
      const query = fc.array(fc.tuple(fc.constantFrom(...queries), hostile), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...gets), query, async (path, pairs) => {
          const text = pairs.map(([name, given]) => `${name}=${encodeURIComponent(wellFormed(given))}`).join('&');
          await answered(admin, 'GET', `/pki/v1/${path}?${text}`, {});
        }),
        { numRuns: 300 },
      );
    });
  });

  it('never fails on mutated requests, and never issues them', async () => {
    await withAdmin(newDatabase, async (admin) => {
      const good = csrFor('fuzz', ['x'], [{ kind: 'dns', value: 'a.example' }]);
      const der = Buffer.from(good.replace(/-----[^-]+-----|\s/g, ''), 'base64');
      const mutation = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(mutation, fc.nat(20), async (changes, cut) => {
          const copy = Buffer.from(der);
          for (const [at, byte] of changes) copy[at] = byte;
          const request = `-----BEGIN CERTIFICATE REQUEST-----\n${copy.subarray(0, copy.length - cut).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
          const answer = await admin.send('POST', '/pki/v1/requests', {
            body: { signerName: 'kubernetes.io/kube-apiserver-client', request },
          });
          fc.pre(!copy.equals(der) || cut > 0);
          expect([answer.status, answer.text.slice(0, 300)]).toSatisfy(
            ([status]: [number, string]) => status >= 400 && status < 500,
          );
        }),
        { numRuns: 200 },
      );
    });
  });
});

/** Half of a surrogate pair has no UTF-8, so no client can send it in a URL. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
