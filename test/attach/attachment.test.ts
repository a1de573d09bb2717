import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { servingCertificate } from '../../src/cli/kubernetes/serving-name.js';
import { readKubeconfig } from '../../src/kubeconfig.js';
import { inProcess } from '../cli/rotunda.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';
import { startTestService, type TestClient, type TestService } from '../support/service.js';

const service = { name: 'rotunda', namespace: 'kube-system', port: 8443 };

describe('standing behind an API server', () => {
  let rotunda: TestService;
  let admin: TestClient;

  beforeAll(async () => {
    rotunda = await startTestService();
    admin = rotunda.client(rotunda.admin);
  });

  afterAll(() => rotunda.stop());

  const presented = (): ReturnType<typeof servingCertificate> =>
    servingCertificate(
      { host: '127.0.0.1', port: Number(new URL(rotunda.url).port) },
      'rotunda.kube-system.svc',
      rotunda.ca,
    );

  it('needs the name of the Service in the serving certificate, and loses it again', async () => {
    expect(await presented()).toHaveProperty('problem');
    const answer = await admin.send('PUT', '/pki/v1/attachment', { body: { service } });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json()).toMatchObject({ service, servingRing: 'kubernetes', credential: { state: 'none' } });
    await rotunda.service.maintain();
    expect(await presented()).toHaveProperty('notAfter');
    const { attachment } = rotunda.service.context;
    expect((await attachment.status()).sink).toEqual({ state: 'manual', generation: 1 });
    expect(attachment.blocker()).toMatchObject({
      unblock: expect.stringContaining('rotunda kubernetes attach') as string,
    });
    expect((await admin.send('DELETE', '/pki/v1/attachment')).status).toBe(204);
    await rotunda.service.maintain();
    expect(await presented()).toHaveProperty('problem');
    expect(attachment.blocker()).toBeUndefined();
  });

  it('refuses what is no Service and no API server', async () => {
    for (const body of [
      {},
      { service: { ...service, name: 'Not A Name' } },
      { service: { ...service, port: 0 } },
      { service, cluster: { server: 'http://10.0.0.1', certificateAuthority: 'x' } },
      { service, colour: 'red' },
    ]) {
      expect((await admin.send('PUT', '/pki/v1/attachment', { body })).status).toBe(422);
    }
    expect((await rotunda.client().send('PUT', '/pki/v1/attachment', { body: { service } })).status).toBe(401);
  });

  it('makes its own credential for the API server, and removes it', async () => {
    // Nothing listens there: the credential does not need an answer.
    const cluster = { server: 'https://127.0.0.1:1', certificateAuthority: rotunda.ca };
    await admin.send('PUT', '/pki/v1/attachment', { body: { service, cluster } });
    await rotunda.service.maintain();
    const file = path.join(rotunda.dataDir, 'cluster.kubeconfig');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const made = readKubeconfig(file);
    expect(made).toMatchObject({ server: 'https://127.0.0.1:1', ca: rotunda.ca });
    const status = await admin.send('GET', '/pki/v1/attachment');
    expect(status.json()).toMatchObject({
      credential: { state: 'ready' },
      caBundle: { state: 'behind', problem: expect.stringContaining('cannot reach the API server') as string },
      frontProxyProblem: expect.stringContaining('cannot reach') as string,
    });
    await rotunda.service.maintain();
    expect(readKubeconfig(file).cert).toBe(made.cert);
    await admin.send('DELETE', '/pki/v1/attachment');
    await rotunda.service.maintain();
    expect(existsSync(file)).toBe(false);
  });

  it('keeps the secret of a token encrypted until the API server has it', async () => {
    const { db } = rotunda.service.context.store;
    const before = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ id: string }>();
    const cluster = { server: 'https://127.0.0.1:1', certificateAuthority: rotunda.ca };
    await admin.send('PUT', '/pki/v1/attachment', { body: { service, cluster } });
    const made = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ id: string; token: string }>();
    await rotunda.service.maintain();
    const rows = await db.selectFrom('token_secrets').selectAll().execute();
    expect(rows.map(({ token_id: id }) => id)).toEqual([made.id]);
    expect(rows[0]?.wrapped_secret?.toString('latin1')).not.toContain(made.token.split('.')[1] ?? '');
    expect((await admin.send('GET', '/pki/v1/attachment')).json()).toMatchObject({ tokenSecrets: { waiting: 1 } });
    expect(before.id).not.toBe(made.id);
    await admin.send('DELETE', `/pki/v1/tokens/${made.id}`);
    await rotunda.service.maintain();
    expect(await db.selectFrom('token_secrets').selectAll().execute()).toEqual([]);
    await admin.send('DELETE', '/pki/v1/attachment');
  });

  it('prints manifests for kubectl', async () => {
    const args = ['kubernetes', 'attach', '--kubeconfig', rotunda.kubeconfig, '--external-name', 'pki.example.org'];
    const dry = await inProcess([...args, '--dry-run']);
    expect(dry.code, dry.err).toBe(0);
    expect((await admin.send('GET', '/pki/v1/attachment')).json()).not.toHaveProperty('service');
    const { code, out, err } = await inProcess(args);
    expect(code, err).toBe(0);
    expect(out.match(/^kind: .*$/gm)).toEqual([
      'kind: Service',
      'kind: ClusterRole',
      'kind: ClusterRoleBinding',
      'kind: Role',
      'kind: RoleBinding',
      'kind: RoleBinding',
      'kind: APIService',
    ]);
    expect(out).toContain('externalName: pki.example.org');
    expect(err).toContain('kubectl patch apiservice v1.certificates.k8s.io');
    expect(await presented()).toHaveProperty('notAfter');
    await admin.send('DELETE', '/pki/v1/attachment');
  });

  it('says what is missing on the command line', async () => {
    const run = (...args: string[]): ReturnType<typeof inProcess> =>
      inProcess(['kubernetes', ...args, '--kubeconfig', rotunda.kubeconfig]);
    const status = await run('status');
    expect(status.err).toContain('--cluster-kubeconfig is missing');
    expect(status.code).toBe(1);
    expect((await run('attach', '--accept', 'anything')).err).toContain('use one of unbelieved-certificates');
    expect((await run('attach', '--endpoint', 'pki.example.org')).err).toContain('is not an IP address');
    for (const name of ['bad name', 'Pki.example.org', '10.0.0.1', 'a..b'])
      expect((await run('attach', '--external-name', name)).err).toContain('is not a DNS name');
    expect((await run('attach', '--external-name', 'pki', '--port', '70000')).err).toContain('is no port');
    const both = await run('attach', '--endpoint', '10.0.0.1', '--external-name', 'pki');
    expect(both.code).toBe(1);
  });
});

