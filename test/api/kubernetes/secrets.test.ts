import { afterEach, beforeEach, expect, it } from 'vitest';

import { encodeMessage } from '../../../src/api/kubernetes/codec/protobuf.js';
import { csrPem, newEcKey } from '../../support/pkcs10.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { openWatch } from '../../support/watch.js';

const collection = '/api/v1/namespaces/kube-system/secrets';
const type = 'bootstrap.kubernetes.io/token';
const protobuf = 'application/vnd.kubernetes.protobuf';
const hour = 3_600_000;

type Secret = {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
};

function inSeconds(ms: number): string {
  return `${new Date(Date.now() + ms).toISOString().slice(0, 19)}Z`;
}

/** What `kubeadm token create` sends, as JSON with plain strings. */
function tokenSecret(
  id: string,
  strings: Readonly<Record<string, string | undefined>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system', ...metadata },
    type,
    stringData: {
      'token-id': id,
      'token-secret': '0123456789abcdef',
      expiration: inSeconds(hour),
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
      ...strings,
    },
  };
}

function text(secret: Secret, key: string): string | undefined {
  const encoded = secret.data[key];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString();
}

describeEachDatabase('bootstrap tokens as Secrets', (newDatabase) => {
  let rotunda: TestService;
  let admin: TestClient;

  beforeEach(async () => {
    rotunda = await startTestService({ storeUrl: await newDatabase() });
    admin = rotunda.client(rotunda.admin);
  });
  afterEach(() => rotunda.stop());

  const whoAmI = async (token: string): Promise<number> => {
    const body = { kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1' };
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    return (await rotunda.client({ token }).send('POST', path, { body })).status;
  };

  it('are created, read, changed and deleted', async () => {
    const created = await admin.send('POST', collection, { body: tokenSecret('abcdef', { description: 'for tests' }) });
    expect(created.status, created.text).toBe(201);
    const secret = created.json<Secret>();
    expect(secret).toMatchObject({ kind: 'Secret', apiVersion: 'v1', type, metadata: { namespace: 'kube-system' } });
    expect(Object.keys(secret.data)).toEqual([
      'auth-extra-groups',
      'description',
      'expiration',
      'token-id',
      'token-secret',
      'usage-bootstrap-authentication',
      'usage-bootstrap-signing',
    ]);
    expect(text(secret, 'token-secret')).toBe('0123456789abcdef');
    expect((await admin.send('GET', `${collection}/bootstrap-token-abcdef`)).json()).toEqual(secret);
    expect(await whoAmI('abcdef.0123456789abcdef')).toBe(201);
    const token = (await admin.send('GET', '/pki/v1/tokens/abcdef')).json();
    expect(token).toMatchObject({ kind: 'unbound', state: 'active', description: 'for tests', createdBy: 'admin' });

    const patched = await admin.send('PATCH', `${collection}/bootstrap-token-abcdef`, {
      raw: JSON.stringify({ stringData: { description: 'renamed' }, metadata: { labels: { a: 'b' } } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patched.status, patched.text).toBe(200);
    expect(text(patched.json<Secret>(), 'description')).toBe('renamed');
    expect(patched.json<Secret>().metadata.labels).toEqual({ a: 'b' });
    expect(patched.json<Secret>().metadata.uid).toBe(secret.metadata.uid);
    expect(Number(patched.json<Secret>().metadata.resourceVersion)).toBeGreaterThan(
      Number(secret.metadata.resourceVersion),
    );

    const deleted = await admin.send('DELETE', `${collection}/bootstrap-token-abcdef`);
    expect(deleted.json()).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'bootstrap-token-abcdef', kind: 'secrets', uid: secret.metadata.uid },
    });
    expect((await admin.send('GET', `${collection}/bootstrap-token-abcdef`)).json()).toMatchObject({
      reason: 'NotFound',
      message: 'secrets "bootstrap-token-abcdef" not found',
    });
    expect(await whoAmI('abcdef.0123456789abcdef')).toBe(401);
  });

  it('bind to nodes by annotations, which stay as they are', async () => {
    const annotations = { 'rotunda.dev/node': 'n1', 'rotunda.dev/addresses': '192.0.2.1, 192.0.2.2' };
    const created = await admin.send('POST', collection, {
      body: tokenSecret('aaaaa1', { 'auth-extra-groups': undefined }, { annotations }),
    });
    expect(created.status, created.text).toBe(201);
    expect((await admin.send('GET', '/pki/v1/tokens/aaaaa1')).json()).toMatchObject({ kind: 'node', node: 'n1' });
    expect((await admin.send('GET', '/pki/v1/nodes/n1')).json()).toMatchObject({
      addresses: ['192.0.2.1', '192.0.2.2'],
    });
    const moved = await admin.send('PATCH', `${collection}/bootstrap-token-aaaaa1`, {
      raw: JSON.stringify([{ op: 'replace', path: '/metadata/annotations/rotunda.dev~1node', value: 'n2' }]),
      headers: { 'content-type': 'application/json-patch+json' },
    });
    expect(moved.json()).toMatchObject({
      code: 422,
      details: { kind: 'Secret', causes: [{ field: 'metadata.annotations[rotunda.dev/node]' }] },
    });
    const replaced = await admin.send('PUT', `${collection}/bootstrap-token-aaaaa1`, { body: tokenSecret('aaaaa1') });
    expect(replaced.status).toBe(422);
    expect(replaced.text).not.toContain('0123456789abcdef');
  });

  it('are taken from kubeadm, in protobuf', async () => {
    const body = tokenSecret('pb1234');
    const { stringData, ...rest } = body as { stringData: Record<string, string> };
    const data = Object.fromEntries(
      Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
    const typed = { 'content-type': protobuf, accept: `${protobuf},application/json` };
    const raw = encodeMessage('Secret', 'v1', { ...rest, data });
    const created = await admin.send('POST', collection, { raw, headers: typed });
    expect(created.status, created.text).toBe(201);
    expect(text(created.json<Secret>(), 'token-secret')).toBe('0123456789abcdef');
    const only = await admin.send('GET', `${collection}/bootstrap-token-pb1234`, { headers: { accept: protobuf } });
    expect(only.headers['content-type']).toBe(protobuf);
    const options = encodeMessage('DeleteOptions', 'v1', { preconditions: { uid: 'another' } });
    const kept = await admin.send('DELETE', `${collection}/bootstrap-token-pb1234`, { raw: options, headers: typed });
    expect(kept.json()).toMatchObject({ code: 409, reason: 'Conflict' });
    const gone = await admin.send('DELETE', `${collection}/bootstrap-token-pb1234`, {
      raw: encodeMessage('DeleteOptions', 'v1', {}),
      headers: typed,
    });
    expect(gone.status, gone.text).toBe(200);
  });

  it.each<[string, Record<string, unknown>, number, string]>([
    ['another type', { ...tokenSecret('bad001'), type: 'Opaque' }, 422, 'type'],
    ['no type', { ...tokenSecret('bad001'), type: undefined }, 422, 'type'],
    ['an immutable one', { ...tokenSecret('bad001'), immutable: true }, 422, 'immutable'],
    ['another name', tokenSecret('bad001', { 'token-id': 'bad002' }), 422, 'metadata.name'],
    ['a bad id', tokenSecret('bad001', { 'token-id': 'BAD001' }), 422, 'data[token-id]'],
    ['no id', tokenSecret('bad001', { 'token-id': undefined }), 422, 'data[token-id]'],
    ['a bad secret', tokenSecret('bad001', { 'token-secret': 'Sensitive!' }), 422, 'data[token-secret]'],
    ['no secret', tokenSecret('bad001', { 'token-secret': undefined }), 422, 'data[token-secret]'],
    ['a strange time', tokenSecret('bad001', { expiration: 'tomorrow' }), 422, 'data[expiration]'],
    ['a past time', tokenSecret('bad001', { expiration: '2020-01-01T00:00:00Z' }), 422, 'data[expiration]'],
    ['a far time', tokenSecret('bad001', { expiration: '2999-01-01T00:00:00Z' }), 422, 'data[expiration]'],
    [
      'a foreign group',
      tokenSecret('bad001', { 'auth-extra-groups': 'system:masters' }),
      422,
      'data[auth-extra-groups]',
    ],
    [
      'a strange usage',
      tokenSecret('bad001', { 'usage-bootstrap-signing': 'yes' }),
      422,
      'data[usage-bootstrap-signing]',
    ],
    ['another key', tokenSecret('bad001', { more: 'x' }), 422, 'data'],
    ['a long description', tokenSecret('bad001', { description: 'x'.repeat(2000) }), 422, 'data[description]'],
    ['bytes', { ...tokenSecret('bad001'), data: { description: '/w==' } }, 422, 'data[description]'],
    [
      'an unknown annotation of ours',
      tokenSecret('bad001', {}, { annotations: { 'rotunda.dev/admin': 'true' } }),
      422,
      'metadata.annotations',
    ],
    [
      'addresses of no node',
      tokenSecret('bad001', {}, { annotations: { 'rotunda.dev/addresses': '192.0.2.1' } }),
      422,
      'metadata.annotations[rotunda.dev/addresses]',
    ],
    [
      'a node without expiry',
      tokenSecret('bad001', { expiration: undefined }, { annotations: { 'rotunda.dev/node': 'n1' } }),
      422,
      'data[expiration]',
    ],
    [
      'a strange node',
      tokenSecret('bad001', {}, { annotations: { 'rotunda.dev/node': 'Not A Node' } }),
      422,
      'metadata.annotations[rotunda.dev/node]',
    ],
  ])('refuse %s', async (_title, body, status, field) => {
    const answer = await admin.send('POST', collection, { body });
    expect(answer.status, answer.text).toBe(status);
    type Status = {
      readonly details: { readonly kind: string; readonly causes: readonly { readonly field: string }[] };
    };
    const { details } = answer.json<Status>();
    expect(details.kind).toBe('Secret');
    expect(details.causes.map((cause) => cause.field)).toContain(field);
    expect(answer.text).not.toContain('Sensitive!');
    expect((await admin.send('GET', '/pki/v1/tokens')).json<{ items: unknown[] }>().items).toEqual([]);
  });

  it('keep no secret where it is not needed, and none in annotations, changes or the audit log', async () => {
    const annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(tokenSecret('abc123')),
    };
    await admin.send('POST', collection, { body: tokenSecret('abc123', {}, { annotations }) });
    await admin.send('PATCH', `${collection}/bootstrap-token-abc123`, {
      raw: JSON.stringify({ stringData: { description: 'x' } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const bound = { 'usage-bootstrap-signing': undefined, 'token-secret': 'fedcba9876543210' };
    const silent = await admin.send('POST', collection, { body: tokenSecret('abc124', bound) });
    expect(silent.json<Secret>().data).not.toHaveProperty('token-secret');
    const { db } = rotunda.service.context.store;
    const rows = [
      await db.selectFrom('changes').selectAll().execute(),
      await db.selectFrom('audit_events').selectAll().execute(),
      await db.selectFrom('tokens').selectAll().execute(),
    ];
    for (const secret of ['0123456789abcdef', 'fedcba9876543210']) {
      expect(JSON.stringify(rows)).not.toContain(secret);
      expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret).toString('base64'));
    }
    await admin.send('DELETE', `${collection}/bootstrap-token-abc123`);
    const ended = await db.selectFrom('tokens').selectAll().where('id', '=', 'abc123').executeTakeFirstOrThrow();
    expect(ended).toMatchObject({ state: 'revoked', wrapped_secret: null, ended: 1 });
    const again = await admin.send('POST', collection, { body: tokenSecret('abc123') });
    expect(again.json()).toMatchObject({ code: 422, details: { causes: [{ field: 'data[token-id]' }] } });
  });

  it('change as tokens may, and in nothing else', async () => {
    await admin.send('POST', collection, { body: tokenSecret('abc125', { 'usage-bootstrap-signing': undefined }) });
    const path = `${collection}/bootstrap-token-abc125`;
    const merge = (strings: Record<string, string | null>, query = ''): ReturnType<TestClient['send']> =>
      admin.send('PATCH', `${path}${query}`, {
        raw: JSON.stringify({ stringData: strings }),
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
    expect((await merge({ 'token-secret': 'aaaaaaaaaaaaaaaa' })).json()).toMatchObject({
      code: 422,
      details: { causes: [{ field: 'data[token-secret]', reason: 'FieldValueForbidden' }] },
    });
    expect((await merge({ 'usage-bootstrap-signing': 'true' })).json()).toMatchObject({
      code: 422,
      details: { causes: [{ field: 'data[token-secret]', reason: 'FieldValueRequired' }] },
    });
    const secret = { 'token-secret': '0123456789abcdef', 'usage-bootstrap-signing': 'true' };
    const rehearsed = await merge(secret, '?dryRun=All');
    expect(text(rehearsed.json<Secret>(), 'usage-bootstrap-signing')).toBe('true');
    expect((await admin.send('GET', path)).json<Secret>().data).not.toHaveProperty('usage-bootstrap-signing');
    const signing = await merge(secret);
    expect(text(signing.json<Secret>(), 'token-secret')).toBe('0123456789abcdef');
    const unchanged = await merge({ description: '' });
    expect(unchanged.json<Secret>().metadata.resourceVersion).toBe(signing.json<Secret>().metadata.resourceVersion);
    const stale = { ...tokenSecret('abc125'), metadata: { name: 'bootstrap-token-abc125', resourceVersion: '1' } };
    expect((await admin.send('PUT', path, { body: stale })).json()).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it('are listed, counted in a table, watched and deleted together', async () => {
    const path = `${rotunda.url}${collection}?watch=true&fieldSelector=type%3D${encodeURIComponent(type)}`;
    const watch = await openWatch(path, { dispatcher: admin.agent });
    for (const id of ['list01', 'list02', 'list03'])
      await admin.send('POST', collection, { body: tokenSecret(id, {}, { labels: { part: id.slice(-1) } }) });
    const page = await admin.send('GET', `${collection}?limit=2`);
    type List = { readonly items: readonly Secret[]; readonly metadata: { readonly continue: string } };
    const { items, metadata } = page.json<List>();
    expect(items.map((item) => item.metadata.name)).toEqual(['bootstrap-token-list01', 'bootstrap-token-list02']);
    const rest = await admin.send('GET', `${collection}?limit=2&continue=${metadata.continue}`);
    expect(rest.json<List>().items).toHaveLength(1);
    const table = await admin.send('GET', `${collection}?labelSelector=part%3D2`, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    });
    expect(table.json()).toMatchObject({
      kind: 'Table',
      rows: [{ cells: ['bootstrap-token-list02', type, 6, expect.stringMatching(/^\d+s$/)] }],
    });
    expect((await admin.send('GET', `${collection}?fieldSelector=spec.x%3D1`)).json()).toMatchObject({
      code: 400,
      message: 'field label not supported: spec.x',
    });
    expect((await admin.send('GET', '/api/v1/namespaces/default/secrets')).json<List>().items).toEqual([]);
    await admin.send('DELETE', `${collection}?labelSelector=part%20in%20(1,2)`);
    const events = await watch.until(5);
    expect(events.map((event) => `${event.type} ${event.object.metadata.name.slice(-2)}`)).toEqual([
      'ADDED 01',
      'ADDED 02',
      'ADDED 03',
      'DELETED 01',
      'DELETED 02',
    ]);
    expect((events[0]?.object as unknown as Secret).data).toHaveProperty('token-secret');
    expect((events[3]?.object as unknown as Secret).data).not.toHaveProperty('token-secret');
    watch.close();
  });

  it('tell a watch of one that is used up or revoked elsewhere', async () => {
    const watch = await openWatch(`${rotunda.url}/api/v1/secrets?watch=true`, { dispatcher: admin.agent });
    const { id } = (
      await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: 'n7' }, reusable: true } })
    ).json<{ id: string }>();
    await admin.send('DELETE', '/pki/v1/nodes/n7');
    const events = await watch.until(2);
    expect(events.map((event) => [event.type, event.object.metadata.name])).toEqual([
      ['ADDED', `bootstrap-token-${id}`],
      ['DELETED', `bootstrap-token-${id}`],
    ]);
    watch.close();
  });

  /** A certificate of the service's own ring. */
  const operator = async (): Promise<TestClient> => {
    const key = newEcKey();
    const request = csrPem(key, {
      subject: [
        ['O', 'rotunda:operators'],
        ['CN', 'olga'],
      ],
    });
    const body = { signerName: 'rotunda.dev/client', request };
    const { name } = (await admin.send('POST', '/pki/v1/requests', { body })).json<{ name: string }>();
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const { certificate: cert } = (await admin.send('GET', `/pki/v1/requests/${name}`)).json<{
        certificate?: string;
      }>();
      const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
      if (cert !== undefined) return rotunda.client({ cert, key: pem });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('no certificate was issued');
  };

  it('hide from operators what would give them the cluster', async () => {
    const olga = await operator();
    const annotations = { 'rotunda.dev/control-plane': 'cp1' };
    const powerful = tokenSecret('cptok1', {}, { annotations });
    expect((await olga.send('POST', collection, { body: powerful })).json()).toMatchObject({ code: 403 });
    expect((await admin.send('POST', collection, { body: powerful })).status).toBe(201);
    expect((await olga.send('POST', collection, { body: tokenSecret('unbnd1') })).status).toBe(201);
    const secretIn = (secret: Secret | undefined): string | undefined => secret && text(secret, 'token-secret');
    const list = (await olga.send('GET', collection)).json<{ items: Secret[] }>().items;
    expect(list.map(secretIn)).toEqual([undefined, '0123456789abcdef']);
    const watch = await openWatch(`${rotunda.url}${collection}?watch=true`, { dispatcher: olga.agent });
    const events = await watch.until(2);
    expect(events.map((event) => secretIn(event.object as unknown as Secret))).toEqual([undefined, '0123456789abcdef']);
    watch.close();
    const longer = { stringData: { expiration: inSeconds(5 * hour) } };
    const refused = await olga.send('PATCH', `${collection}/bootstrap-token-cptok1`, {
      raw: JSON.stringify(longer),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(refused.json()).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect(secretIn((await admin.send('GET', `${collection}/bootstrap-token-cptok1`)).json<Secret>())).toBeDefined();
    expect((await olga.send('DELETE', `${collection}/bootstrap-token-cptok1`)).status).toBe(200);
  });
});
