import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';

import { requestClientCertificate } from '../../support/kubelet.js';
import { clusterInfoPath, discover } from '../../support/kubeadm-discovery.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';

const collection = '/api/v1/namespaces/kube-system/configmaps';
const cluster = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n';
const kubelet = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
const kubeadmConfig = { metadata: { name: 'kubeadm-config' }, data: { ClusterConfiguration: cluster } };
const kubeletConfig = { metadata: { name: 'kubelet-config' }, data: { kubelet } };

type ConfigMap = { readonly metadata: { readonly uid: string }; readonly data: Readonly<Record<string, string>> };
type List = { readonly items: readonly { readonly metadata: { readonly namespace: string; readonly name: string } }[] };

describeEachDatabase('the ConfigMaps of a join', (newDatabase) => {
  const start = async (options: Parameters<typeof startTestService>[0] = {}): Promise<[TestService, TestClient]> => {
    const rotunda = await startTestService({ storeUrl: await newDatabase(), ...options });
    onTestFinished(() => rotunda.stop());
    return [rotunda, rotunda.client(rotunda.admin)];
  };

  it('answer every path that kubeadm join asks for', async () => {
    const [rotunda, admin] = await start();
    await admin.send('POST', collection, { body: kubeadmConfig });
    await admin.send('POST', collection, { body: kubeletConfig });
    const body = { node: { name: 'n1' }, usages: ['authentication', 'signing'] };
    const { token } = (await admin.send('POST', '/pki/v1/tokens', { body })).json<{ token: string }>();
    await discover(rotunda.url, token, rotunda.service.pins);
    const joining = rotunda.client({ token });
    const statusOf = async (it: string): Promise<number> => (await joining.send('GET', it)).status;
    expect(await statusOf(`${collection}/kubeadm-config`)).toBe(200);
    expect(await statusOf(`${collection}/kube-proxy`)).toBe(403);
    expect(await statusOf(`${collection}/kubelet-config`)).toBe(200);
    const node = await joining.send('GET', '/api/v1/nodes/n1');
    expect(node.json()).toMatchObject({ code: 404, reason: 'NotFound', message: 'nodes "n1" not found' });
    const { url, ca } = rotunda;
    const joined = rotunda.client(await requestClientCertificate({ url, ca, nodeName: 'n1', token }));
    expect((await joined.send('GET', `${collection}/kubelet-config`)).json<ConfigMap>().data).toEqual({ kubelet });
    expect((await joined.send('GET', collection)).status).toBe(403);
    expect((await joined.send('GET', clusterInfoPath)).status).toBe(403);
  });

  it('are put there, changed and taken away by administrators', async () => {
    const [rotunda, admin] = await start();
    const bad = await admin.send('POST', collection, { body: { ...kubeletConfig, data: { kubelet: 'kind: Pod' } } });
    expect(bad.json()).toMatchObject({
      code: 422,
      details: { kind: 'ConfigMap', name: 'kubelet-config', causes: [{ field: 'data[kubelet]' }] },
    });
    for (const name of ['other', 'cluster-info', 'kube-root-ca.crt']) {
      const refused = await admin.send('POST', collection, { body: { metadata: { name }, data: {} } });
      expect(refused.json()).toMatchObject({ code: 403, details: { name, kind: 'configmaps' } });
    }
    const binary = await admin.send('POST', collection, { body: { ...kubeletConfig, binaryData: { a: 'AA==' } } });
    expect(binary.json()).toMatchObject({ code: 422, details: { causes: [{ field: 'binaryData' }] } });
    const rehearsed = await admin.send('POST', `${collection}?dryRun=All`, { body: kubeletConfig });
    expect(rehearsed.status).toBe(201);
    expect((await admin.send('GET', `${collection}/kubelet-config`)).status).toBe(404);
    expect((await admin.send('POST', collection, { body: kubeletConfig })).status).toBe(201);
    expect((await admin.send('POST', collection, { body: kubeletConfig })).status).toBe(409);
    const applied = await admin.send('PATCH', `${collection}/kubeadm-config?fieldManager=test`, {
      raw: stringify({ apiVersion: 'v1', kind: 'ConfigMap', ...kubeadmConfig }),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
    expect(applied.status, applied.text).toBe(201);
    const patched = await admin.send('PATCH', `${collection}/kubelet-config`, {
      raw: JSON.stringify({ data: { kubelet: `${kubelet}maxPods: 42\n` } }),
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    });
    expect(patched.json<ConfigMap>().data['kubelet']).toContain('maxPods');
    expect((await admin.send('DELETE', `${collection}/kubelet-config`)).status).toBe(200);
    expect((await admin.send('DELETE', `${collection}/kubelet-config`)).status).toBe(404);
    const anonymous = rotunda.client();
    expect((await anonymous.send('POST', collection, { body: kubeletConfig })).status).toBe(403);
  });

  it('come from files before what was imported', async () => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-join-'));
    onTestFinished(() => {
      rmSync(dataDir, { recursive: true, force: true });
    });
    const storeUrl = await newDatabase();
    const before = await startTestService({ storeUrl, dataDir });
    await before.client(before.admin).send('POST', collection, { body: kubeletConfig });
    await before.stop();
    const file = path.join(dataDir, 'join.yaml');
    const data = { kubelet: `${kubelet}maxPods: 7\n` };
    writeFileSync(file, stringify({ apiVersion: 'v1', kind: 'ConfigMap', ...kubeletConfig, data }));
    const configured = await startTestService({ storeUrl, dataDir, config: { kubernetes: { configMaps: [file] } } });
    const admin = configured.client(configured.admin);
    expect((await admin.send('GET', `${collection}/kubelet-config`)).json<ConfigMap>().data).toEqual(data);
    const refused = await admin.send('DELETE', `${collection}/kubelet-config`);
    expect(refused.json()).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect(refused.text).toContain('kubernetes.configMaps');
    await configured.stop();
    const [, after] = await start({ storeUrl, dataDir });
    expect((await after.send('GET', `${collection}/kubelet-config`)).json<ConfigMap>().data).toEqual({ kubelet });
  });

  it('give every namespace the anchors', async () => {
    const [rotunda, admin] = await start();
    const { token } = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ token: string }>();
    const rootOf = async (namespace: string): Promise<ConfigMap> =>
      (
        await rotunda.client({ token }).send('GET', `/api/v1/namespaces/${namespace}/configmaps/kube-root-ca.crt`)
      ).json<ConfigMap>();
    const [first, second] = [await rootOf('default'), await rootOf('team-a')];
    expect(first.data).toEqual({ 'ca.crt': rotunda.ca });
    expect(second.data).toEqual(first.data);
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    expect(first).toMatchObject({
      metadata: { annotations: { 'kubernetes.io/description': expect.any(String) as string } },
    });
    expect(await rootOf('Not%20One')).toMatchObject({ code: 404 });
    const all = (await admin.send('GET', '/api/v1/configmaps')).json<List>().items;
    expect(all.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual([
      'default/kube-root-ca.crt',
      'kube-node-lease/kube-root-ca.crt',
      'kube-public/cluster-info',
      'kube-public/kube-root-ca.crt',
      'kube-system/kube-root-ca.crt',
    ]);
  });
});
