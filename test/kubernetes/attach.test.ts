import { afterAll, beforeAll, expect, it } from 'vitest';

import { inProcess, type Ran } from '../cli/rotunda.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, startCluster } from '../support/kubernetes/cluster.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const apiService = '/apis/apiregistration.k8s.io/v1/apiservices/v1.certificates.k8s.io';

describeWithKubernetes(['etcd', 'kube-apiserver'], 'attached behind an API server', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(() => cluster.stop());

  const kubernetes = (...args: string[]): Promise<Ran> =>
    inProcess([
      'kubernetes',
      ...args,
      '--kubeconfig',
      cluster.rotunda.kubeconfig,
      '--cluster-kubeconfig',
      cluster.kubeconfig,
    ]);

  const createCsr = async (name: string): Promise<{ metadata: { uid: string } }> => {
    const request = csrPem(newEcKey(), { subject: [['CN', name]] });
    const answer = await cluster.send('POST', requests, {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name, labels: { of: 'test' } },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    });
    expect(answer.status, answer.text).toBe(201);
    return answer.json();
  };

  it('says that it is not attached', async () => {
    const { code, out, err } = await kubernetes('status', '-o', 'json');
    expect(err).toContain('not attached');
    expect(code, out).toBe(3);
  });

  it('takes the group over, with what waited there', async () => {
    const made = await createCsr('waiting');
    const started = performance.now();
    const { code, out, err } = await kubernetes('attach', '-o', 'json');
    console.log(out, err, performance.now() - started);
    expect(code, err).toBe(0);
    const found = await cluster.send('GET', `${requests}/waiting`);
    expect(found.json<{ metadata: { uid: string } }>().metadata.uid).toBe(made.metadata.uid);
    const status = await kubernetes('status', '-o', 'json');
    console.log(status.out, status.err);
  });

  it('gives it back', async () => {
    const { code, out, err } = await kubernetes('detach', '-o', 'json');
    console.log(out, err);
    expect(code, err).toBe(0);
    const { spec } = (await cluster.send('GET', apiService)).json<{ spec: Record<string, unknown> }>();
    expect(spec['service']).toBeUndefined();
  });
});
