import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { gogoBody } from '../../support/gogo.js';
import { csrPath, expectObject, type KubeObject, mergePatch, typedClient } from '../../support/kube-client.js';
import { anyRequest, createRequest, deleteRequest, patchRequest } from '../../support/kube-requests.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../../support/service.js';

const protobuf = 'application/vnd.kubernetes.protobuf';
const spec = { request: anyRequest, signerName: 'example.com/x', usages: ['client auth'] };

let service: TestService;
let client: TestClient;
let random: ((size: number) => Buffer) | undefined;

beforeAll(async () => {
  service = await startTestService();
  client = service.client(service.admin);
});
afterAll(() => service.stop());

const get = async (name: string): Promise<KubeObject> =>
  expectObject(await client.send('GET', `${csrPath}/${name}`), 200);
const apply = (name: string, object: object, query: string, subresource = ''): Promise<TestAnswer> =>
  client.send('PATCH', `${csrPath}/${name}${subresource}?${query}`, {
    raw: JSON.stringify({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', ...object }),
    headers: { 'content-type': 'application/apply-patch+yaml' },
  });
const owners = ({ metadata }: KubeObject): string[] =>
  (metadata.managedFields ?? []).map((entry) =>
    ['manager', 'operation', 'subresource']
      .map((key) => entry[key])
      .filter(Boolean)
      .join(' '),
  );

describe('protobuf', () => {
  it.each([
    ['authentication.k8s.io/v1', 'SelfSubjectReview', {}, { status: { userInfo: { username: 'admin' } } }],
    [
      'authorization.k8s.io/v1',
      'SelfSubjectAccessReview',
      {
        spec: {
          resourceAttributes: { verb: 'approve', group: 'certificates.k8s.io', resource: 'signers', name: 'a.b/c' },
        },
      },
      { spec: { resourceAttributes: { name: 'a.b/c' } }, status: { allowed: true } },
    ],
    [
      'authorization.k8s.io/v1',
      'SelfSubjectAccessReview',
      { spec: { nonResourceAttributes: { path: '/version', verb: 'get' } } },
      { status: { allowed: true } },
    ],
    [
      'authorization.k8s.io/v1',
      'SubjectAccessReview',
      {
        spec: {
          resourceAttributes: { verb: 'delete', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
          user: 'system:node:a',
          groups: ['system:nodes', 'system:authenticated'],
          extra: { 'example.com/k': ['v', 'w'] },
        },
      },
      { spec: { user: 'system:node:a', extra: { 'example.com/k': ['v', 'w'] } }, status: { allowed: false } },
    ],
    [
      'authorization.k8s.io/v1',
      'SelfSubjectRulesReview',
      { spec: { namespace: 'default' } },
      { status: { incomplete: false } },
    ],
  ])('%s %s, row %#', async (apiVersion, kind, object, expected) => {
    const answer = await client.send('POST', `/apis/${apiVersion}/${kind.toLowerCase()}s`, {
      raw: gogoBody(apiVersion, kind, object),
      headers: { 'content-type': protobuf, accept: `${protobuf},application/json` },
    });
    expect(expectObject(answer, 201)).toMatchObject({ kind, apiVersion, ...expected });
  });

  it('DeleteOptions: preconditions, policies and dry run, of one and of a collection', async () => {
    const typed = typedClient(client);
    const made = await createRequest(client, { name: 'pb', labels: { set: 'pb' } });
    const { uid, resourceVersion } = made.metadata;
    expectObject(await typed.delete('pb', { preconditions: { uid: 'other' } }), 409);
    expectObject(await typed.delete('pb', { preconditions: { uid, resourceVersion: '1' } }), 409);
    expectObject(await typed.deleteCollection('?labelSelector=set%3Dpb', { preconditions: { uid: 'other' } }), 409);
    expectObject(await typed.delete('pb', { dryRun: ['All'] }), 200);
    expectObject(await typed.deleteCollection('?labelSelector=set%3Dpb', { dryRun: ['All'] }), 200);
    expect(expectObject(await typed.delete('pb', { dryRun: ['Some'] }), 422).message).toBe(
      'DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    );
    expectObject(await typed.delete('pb', { propagationPolicy: 'Foreground', orphanDependents: true }), 422);
    expect((await get('pb')).metadata.uid).toBe(uid);
    expectObject(
      await typed.delete('pb', { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background' }),
      200,
    );
    expectObject(await typed.get('pb'), 404);
  });

  it('metadata with everything in it', async () => {
    const typed = typedClient(client);
    const metadata = {
      name: 'pb-meta',
      labels: { a: 'b', 'example.com/c': '' },
      annotations: { note: 'ünï' },
      finalizers: ['example.com/f'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u-1', controller: true }],
    };
    const made = expectObject(await typed.create({ metadata, spec: { ...spec, expirationSeconds: 3600 } }), 201);
    expect(made).toMatchObject({ metadata, spec: { ...spec, expirationSeconds: 3600 } });
    const emptied = {
      ...made,
      metadata: { ...made.metadata, labels: {}, annotations: {}, ownerReferences: [], finalizers: [] },
    };
    const updated = expectObject(await typed.update(emptied), 200);
    expect(Object.keys(updated.metadata)).not.toContain('labels');
    expect(Object.keys(updated.metadata)).not.toContain('finalizers');
    expectObject(await typed.create({ metadata: { name: 'pb-dry' }, spec }, '?dryRun=All'), 201);
    expectObject(await typed.get('pb-dry'), 404);
  });
});

describe('names that the server makes', () => {
  it('are tried eight times', async () => {
    const other = await startTestService({
      overrides: {
        random: {
          bytes: (size: number) => random?.(size) ?? Buffer.from(crypto.getRandomValues(new Uint8Array(size))),
        },
      },
    });
    try {
      const fixed = other.client(other.admin);
      let asked = 0;
      const body = { metadata: { generateName: 'same-' }, spec };
      expectObject(await fixed.send('POST', csrPath, { body: { metadata: { name: 'same-bbbbb' }, spec } }), 201);
      random = (size) => {
        asked += 1;
        return Buffer.alloc(size);
      };
      const refused = expectObject(await fixed.send('POST', csrPath, { body }), 409);
      random = undefined;
      expect(refused).toMatchObject({ reason: 'AlreadyExists' });
      expect(refused.message).toMatch(
        /^certificatesigningrequests\.certificates\.k8s\.io "same-\w{5}" already exists, the server was not able to generate a unique name for the object$/,
      );
      expect(asked).toBeGreaterThanOrEqual(8);
      const made = expectObject(await fixed.send('POST', csrPath, { body }), 201);
      expect(made.metadata).toMatchObject({
        generateName: 'same-',
        name: expect.stringMatching(/^same-\w{5}$/) as unknown,
      });
      const long = { metadata: { generateName: 'x'.repeat(300) }, spec };
      expect(expectObject(await fixed.send('POST', csrPath, { body: long }), 201).metadata.name).toMatch(
        /^x{58}\w{5}$/,
      );
    } finally {
      await other.stop();
    }
  });
});

describe('deletion', () => {
  it.each([
    ['Foreground', 'foregroundDeletion'],
    ['Orphan', 'orphan'],
  ])('%s shows its finalizer and then takes it off', async (policy, finalizer) => {
    const name = `gc-${policy.toLowerCase()}`;
    await createRequest(client, { name });
    const answer = await client.send('DELETE', `${csrPath}/${name}`, { body: { propagationPolicy: policy } });
    expect(expectObject(answer, 200)).toMatchObject({
      kind: 'CertificateSigningRequest',
      metadata: { finalizers: [finalizer], deletionGracePeriodSeconds: 0 },
    });
    for (let i = 0; i < 100 && (await client.send('GET', `${csrPath}/${name}`)).status !== 404; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await client.send('GET', `${csrPath}/${name}`)).status).toBe(404);
  });

  it('waits for the finalizers of others, and lets none be added', async () => {
    await createRequest(client, { name: 'held', finalizers: ['example.com/a', 'example.com/b'] });
    const first = expectObject(await client.send('DELETE', `${csrPath}/held`), 200);
    const again = expectObject(await client.send('DELETE', `${csrPath}/held`), 200);
    expect(again.metadata.deletionTimestamp).toBe(first.metadata.deletionTimestamp);
    const raw = JSON.stringify({ metadata: { finalizers: ['example.com/a', 'example.com/c'] } });
    const added = await client.send('PATCH', `${csrPath}/held`, { raw, headers: { 'content-type': mergePatch } });
    expect(expectObject(added, 422).message).toContain('no new finalizers can be added if the object is being deleted');
    await patchRequest(client, 'held', { metadata: { finalizers: ['example.com/b'] } });
    const last = await patchRequest(client, 'held', { metadata: { finalizers: null } });
    expect(last.metadata.deletionTimestamp).toBe(first.metadata.deletionTimestamp);
    expect((await client.send('GET', `${csrPath}/held`)).status).toBe(404);
  });
});

describe('server-side apply', () => {
  const condition = (reason: string): object => ({
    status: { conditions: [{ type: 'Checked', status: 'True', reason }] },
  });

  it('creates, owns, gives up and conflicts on the object', async () => {
    const object = { metadata: { name: 'ssa', labels: { a: '1', b: '1' } }, spec };
    expectObject(await apply('ssa', object, 'fieldManager=one'), 201);
    const same = expectObject(await apply('ssa', object, 'fieldManager=one'), 200);
    const changed = { metadata: { name: 'ssa', labels: { a: '2' } } };
    const conflict = expectObject(await apply('ssa', changed, 'fieldManager=two'), 409);
    expect(conflict).toMatchObject({
      reason: 'Conflict',
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.metadata.labels.a' }] },
    });
    const dry = expectObject(await apply('ssa', changed, 'fieldManager=two&force=true&dryRun=All'), 200);
    expect(dry.metadata.labels).toEqual({ a: '2', b: '1' });
    expect(await get('ssa')).toEqual(same);
    const forced = expectObject(await apply('ssa', changed, 'fieldManager=two&force=true'), 200);
    expect(owners(forced)).toEqual(['one Apply', 'two Apply']);
    const left = expectObject(await apply('ssa', { metadata: { name: 'ssa' } }, 'fieldManager=one'), 200);
    expect(left.metadata.labels).toEqual({ a: '2' });
  });

  it('works on both subresources, each with an entry of its own', async () => {
    await createRequest(client, { name: 'ssa-sub', labels: { a: 'b' } });
    const named = { metadata: { name: 'ssa-sub' }, ...condition('approval') };
    const approved = expectObject(await apply('ssa-sub', named, 'fieldManager=approver', '/approval'), 200);
    expect(approved.status.conditions).toMatchObject([{ type: 'Checked', reason: 'approval' }]);
    const other = { metadata: { name: 'ssa-sub' }, ...condition('status') };
    expectObject(await apply('ssa-sub', other, 'fieldManager=signer', '/status'), 409);
    const forced = expectObject(await apply('ssa-sub', other, 'fieldManager=signer&force=true', '/status'), 200);
    expect(forced.status.conditions).toMatchObject([{ type: 'Checked', reason: 'status' }]);
    expect(owners(forced)).toContain('signer Apply status');
    const gone = { metadata: { name: 'missing' }, ...condition('x') };
    expectObject(await apply('missing', gone, 'fieldManager=approver', '/approval'), 404);
  });
});

describe('the options of writes', () => {
  const odd = { metadata: { name: 'odd' }, spec: { ...spec, mystery: 1 } };

  it.each([
    ['Strict', 400, undefined],
    ['Warn', 201, '299 - "unknown field \\"spec.mystery\\""'],
    ['Ignore', 201, undefined],
  ])('fieldValidation=%s on create, update and patch', async (validation, status, warning) => {
    const query = `?fieldValidation=${validation}`;
    const created = await client.send('POST', `${csrPath}${query}`, { body: odd });
    expect([created.status, created.headers['warning']]).toEqual([status, warning]);
    if (status === 400) await createRequest(client, { name: 'odd' });
    const current = await get('odd');
    const put = await client.send('PUT', `${csrPath}/odd${query}`, {
      body: { ...current, spec: { ...spec, mystery: 1 } },
    });
    expect([put.status, put.headers['warning']]).toEqual([status === 201 ? 200 : 400, warning]);
    const patched = await client.send('PATCH', `${csrPath}/odd${query}`, {
      raw: JSON.stringify({ spec: { mystery: 1 } }),
      headers: { 'content-type': mergePatch },
    });
    expect([patched.status, patched.headers['warning']]).toEqual([status === 201 ? 200 : 422, warning]);
    await deleteRequest(client, 'odd');
  });

  it('dryRun changes nothing, whatever the verb', async () => {
    const made = await createRequest(client, { name: 'dry', labels: { a: 'b' } });
    const dry = '?dryRun=All';
    const approval = { status: { conditions: [{ type: 'Approved', status: 'True' }] } };
    const headers = { 'content-type': mergePatch };
    const put = await client.send('PUT', `${csrPath}/dry${dry}`, {
      body: { ...made, metadata: { ...made.metadata, labels: { a: 'c' } } },
    });
    expect(expectObject(put, 200).metadata.labels).toEqual({ a: 'c' });
    const steps = [
      client.send('PATCH', `${csrPath}/dry${dry}`, { raw: '{"metadata":{"labels":{"a":"d"}}}', headers }),
      client.send('PATCH', `${csrPath}/dry/approval${dry}`, { raw: JSON.stringify(approval), headers }),
      client.send('PATCH', `${csrPath}/dry/status${dry}`, {
        raw: '{"status":{"conditions":[{"type":"Failed","status":"True"}]}}',
        headers,
      }),
      client.send('DELETE', `${csrPath}/dry${dry}`),
      client.send('DELETE', `${csrPath}${dry}&labelSelector=a`),
    ];
    for (const answer of await Promise.all(steps)) expectObject(answer, 200);
    expect(await get('dry')).toEqual(made);
  });

  it('HEAD and OPTIONS are no methods here, as upstream', async () => {
    for (const path of [
      csrPath,
      `${csrPath}/dry`,
      '/apis',
      '/version',
      '/openapi/v3',
      '/apis/certificates.k8s.io/v1',
    ]) {
      const head = await client.send('HEAD', path);
      expect([path, head.status, head.text]).toEqual([path, 405, '']);
      const options = await client.send('OPTIONS', path);
      expect(expectObject(options, 405)).toMatchObject({ reason: 'MethodNotAllowed', details: {} });
    }
    expect((await client.send('HEAD', '/apis/unknown.example.com/v1/x')).status).toBe(404);
    expect((await client.send('HEAD', '/readyz')).status).toBe(200);
  });

  it('nobody acts as somebody else', async () => {
    const as = await client.send('GET', csrPath, { headers: { 'impersonate-user': 'jane' } });
    expect(expectObject(as, 403)).toMatchObject({
      message:
        'users "jane" is forbidden: User "admin" cannot impersonate resource "users" in API group "" at the cluster scope',
      details: { name: 'jane', kind: 'users' },
    });
    expect((await client.send('GET', csrPath, { headers: { 'impersonate-group': 'system:masters' } })).status).toBe(
      400,
    );
  });
});
