import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { certificatesOf, clusterInfoPath, discover, pinOf } from '../../support/kubeadm-discovery.js';
import { addAnchor } from '../../support/second-anchor.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { openWatch } from '../../support/watch.js';

type ConfigMap = {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string; readonly creationTimestamp: string };
  readonly data: Readonly<Record<string, string>>;
};

const otherPin = `sha256:${'0'.repeat(64)}`;

describeEachDatabase('the discovery of kubeadm', (newDatabase) => {
  let rotunda: TestService;
  let admin: TestClient;
  let storeUrl: string;
  let skewMs = 0;

  beforeEach(async () => {
    skewMs = 0;
    storeUrl = await newDatabase();
    const clock = { now: () => new Date(Date.now() + skewMs) };
    rotunda = await startTestService({ storeUrl, overrides: { clock } });
    admin = rotunda.client(rotunda.admin);
  });
  afterEach(() => rotunda.stop());

  const newToken = async (body: Readonly<Record<string, unknown>> = {}): Promise<string> =>
    (await admin.send('POST', '/pki/v1/tokens', { body })).json<{ token: string }>().token;
  const info = async (): Promise<ConfigMap> => (await rotunda.client().send('GET', clusterInfoPath)).json<ConfigMap>();

  it('finds the cluster with a token, pinned or not', async () => {
    const token = await newToken();
    const found = await discover(rotunda.url, token, rotunda.service.pins);
    expect(found).toMatchObject({ server: rotunda.url, ca: rotunda.ca });
    const uppercase = rotunda.service.pins.map((pin) => pin.replace(/[a-f0-9]+$/, (hex) => hex.toUpperCase()));
    expect(await discover(rotunda.url, token, [otherPin, ...uppercase])).toEqual(found);
    expect(await discover(rotunda.url, token)).toEqual(found);
  });

  it('refuses who has another token or another pin', async () => {
    const token = await newToken();
    const [id = ''] = token.split('.');
    await expect(discover(rotunda.url, token, [otherPin])).rejects.toThrow('none of the public keys is pinned');
    await expect(discover(rotunda.url, `${id}.0123456789abcdef`)).rejects.toThrow('failed to verify JWS');
    await expect(discover(rotunda.url, 'zzzzzz.0123456789abcdef')).rejects.toThrow('no JWS signed token');
    const bound = await newToken({ node: { name: 'n1' } });
    await expect(discover(rotunda.url, bound)).rejects.toThrow('no JWS signed token');
    const signing = await newToken({ node: { name: 'n2' }, usages: ['authentication', 'signing'] });
    await discover(rotunda.url, signing, rotunda.service.pins);
  });

  it('forgets a token with its end', async () => {
    const revoked = await newToken();
    const deleted = await newToken();
    const expired = await newToken({ ttlSeconds: 3600 });
    await admin.send('DELETE', `/pki/v1/tokens/${revoked.slice(0, 6)}`);
    await expect(discover(rotunda.url, revoked)).rejects.toThrow('no JWS signed token');
    await admin.send('DELETE', `/api/v1/namespaces/kube-system/secrets/bootstrap-token-${deleted.slice(0, 6)}`);
    await expect(discover(rotunda.url, deleted)).rejects.toThrow('no JWS signed token');
    await discover(rotunda.url, expired, rotunda.service.pins);
    skewMs = 3_600_001;
    await expect(discover(rotunda.url, expired)).rejects.toThrow('no JWS signed token');
  });

  it('is the same object to the byte while nothing changes, whatever host is asked for', async () => {
    await newToken();
    const answers = await Promise.all(
      ['localhost', '127.0.0.1'].map((host) => rotunda.client().send('GET', clusterInfoPath, { headers: { host } })),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const before = await info();
    await newToken();
    const together = await Promise.all(Array.from({ length: 8 }, () => rotunda.client().send('GET', clusterInfoPath)));
    expect(new Set(together.map(({ text }) => text)).size).toBe(1);
    const after = await info();
    expect(after.metadata).toMatchObject({
      uid: before.metadata.uid,
      creationTimestamp: before.metadata.creationTimestamp,
    });
    expect(Number(after.metadata.resourceVersion)).toBeGreaterThan(Number(before.metadata.resourceVersion));
    expect(after.data['kubeconfig']).toBe(before.data['kubeconfig']);
  });

  it('goes on through a change of the bundle, with the pin of either anchor', async () => {
    const token = await newToken();
    const changed: string[] = [];
    const during = discover(rotunda.url, token, rotunda.service.pins, async () => {
      changed.push(await addAnchor(rotunda.service.context, 'kubernetes'));
    });
    await expect(during).rejects.toThrow('differs from the first');
    const newPin = pinOf(changed[0] ?? '');
    const found = await discover(rotunda.url, token, rotunda.service.pins);
    expect(certificatesOf(found.ca)).toHaveLength(2);
    expect(await discover(rotunda.url, token, [newPin])).toEqual(found);
    const root = await admin.send('GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt');
    expect(root.json<ConfigMap>().data['ca.crt']).toBe(found.ca);
  });

  it('is watched by who may list, and tells of tokens that come and go', async () => {
    const path =
      '/api/v1/namespaces/kube-public/configmaps?watch=true&timeoutSeconds=86400&fieldSelector=metadata.name%3Dcluster-info';
    const watch = await openWatch(`${rotunda.url}${path}`, { dispatcher: admin.agent });
    await watch.until(1);
    const token = await newToken({ ttlSeconds: 3600 });
    const [, added] = await watch.until(2);
    const key = `jws-kubeconfig-${token.slice(0, 6)}`;
    expect(added).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'cluster-info' } } });
    expect((added?.object as unknown as ConfigMap).data).toHaveProperty([key]);
    skewMs = 3_600_001;
    const [, , expired] = await watch.until(3, 20_000);
    expect((expired?.object as unknown as ConfigMap).data).not.toHaveProperty([key]);
    watch.close();
    expect((await rotunda.client().send('GET', path)).status).toBe(403);
  });

  it('is for nobody but the anonymous, and administrators', async () => {
    const token = await newToken();
    const answer = await rotunda.client({ token }).send('GET', clusterInfoPath);
    expect(answer.json()).toMatchObject({ code: 403, reason: 'Forbidden' });
    const twin = await rotunda.client().send('GET', clusterInfoPath, { headers: { authorization: 'Bearer no' } });
    expect(twin.status).toBe(401);
    expect((await admin.send('GET', clusterInfoPath)).status).toBe(200);
  });
});

