import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { attachedCluster } from '../support/kubernetes/attached.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, CLUSTER_NEEDS, startCluster } from '../support/kubernetes/cluster.js';
import { hostAddress } from '../support/kubernetes/machine.js';
import { until } from '../support/kubernetes/program.js';

/** An API server that knows its administrator by a token, so that its client CAs can be taken away. */
describeWithKubernetes([...CLUSTER_NEEDS, 'kubectl'], 'attaching is refused', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rotunda-attach-'));
  const tokens = path.join(dir, 'tokens.csv');
  const kubeconfig = path.join(dir, 'token.conf');
  let cluster: Cluster;
  const { kubernetes, apiService, kubectl } = attachedCluster(
    () => cluster,
    () => kubeconfig,
  );

  beforeAll(async () => {
    writeFileSync(tokens, 'an-administrator-of-the-test,admin,admin,"system:masters"\n', { mode: 0o600 });
    cluster = await startCluster({
      service: { config: { listen: '0.0.0.0:0' } },
      apiServerArgs: [
        `--token-auth-file=${tokens}`,
        '--requestheader-allowed-names=',
        // Without kube-proxy nothing listens at a cluster IP.
        '--enable-aggregator-routing=true',
      ],
    });
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [
        { name: 'test', cluster: { server: cluster.url, 'certificate-authority': cluster.pki.file('ca.crt.kept') } },
      ],
      users: [{ name: 'test', user: { token: 'an-administrator-of-the-test' } }],
    };
    writeFileSync(cluster.pki.file('ca.crt.kept'), cluster.pki.bundles.kubernetes);
    writeFileSync(kubeconfig, stringify(config));
  });

  afterAll(async () => {
    await cluster.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const untouched = async (): Promise<void> => {
    expect((await apiService()).spec['service']).toBeUndefined();
    expect(await kubectl('get', 'services,apiservices,clusterroles', '-A', '-o', 'name')).not.toContain('rotunda');
    const answer = await cluster.rotunda.client(cluster.rotunda.admin).send('GET', '/pki/v1/attachment');
    expect(answer.json()).not.toHaveProperty('service');
    expect(await kubectl('get', 'csr', '-o', 'name')).toBe('');
  };

  it('while every certificate of the request-header CA may speak for anybody', async () => {
    const { code, err } = await kubernetes('attach');
    expect(code).toBe(2);
    expect(err).toContain('--requestheader-allowed-names');
    expect(err).toContain('--accept any-front-proxy');
    await untouched();
  });

  it("while the API server does not believe the ring's client certificates", async () => {
    const file = cluster.pki.file('ca.crt');
    writeFileSync(file, readFileSync(cluster.pki.file('etcd/ca.crt')));
    try {
      await new Promise((resolve) => setTimeout(resolve, 3000));
      const { code, err } = await kubernetes('attach', '--accept', 'any-front-proxy');
      expect(code, err).toBe(2);
      expect(err).toContain('--client-ca-file');
      expect(err).toContain('401');
      expect(err).toContain('--accept unbelieved-certificates');
    } finally {
      writeFileSync(file, cluster.pki.bundles.kubernetes);
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
    await untouched();
  });

  it("while kube-controller-manager's approver runs", async () => {
    await cluster.startControllerManager('*');
    const { code, err } = await kubernetes('attach', '--accept', 'any-front-proxy');
    await cluster.stopControllerManager();
    expect(code, err).toBe(2);
    expect(err).toMatch(/kube-controller-manager's approver.* for requests still run/);
    expect(err).toContain('--controllers: -certificatesigningrequest-signing-controller');
    expect(err).toContain('--accept running-controllers');
    await untouched();
  });

  it('while the API server cannot reach the service', async () => {
    const address = hostAddress() ?? '10.255.255.1';
    const args = ['--endpoint', address, '--port', '1', '--wait', '8s'];
    const { code, err } = await kubernetes('attach', '--accept', 'any-front-proxy', ...args);
    expect(code, err).toBe(2);
    expect(err).toContain('the API server cannot use this service: FailedDiscoveryCheck');
    expect(err).toContain('--accept unreachable');
    await untouched();
  });

  it('to take what another service has, and gives the group back when it is told to go on and nothing answers', async () => {
    await cluster.startControllerManager('*,-certificatesigningrequest-approving-controller');
    const address = hostAddress() ?? '10.255.255.1';
    const args = ['--endpoint', address, '--port', '1', '--wait', '5s'];
    const given = await kubernetes('attach', '--accept', 'any-front-proxy', '--accept', 'unreachable', ...args);
    await cluster.stopControllerManager();
    expect(given.code, given.err).toBe(2);
    expect(given.err).toContain('has the group back');
    await untouched();
    const service = { name: 'other', namespace: 'default', port: 443 };
    const patch = JSON.stringify({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': null } },
      spec: { service, caBundle: Buffer.from(cluster.pki.bundles.kubernetes).toString('base64') },
    });
    await kubectl('patch', 'apiservice', 'v1.certificates.k8s.io', '--type=merge', '-p', patch);
    const { code, err } = await kubernetes('attach', '--accept', 'any-front-proxy');
    expect(code).toBe(2);
    expect(err).toContain('default/other');
    expect(err).toContain('--accept other-backend');
    expect((await kubernetes('detach')).code).toBe(0);
    await untouched();
  });

  it('not when its addresses are given and the risk is accepted', async () => {
    const address = hostAddress();
    if (address === undefined) return;
    const { code, err } = await kubernetes('attach', '--accept', 'any-front-proxy', '--endpoint', address);
    expect(code, err).toBe(0);
    expect(await kubectl('get', 'csr')).toContain('kubeadm.rotunda.dev/apiserver');
    const { out } = await kubernetes('status', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ attached: true, replicas: 1, available: { status: 'True' } });
    expect(out).toContain('empty list of requestheader-allowed-names');
    expect(out).toContain('there is one replica behind the Service');
    expect((await kubernetes('detach')).code).toBe(0);
    await untouched();
  });

  it('not by kubectl, which applies what is printed; that survives a restart of the API server', async () => {
    const address = hostAddress();
    if (address === undefined) return;
    const { code, out, err } = await kubernetes('attach', '--print', '--endpoint', address);
    expect(code, err).toBe(0);
    const file = path.join(dir, 'manifests.yaml');
    writeFileSync(file, out);
    await kubectl('apply', '-f', file);
    await kubectl('wait', 'apiservice', 'v1.certificates.k8s.io', '--for=condition=Available', '--timeout=60s');
    await cluster.controlPlane.restartApiServer();
    await until('the group', async () => {
      const list = await kubectl('get', 'csr').catch(() => '');
      return list.includes('kubeadm.rotunda.dev/apiserver') || undefined;
    });
    expect((await apiService()).spec['service']).toMatchObject({ name: 'rotunda' });
    expect((await kubernetes('detach')).code).toBe(0);
    await untouched();
  });
});
