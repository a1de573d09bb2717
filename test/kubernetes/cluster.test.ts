import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, CLUSTER_NEEDS, startCluster } from '../support/kubernetes/cluster.js';
import { until } from '../support/kubernetes/program.js';

describeWithKubernetes(CLUSTER_NEEDS, 'a control plane whose certificates all come from Rotunda', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(() => cluster.stop());

  it('runs, and knows its administrator by the certificate', async () => {
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const answer = await cluster.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review);
    expect(answer.status, answer.text).toBe(201);
    const { userInfo } = answer.json<{ status: { userInfo: { username: string; groups: string[] } } }>().status;
    expect(userInfo.username).toBe('kubernetes-super-admin');
    expect(userInfo.groups).toContain('system:masters');
  });

  it('has a controller manager that publishes the bundle in every namespace', async () => {
    await cluster.startControllerManager('root-ca-certificate-publisher-controller');
    const target = '/api/v1/namespaces/default/configmaps/kube-root-ca.crt';
    const published = await until('kube-root-ca.crt', async () => {
      const answer = await cluster.send('GET', target);
      return answer.status === 200 ? answer.json<{ data: Record<string, string> }>().data['ca.crt'] : undefined;
    });
    expect(published).toBe(cluster.pki.bundles.kubernetes);
    await cluster.stopControllerManager();
  });

  it('keeps what it has when its API server starts again', async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' }, data: { a: 'b' } };
    await cluster.send('POST', '/api/v1/namespaces/default/configmaps', body);
    await cluster.controlPlane.restartApiServer();
    expect((await cluster.send('GET', '/api/v1/namespaces/default/configmaps/kept')).status).toBe(200);
  });
});