describeEachDatabase('two replicas', (newDatabase) => {
  it('publish the same cluster-info', async (context) => {
    const storeUrl = await newDatabase();
    if (storeUrl.startsWith('sqlite:')) context.skip('one process has a SQLite database');
    const config = { kubernetes: { apiServer: 'https://api.example.org:6443/' } };
    const one = await startTestService({ storeUrl, config });
    const key = { keyEncryptionKey: { file: `${one.dataDir}/test.key` } };
    const two = await startTestService({ storeUrl, config: { ...config, ...key } });
    try {
      const { token } = (await one.client(one.admin).send('POST', '/pki/v1/tokens', { body: {} })).json<{
        token: string;
      }>();
      const [first, second] = await Promise.all([one, two].map((it) => it.client().send('GET', clusterInfoPath)));
      expect(first?.text).toBe(second?.text);
      expect((await discover(two.url, token, two.service.pins)).server).toBe('https://api.example.org:6443');
      await two.client(two.admin).send('DELETE', `/pki/v1/tokens/${token.slice(0, 6)}`);
      await expect(discover(one.url, token)).rejects.toThrow('no JWS signed token');
      await addAnchor(two.service.context, 'kubernetes');
      await sleep(0);
      const [third, fourth] = await Promise.all([one, two].map((it) => it.client().send('GET', clusterInfoPath)));
      expect(third?.text).toBe(fourth?.text);
      expect(third?.text).not.toBe(first?.text);
    } finally {
      await two.stop();
      await one.stop();
    }
  });
});

describe('client and server authorities apart', () => {
  it('refuse cluster-info and say why', async () => {
    const config = {
      rings: [{ name: 'servers', commonName: 'servers' }],
      topology: { kubernetesServer: 'servers' },
    };
    const rotunda = await startTestService({ config });
    try {
      const answer = await rotunda.client().send('GET', clusterInfoPath);
      expect(answer.json()).toMatchObject({ code: 403, reason: 'Forbidden' });
      expect(answer.text).toContain('issue client and serving certificates apart');
      const list = await rotunda.client(rotunda.admin).send('GET', '/api/v1/namespaces/kube-public/configmaps');
      expect(list.json<{ items: unknown[] }>().items).toHaveLength(1);
    } finally {
      await rotunda.stop();
    }
  });
});
