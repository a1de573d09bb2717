import { createHash } from 'node:crypto';

import { Agent, request } from 'undici';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { caBundleSink } from '../../src/attach/ca-bundle-sink.js';
import { createClusterClient } from '../../src/attach/client.js';
import { giveBackPatch } from '../../src/attach/manifests.js';
import { readKubeconfig } from '../../src/kubeconfig.js';
import { attachedCluster, requestsPath } from '../support/kubernetes/attached.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, startCluster } from '../support/kubernetes/cluster.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';

const label = 'kube-aggregator.kubernetes.io/automanaged';
const secrets = '/api/v1/namespaces/kube-system/secrets';

describeWithKubernetes(['etcd', 'kube-apiserver', 'kubectl'], 'attached behind an API server', () => {
  let cluster: Cluster;
  const { kubernetes, kubectl, createCsr, getCsr, untilCsr, apiService } = attachedCluster(() => cluster);

  beforeAll(async () => {
    // Believed as the API server publishes it, not as the ring that happens to be its CA's.
    cluster = await startCluster({ service: { config: { frontProxy: { allowedNames: ['nobody'] } } } });
    // kubeadm binds these when it makes a cluster.
    for (const [name, role, group] of [
      ['kubelet-bootstrap', 'system:node-bootstrapper', 'system:bootstrappers:kubeadm:default-node-token'],
    ]) {
      await kubectl(
        'create',
        'clusterrolebinding',
        name ?? '',
        `--clusterrole=${role ?? ''}`,
        `--group=${group ?? ''}`,
      );
    }
  });

  afterAll(() => cluster.stop());

  it('says that it is not attached', async () => {
    const { code, err } = await kubernetes('status', '-o', 'json');
    expect(err).toContain('not attached');
    expect(code).toBe(3);
  });

  it('looks without changing anything', async () => {
    const { code, out, err } = await kubernetes('attach', '--dry-run');
    expect(code, err).toBe(0);
    expect(out).toContain('kind: APIService');
    expect((await apiService()).spec['service']).toBeUndefined();
    const services = await kubectl('get', 'services', '-n', 'kube-system', '-o', 'name');
    expect(services).not.toContain('rotunda');
    const answer = await cluster.rotunda.client(cluster.rotunda.admin).send('GET', '/pki/v1/attachment');
    expect(answer.json()).not.toHaveProperty('service');
  });

  it('takes the group over, with what waits there as it is there', async () => {
    const waiting = await createCsr('waiting');
    await createCsr('approved');
    await kubectl('certificate', 'approve', 'approved');
    await createCsr('denied');
    await kubectl('certificate', 'deny', 'denied');
    const foreign = await createCsr('foreign', { signerName: 'example.org/other' });
    await kubectl('certificate', 'approve', 'foreign');
    const { code, out, err } = await kubernetes('attach', '-o', 'json');
    expect(code, err).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      available: true,
      imported: { imported: ['approved', 'foreign', 'waiting'], unapproved: ['approved'], refused: [] },
    });
    expect(err).toContain('there is one replica');
    const { metadata, spec } = await getCsr('waiting');
    expect(metadata).toMatchObject({ uid: waiting.metadata.uid, labels: { of: 'test' } });
    expect(spec).toMatchObject({
      username: 'kubernetes-super-admin',
      groups: ['system:masters', 'system:authenticated'],
    });
    // A person's approval is asked for anew where Rotunda signs; another signer goes by the one that it has.
    expect((await getCsr('approved')).status.conditions).toBeUndefined();
    const kept = await getCsr('foreign');
    expect(kept.metadata.uid).toBe(foreign.metadata.uid);
    expect(kept.status.conditions).toMatchObject([{ type: 'Approved', reason: 'KubectlApprove' }]);
    expect((await cluster.send('GET', `${requestsPath}/denied`)).status).toBe(404);
  });

  it('says how it stands', async () => {
    const { code, out, err } = await kubernetes('status', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({
      attached: true,
      service: { name: 'rotunda', namespace: 'kube-system' },
      available: { status: 'True', reason: 'Passed' },
      caBundle: { current: true, keptBy: 'service' },
      serving: { name: 'rotunda.kube-system.svc' },
      frontProxy: { allowedNames: ['front-proxy-client'] },
      credential: { state: 'ready' },
      problems: [],
    });
    expect(code, err).toBe(0);
  });

  it('serves kubectl through the API server', async () => {
    expect(await kubectl('get', 'csr', 'waiting')).toContain('Pending');
    await kubectl('certificate', 'approve', 'waiting');
    const { status } = await untilCsr('waiting', (csr) => csr.status.certificate !== undefined);
    expect(status.conditions).toMatchObject([{ type: 'Approved', reason: 'KubectlApprove' }]);
    expect(await kubectl('describe', 'csr', 'waiting')).toContain('kubernetes-super-admin');
    await kubectl('delete', 'csr', 'waiting');
    const events = await cluster.rotunda.service.context.store.db
      .selectFrom('audit_events')
      .select(['action', 'actor', 'detail'])
      .where('name', '=', 'waiting')
      .execute();
    expect(events.map(({ action }) => action)).toContain('request.imported');
    expect(events.find(({ action }) => action === 'request.imported')).toMatchObject({ actor: 'admin' });
  });

  it('lets a node join with a token of Rotunda, and takes the token away', async () => {
    const admin = cluster.rotunda.client(cluster.rotunda.admin);
    const made = await admin.send('POST', '/pki/v1/tokens', {
      body: { node: { name: 'n1', addresses: ['10.0.0.11'] } },
    });
    const { token, id } = made.json<{ token: string; id: string }>();
    await cluster.rotunda.service.maintain();
    const secret = (await cluster.send('GET', `${secrets}/bootstrap-token-${id}`)).json<{
      type: string;
      metadata: { labels: Record<string, string> };
      data: Record<string, string>;
    }>();
    expect(secret.type).toBe('bootstrap.kubernetes.io/token');
    expect(secret.metadata.labels['app.kubernetes.io/managed-by']).toBe('rotunda');
    expect(Object.keys(secret.data)).toContain('expiration');

    const key = newEcKey();
    const csr = csrPem(key, {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'system:node:n1'],
      ],
    });
    const agent = new Agent({ connect: { ca: cluster.pki.bundles.kubernetes } });
    const answer = await request(`${cluster.url}${requestsPath}`, {
      method: 'POST',
      dispatcher: agent,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name: 'n1' },
        spec: {
          request: Buffer.from(csr).toString('base64'),
          signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
          usages: ['digital signature', 'client auth'],
        },
      }),
    });
    const text = await answer.body.text();
    await agent.destroy();
    expect(answer.statusCode, text).toBe(201);
    const { spec, status } = await untilCsr('n1', ({ status }) => status.certificate !== undefined);
    expect(spec.username).toBe(`system:bootstrap:${id}`);
    expect(status.conditions).toMatchObject([{ type: 'Approved' }]);

    await admin.send('DELETE', `/pki/v1/tokens/${id}`);
    await cluster.rotunda.service.maintain();
    expect((await cluster.send('GET', `${secrets}/bootstrap-token-${id}`)).status).toBe(404);
  });

  it('leaves a Secret alone that somebody else made, and says so', async () => {
    const foreign = {
      'token-id': 'abcdef',
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
    };
    const made = await cluster.send('POST', secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'bootstrap-token-abcdef' },
      type: 'bootstrap.kubernetes.io/token',
      stringData: foreign,
    });
    expect(made.status).toBe(201);
    const admin = cluster.rotunda.client(cluster.rotunda.admin);
    await admin.send('POST', '/pki/v1/tokens', { body: { token: 'abcdef.aaaaaaaaaaaaaaaa' } });
    await cluster.rotunda.service.maintain();
    expect((await kubernetes('status', '-o', 'json')).out).toContain(
      'bootstrap-token-abcdef in kube-system that this service did not make',
    );
    await admin.send('DELETE', '/pki/v1/tokens/abcdef');
    await cluster.rotunda.service.maintain();
    expect((await cluster.send('GET', `${secrets}/bootstrap-token-abcdef`)).status).toBe(200);
    expect((await kubernetes('status', '-o', 'json')).code).toBe(0);
  });

  it('keeps the bundle in the APIService in step', async () => {
    const { ca, attachment } = cluster.rotunda.service.context;
    const client = createClusterClient(readKubeconfig(cluster.kubeconfig));
    const { name, namespace, port } = (await apiService()).spec['service'] as {
      name: string;
      namespace: string;
      port: number;
    };
    const record = { service: { name, namespace, port }, since: 0, by: 'test' };
    // The bundle of a rotation on its way: an anchor more.
    const next = {
      ...ca.bundle('kubernetes'),
      generation: 2,
      pem: ca.bundle('kubernetes').pem + ca.bundle('etcd').pem,
    };
    const sink = caBundleSink({ bundle: () => next, logger: pino({ level: 'silent' }) });
    await sink.keep(client, record, { readOnly: true });
    expect(sink.state()).toMatchObject({ state: 'behind', problem: 'another replica writes it' });
    await sink.keep(client, record);
    expect(sink.state()).toEqual({ state: 'in-step', generation: 2 });
    await client.close();
    expect((await apiService()).spec['caBundle']).toBe(Buffer.from(next.pem).toString('base64'));
    const behind = await kubernetes('status', '-o', 'json');
    expect(behind.code).toBe(2);
    expect(behind.out).toContain('is not the current one');
    await cluster.rotunda.service.maintain();
    expect((await apiService()).spec['caBundle']).toBe(Buffer.from(ca.bundle('kubernetes').pem).toString('base64'));
    expect(attachment.blocker()).toBeUndefined();
  });

  it('changes nothing when it is attached again', async () => {
    const before = createHash('sha256')
      .update(JSON.stringify((await apiService()).spec))
      .digest('hex');
    const { code, err } = await kubernetes('attach', '-o', 'json');
    expect(code, err).toBe(0);
    const after = createHash('sha256')
      .update(JSON.stringify((await apiService()).spec))
      .digest('hex');
    expect(after).toBe(before);
  });

  it('gives the group back, with what was there, twice without harm', async () => {
    const { code, out, err } = await kubernetes('detach', '-o', 'json');
    expect(code, err).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ group: 'given back', pending: ['approved', 'foreign'] });
    const { metadata, spec } = await apiService();
    expect(spec).not.toHaveProperty('service');
    expect(spec).not.toHaveProperty('caBundle');
    expect(metadata.labels).toEqual({ [label]: 'onstart' });
    expect(await kubectl('get', 'csr', 'denied')).toContain('Denied');
    const all = await kubectl('get', 'service,role,rolebinding,clusterrole,clusterrolebinding', '-A', '-o', 'name');
    expect(all).not.toContain('rotunda');
    const again = await kubernetes('detach', '-o', 'json');
    expect(JSON.parse(again.out)).toMatchObject({ group: 'was not handed over', deleted: [] });
    expect(again.code).toBe(0);
  });

  it('is given back by kubectl alone while Rotunda is dead', async () => {
    const { code, err } = await kubernetes('attach');
    expect(code, err).toBe(0);
    const command = /kubectl patch (.*)/.exec(err)?.[1] ?? '';
    expect(command).toContain(JSON.stringify(giveBackPatch));
    await cluster.rotunda.service.stop();
    expect((await cluster.send('GET', requestsPath)).status).toBe(503);
    const [, type = '', patch = ''] = /(--type=\S+) -p '(.*)'/.exec(command) ?? [];
    await kubectl('patch', 'apiservice', 'v1.certificates.k8s.io', type, '-p', patch);
    const answer = await cluster.send('GET', requestsPath);
    expect(answer.status, answer.text).toBe(200);
    const cleaned = await kubernetes('detach', '-o', 'json');
    expect(cleaned.code, cleaned.err).toBe(0);
    expect(cleaned.err).toContain('warning: cannot reach');
    expect(JSON.parse(cleaned.out)).toMatchObject({ group: 'was not handed over' });
    expect(cleaned.out).toContain('Service/rotunda');
  });
});
