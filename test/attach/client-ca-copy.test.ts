import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { SinkState } from '../../src/attach/ca-bundle-sink.js';
import {
  caBundleCopy,
  type CopiedRing,
  readClientCaCopy,
  rewriteClientCaCopy,
} from '../../src/attach/client-ca-copy.js';
import { type ClusterClient, createClusterClient } from '../../src/attach/client.js';
import { anchorsDigest } from '../../src/ca/x509/manifest.js';
import type { Bundle } from '../../src/ca/types.js';
import { newPki, type TestAuthority, type TestPki } from '../rotation/probing/pki.js';
import { peers } from '../support/peers.js';

const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

describe.skipIf(peers.openssl === undefined)('copies of a bundle that an API server keeps', () => {
  let pki: TestPki;
  let old: TestAuthority;
  let next: TestAuthority;
  let foreign: TestAuthority;
  let server: Server;
  let client: ClusterClient;
  let ring: CopiedRing;
  /** What the API server has in its file, and what it publishes: it only ever adds. */
  let file: string;
  let published: { uid: string; data: Record<string, string> } | undefined;
  let answers: { status?: number; rewrites: boolean };

  beforeAll(() => {
    pki = newPki();
    old = pki.authority('old');
    next = pki.authority('new');
    foreign = pki.authority('somebody');
    const bundle = (generation: number, anchors: readonly TestAuthority[]): Bundle => {
      const facts = anchors.flatMap(({ certificates }) => certificates.map((certificate) => certificate.facts));
      const pem = anchors.map((anchor) => anchor.pem).join('');
      const rest = { ring: 'kubernetes', createdAt: 0, manifest: undefined, digest: anchorsDigest(facts) };
      return { ...rest, generation, anchors: facts, pem };
    };
    ring = {
      authorities: [old, next],
      bundles: [bundle(3, [next]), bundle(2, [old, next]), bundle(1, [old])],
      old: old.ski,
    };
  });

  beforeEach(async () => {
    const own = pki.leaf(old, { kind: 'server' });
    answers = { rewrites: true };
    file = old.pem;
    published = undefined;
    publish();
    server = createServer({ cert: own.certificatePem, key: own.keyPem }, (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const [status, answer] = handle(request.method ?? '', request.url ?? '', body);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    client = createClusterClient({ server: url, ca: old.pem });
  });

  afterEach(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  afterAll(() => {
    pki.remove();
  });

  function publish(): void {
    const { uid = randomUUID(), data = {} } = published ?? {};
    const before = data['client-ca-file'] ?? '';
    const blocks = `${before}${file}`.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----\n/g) ?? [];
    published = { uid, data: { ...data, 'client-ca-file': [...new Set(blocks)].join('') } };
  }

  function handle(method: string, url: string, body: string): [number, object] {
    if (answers.status !== undefined) return [answers.status, { kind: 'Status', message: 'no', code: answers.status }];
    if (url !== path) return [404, {}];
    if (method === 'GET') {
      if (published === undefined) return [404, { kind: 'Status', reason: 'NotFound' }];
      return [
        200,
        { metadata: { name: 'extension-apiserver-authentication', uid: published.uid }, data: published.data },
      ];
    }
    const { preconditions } = JSON.parse(body) as { preconditions?: { uid?: string } };
    if (preconditions?.uid !== published?.uid) return [409, { kind: 'Status', reason: 'Conflict' }];
    published = undefined;
    if (answers.rewrites) setTimeout(publish, 300);
    return [200, { kind: 'Status' }];
  }

  const read = (): ReturnType<typeof readClientCaCopy> => readClientCaCopy(client, 'client-ca-file', ring);
  const load = (...authorities: TestAuthority[]): void => {
    file = authorities.map(({ pem }) => pem).join('');
    publish();
  };

  it('are known by what they hold', async () => {
    expect(await read()).toMatchObject({ generation: 1, holdsOld: true, holds: [old.ski] });
    load(old, next, foreign);
    expect(await read()).toMatchObject({
      name: 'kube-system/extension-apiserver-authentication client-ca-file',
      // All anchors of the newest bundle are there, and one too many.
      generation: 3,
      holdsOld: true,
      holds: [old.ski, next.ski],
    });
    load(next);
    expect(await read()).toMatchObject({
      holdsOld: true,
      remedy: expect.stringContaining('delete configmap') as string,
    });
    load(foreign);
    published = { uid: 'x', data: { 'client-ca-file': foreign.pem } };
    expect(await read()).toMatchObject({ generation: 0, holdsOld: false, holds: [] });
  });

  it('are written anew once they are deleted, without what is in no file any more', async () => {
    load(old, next);
    load(next);
    expect(await read()).toMatchObject({ holdsOld: true });
    expect(await rewriteClientCaCopy(client)).toBe(true);
    expect(await read()).toMatchObject({ generation: 3, holdsOld: false, holds: [next.ski] });
    // An API server that still has it brings it back, and that shows.
    load(old, next);
    expect(await rewriteClientCaCopy(client)).toBe(true);
    expect(await read()).toMatchObject({ holdsOld: true });
  });

  it('are said to be missing, forbidden, or not written again', async () => {
    answers.rewrites = false;
    await expect(rewriteClientCaCopy(client, 400)).rejects.toMatchObject({ code: 'timeout' });
    expect(await rewriteClientCaCopy(client, 400)).toBe(false);
    expect(await read()).toMatchObject({ generation: 0, holdsOld: false });
    answers.status = 403;
    await expect(rewriteClientCaCopy(client)).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('cannot be seen without a credential, or an answer, or readable certificates', async () => {
    const unseen = { generation: undefined, holdsOld: true, holds: undefined };
    const without = await readClientCaCopy(undefined, 'client-ca-file', ring);
    expect(without).toMatchObject(unseen);
    expect(without.remedy).toContain('attest');
    for (const broken of [
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      '-----BEGIN CERTIFICATE-----\n',
    ]) {
      published = { uid: 'x', data: { 'client-ca-file': next.pem + broken } };
      expect(await read()).toMatchObject(unseen);
    }
    answers.status = 403;
    expect(await read()).toMatchObject(unseen);
    server.closeAllConnections();
    server.close();
    expect(await read()).toMatchObject({ ...unseen, remedy: expect.stringContaining('cannot reach') as string });
  });

  it('in the APIService follow the service, or somebody by hand', () => {
    const copy = (state: SinkState | undefined): ReturnType<typeof caBundleCopy> => caBundleCopy(state, ring);
    expect(copy(undefined)).toBeUndefined();
    expect(copy({ state: 'detached', generation: 3 })).toBeUndefined();
    expect(copy({ state: 'in-step', generation: 3 })).toMatchObject({ generation: 3, holdsOld: false });
    expect(copy({ state: 'in-step', generation: 2 })).toMatchObject({ generation: 2, holdsOld: true });
    // Nothing is known of what was in a bundle that is not given.
    expect(copy({ state: 'in-step', generation: 7 })).toMatchObject({ generation: 7, holdsOld: true });
    expect(copy({ state: 'behind', generation: 3, problem: 'no' })).toMatchObject({
      ...{ generation: undefined, holdsOld: true, remedy: 'no' },
      name: 'spec.caBundle of the APIService v1.certificates.k8s.io',
    });
    expect(copy({ state: 'manual', generation: 3 })).toMatchObject({ generation: undefined, holdsOld: true });
  });
});