describe('requests that waited on an API server', () => {
  let rotunda: TestService;
  let admin: TestClient;

  beforeAll(async () => {
    rotunda = await startTestService();
    admin = rotunda.client(rotunda.admin);
  });

  afterAll(() => rotunda.stop());

  const imported = (name: string, spec: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
    metadata: { name, uid: randomUUID(), labels: { team: 'a' }, creationTimestamp: '2026-01-02T03:04:05Z' },
    spec: {
      request: Buffer.from(csrPem(newEcKey(), { subject: [['CN', 'alice']] })).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
      username: 'alice',
      groups: ['dev', 'system:authenticated'],
      ...spec,
    },
  });
  const send = (body: unknown): ReturnType<TestClient['send']> =>
    admin.send('POST', '/pki/v1/requests/import', { body });
  const kubectl = async (name: string): Promise<Record<string, Record<string, unknown>>> =>
    (await admin.send('GET', `/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}`)).json();

  it('keep name, uid, time, labels and requester, once', async () => {
    const body = imported('kept');
    const first = await send(body);
    expect(first.status, first.text).toBe(201);
    const stored = await kubectl('kept');
    expect(stored['metadata']).toMatchObject(body['metadata'] as object);
    expect(stored['spec']).toMatchObject({ username: 'alice', groups: ['dev', 'system:authenticated'] });
    expect((await send(body)).status).toBe(201);
    expect(await kubectl('kept')).toEqual(stored);
    const other = await send(imported('kept'));
    expect(other.status).toBe(409);
  });

  it('are decided by the rules: a node becomes only itself', async () => {
    await admin.send('POST', '/pki/v1/nodes', { body: { name: 'n1', addresses: ['10.0.0.11'] } });
    const request = (of: string): string =>
      Buffer.from(
        csrPem(newEcKey(), {
          subject: [
            ['O', 'system:nodes'],
            ['CN', `system:node:${of}`],
          ],
        }),
      ).toString('base64');
    const spec = {
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
      username: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
    };
    const itself = await send(imported('itself', { ...spec, request: request('n1') }));
    expect(itself.json()).toMatchObject({ state: 'issued' });
    const another = await send(imported('another', { ...spec, request: request('n2') }));
    expect(['denied', 'held']).toContain(another.json<{ state: string }>().state);
  });

  it('are approved where the administrator says that a person had approved them', async () => {
    const answer = await send({ ...imported('approved'), approve: true });
    expect(answer.status, answer.text).toBe(201);
    const { status } = await kubectl('approved');
    expect(status).toMatchObject({ conditions: [{ type: 'Approved', reason: 'ImportedApproval' }] });
  });

  it('are not approved where that would be more than the API server could give', async () => {
    const signer = (signerName: string, ...subject: (readonly ['CN' | 'O', string])[]): Record<string, unknown> => ({
      signerName,
      request: Buffer.from(csrPem(newEcKey(), { subject })).toString('base64'),
    });
    const own = signer('rotunda.dev/client', ['O', 'rotunda:admins'], ['CN', 'eve']);
    const proxy = signer('front-proxy.rotunda.dev/client', ['CN', 'front-proxy-client']);
    const power = signer('kubernetes.io/kube-apiserver-client', ['O', 'kubeadm:cluster-admins'], ['CN', 'eve']);
    for (const [name, spec] of Object.entries({ own, proxy, power })) {
      const answer = await send({ ...imported(name, spec), approve: true });
      expect(answer.status, answer.text).toBe(201);
      expect(['pending', 'held', 'denied']).toContain(answer.json<{ state: string }>().state);
      const { conditions = [] } = (await kubectl(name))['status'] as { conditions?: { type: string }[] };
      expect(conditions.map(({ type }) => type)).not.toContain('Approved');
    }
  });

  it('are taken from administrators only, and never as an administrator of this service', async () => {
    expect((await rotunda.client().send('POST', '/pki/v1/requests/import', { body: imported('a') })).status).toBe(401);
    const { token } = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ token: string }>();
    const asToken = rotunda.client({ token });
    expect((await asToken.send('POST', '/pki/v1/requests/import', { body: imported('b') })).status).toBe(403);
    for (const username of ['system:rotunda', 'rotunda:etcd-member:main:m1']) {
      expect((await send(imported('c', { username }))).status).toBe(403);
    }
    const groups = ['rotunda:admins'];
    const own = await send(imported('d', { groups, signerName: 'rotunda.dev/client' }));
    expect(['denied', 'held', 'pending']).toContain(own.json<{ state?: string }>().state ?? 'denied');
  });

  it('are refused where no API server would have taken them', async () => {
    for (const spec of [
      { request: 'AAAA' },
      { usages: ['no such usage'] },
      { signerName: 'nodomain' },
      { expirationSeconds: 1 },
      { username: undefined },
    ]) {
      expect((await send(imported('bad', spec))).status).toBe(422);
    }
    expect((await send({ ...imported('bad'), metadata: { name: 'bad', uid: 'none' } })).status).toBe(422);
  });
});
