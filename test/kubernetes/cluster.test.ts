import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, startCluster } from '../support/kubernetes/cluster.js';

describeWithKubernetes(['etcd', 'kube-apiserver'], 'a control plane whose certificates all come from Rotunda', () => {
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
});
