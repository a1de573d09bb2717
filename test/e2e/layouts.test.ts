import { X509Certificate } from 'node:crypto';

import { afterEach, expect, it } from 'vitest';

import { opensslVerify } from '../ca/verifiers.js';
import { requestClientCertificate, requestServingCertificate } from '../support/kubelet.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { csrPem, keyPem, newEcKey } from '../support/pkcs10.js';
import { certificateOf, startTestService, type TestClient, type TestService } from '../support/service.js';

const running: TestService[] = [];

afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

async function start(config: Record<string, unknown>): Promise<{ service: TestService; admin: TestClient }> {
  const service = await startTestService({ config });
  running.push(service);
  return { service, admin: service.client(service.admin) };
}

async function bundleOf(service: TestService, ring: string): Promise<string> {
  const headers = { accept: 'application/pem-certificate-chain' };
  return (await service.client().send('GET', `/pki/v1/rings/${ring}/bundle`, { headers })).text;
}

type Pair = { cert: string; key: string };

async function nodePair(service: TestService, admin: TestClient): Promise<{ client: Pair; serving: Pair }> {
  const body = { node: { name: 'worker', addresses: ['192.0.2.7'] } };
  const { token } = (await admin.send('POST', '/pki/v1/tokens', { body })).json<{ token: string }>();
  const options = { url: service.url, ca: service.ca, nodeName: 'worker' };
  const client = await requestClientCertificate({ ...options, token });
  const names = { dns: ['worker'], ips: ['192.0.2.7'] };
  return { client, serving: await requestServingCertificate({ ...options, credential: client, ...names }) };
}

async function memberCertificates(service: TestService, admin: TestClient): Promise<Record<string, string>> {
  await admin.send('POST', '/pki/v1/etcd-clusters', { body: { name: 'main', clientNames: [] } });
  const urls = { peerUrls: ['https://192.0.2.8:2380'], clientUrls: ['https://192.0.2.8:2379'] };
  await admin.send('POST', '/pki/v1/etcd-clusters/main/members', { body: { name: 'm1', ...urls } });
  const etcdMember = { cluster: 'main', name: 'm1' };
  const { token } = (await admin.send('POST', '/pki/v1/tokens', { body: { etcdMember } })).json<{ token: string }>();
  const issued: Record<string, string> = {};
  for (const profile of ['peer', 'server', 'client']) {
    const names = profile === 'client' ? {} : { dns: ['m1'], ips: ['192.0.2.8'] };
    const request = csrPem(newEcKey(), { subject: [['CN', 'm1']], ...names });
    const body = { signerName: `etcd.rotunda.dev/${profile}`, request };
    const answer = await service.client({ token }).send('POST', '/pki/v1/requests', { body });
    expect(answer.status, answer.text).toBe(201);
    issued[profile] = answer.json<{ certificate: string }>().certificate;
  }
  return issued;
}

describeWithPeer('openssl', 'a layout of rings', () => {
  const verify = (leaf: string, anchors: string, purpose?: 'sslclient' | 'sslserver'): string =>
    opensslVerify(requirePeer('openssl'), { leaf, anchors }, purpose);

  it('split finer gives every purpose its own CA, each with its own kind of key', async () => {
    const { service, admin } = await start({
      topology: { kubernetesServer: 'serving', etcdPeer: 'etcd-peer', etcdServer: 'etcd-server' },
      rings: [
        { name: 'kubernetes', keyType: 'ed25519' },
        { name: 'serving', keyType: 'rsa-2048' },
        { name: 'etcd', keyType: 'ec-p384' },
        { name: 'etcd-peer', keyType: 'rsa-3072' },
        { name: 'rotunda', keyType: 'ec-p384' },
      ],
    });
    const { client, serving } = await nodePair(service, admin);
    const etcd = await memberCertificates(service, admin);
    const leaves = [
      [client.cert, 'kubernetes', 'sslclient'],
      [serving.cert, 'serving', 'sslserver'],
      [etcd['peer'] ?? '', 'etcd-peer', 'sslserver'],
      [etcd['server'] ?? '', 'etcd-server', 'sslclient'],
      [etcd['client'] ?? '', 'etcd', 'sslclient'],
      [service.admin.cert, 'rotunda', 'sslclient'],
    ] as const;
    const rings = leaves.map(([, ring]) => ring);
    for (const [leaf, ring, purpose] of leaves) {
      for (const other of rings) {
        const bundle = await bundleOf(service, other);
        if (other === ring) expect(verify(leaf, bundle, purpose)).toContain('OK');
        else expect(() => verify(leaf, bundle), `${ring} by ${other}`).toThrow();
      }
    }
    // The service is itself served by the ring of servers, which its kubeconfig trusts.
    expect(service.ca).toBe(await bundleOf(service, 'serving'));
    const key = new X509Certificate(await bundleOf(service, 'kubernetes')).publicKey;
    expect(key.asymmetricKeyType).toBe('ed25519');
    // A serving certificate opens nothing: it is of a ring that authenticates nobody.
    expect((await service.client(serving).send('GET', '/pki/v1/whoami')).status).toBe(401);
    expect((await service.client(client).send('GET', '/pki/v1/whoami')).json()).toMatchObject({ node: 'worker' });
  });

  it('collapsed into one ring still tells nodes, members and administrators apart', async () => {
    const one = 'everything';
    const { service, admin } = await start({
      allowInsecureSharedCA: true,
      topology: Object.fromEntries(
        ['kubernetesClient', 'kubernetesServer', 'etcdPeer', 'etcdServer', 'etcdClient', 'frontProxy', 'rotunda'].map(
          (purpose) => [purpose, one],
        ),
      ),
    });
    const { client, serving } = await nodePair(service, admin);
    const etcd = await memberCertificates(service, admin);
    const bundle = await bundleOf(service, one);
    for (const leaf of [client.cert, serving.cert, service.admin.cert, ...Object.values(etcd)])
      expect(verify(leaf, bundle)).toContain('OK');
    expect((await admin.send('GET', '/pki/v1/rings')).json<{ items: unknown[] }>().items).toHaveLength(1);
    const node = service.client(client);
    expect((await node.send('GET', '/pki/v1/whoami')).json()).toMatchObject({ node: 'worker' });
    expect((await node.send('GET', '/pki/v1/tokens')).status).toBe(403);
  });

  it('collapsed never lets another profile make an administrator', async () => {
    const { service, admin } = await start({ allowInsecureSharedCA: true, topology: { rotunda: 'kubernetes' } });
    const key = newEcKey();
    const request = csrPem(key, {
      subject: [
        ['O', 'rotunda:admins'],
        ['CN', 'mallory'],
      ],
    });
    const body = { signerName: 'kubernetes.io/kube-apiserver-client', request };
    const { name } = (await admin.send('POST', '/pki/v1/requests', { body })).json<{ name: string }>();
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    await expect(certificateOf(admin, name)).rejects.toThrow(/failed.*rotunda:admins/);
    // Nor does a person of that name in the ring of the cluster become one.
    const person = csrPem(key, { subject: [['CN', 'admin']] });
    const asked = await admin.send('POST', '/pki/v1/requests', {
      body: { signerName: 'kubernetes.io/kube-apiserver-client', request: person },
    });
    const { name: second } = asked.json<{ name: string }>();
    await admin.send('POST', `/pki/v1/requests/${second}/approve`, { body: {} });
    const impostor = service.client({ cert: await certificateOf(admin, second), key: keyPem(key) });
    expect((await impostor.send('GET', '/pki/v1/tokens')).status).toBe(403);
  });
});
