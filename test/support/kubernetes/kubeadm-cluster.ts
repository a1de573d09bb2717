import { readFileSync } from 'node:fs';

import { stringify } from 'yaml';

import type { Cluster } from './cluster.js';
import { kubeadm } from './kubeadm.js';
import { type Ended, type Machine, writeInside } from './machine.js';

/**
 * What `kubeadm init` puts into a cluster for those who join: kubeadm-config, kubelet-config, cluster-info, and who may
 * read them. By kubeadm's own phases; the bootstrap token that one of them makes is deleted again.
 */
export async function kubeadmInitPhases(cluster: Cluster, machine: Machine, kubelet: object): Promise<void> {
  writeInside(machine, '/etc/kubernetes/admin.conf', readFileSync(cluster.kubeconfig, 'utf8'));
  writeInside(machine, '/etc/kubernetes/init.yaml', initConfiguration(cluster, machine, kubelet));
  const phases = [['upload-config', 'kubeadm'], ['upload-config', 'kubelet'], ['bootstrap-token']];
  for (const phase of phases) {
    const ended = await kubeadm(machine, [
      ...['init', 'phase', ...phase],
      '--kubeconfig=/etc/kubernetes/admin.conf',
      '--config=/etc/kubernetes/init.yaml',
    ]);
    expectOk(`kubeadm init phase ${phase.join(' ')}`, ended);
  }
  await cluster.send('DELETE', '/api/v1/namespaces/kube-system/secrets/bootstrap-token-aaaaaa');
}

/** Throws with everything that a program wrote unless it ended well. */
export function expectOk(what: string, ended: Ended & { readonly kubelet?: string }): void {
  const { code, stdout, stderr, kubelet = '' } = ended;
  if (code === 0) return;
  throw new Error(`${what} ended with ${String(code)}\n${stdout}${stderr}\n== kubelet\n${kubelet.slice(-5000)}`);
}

function initConfiguration(cluster: Cluster, { address }: Machine, kubelet: object): string {
  const endpoint = new URL(cluster.url).host;
  const documents = [
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'InitConfiguration',
      bootstrapTokens: [{ token: 'aaaaaa.bbbbbbbbbbbbbbbb' }],
      localAPIEndpoint: { advertiseAddress: address, bindPort: cluster.controlPlane.port },
      nodeRegistration: { name: 'cp1', criSocket: 'unix:///var/lib/containerd/containerd.sock' },
    },
    clusterConfiguration(endpoint),
    kubelet,
  ];
  return documents.map((document) => stringify(document)).join('---\n');
}

/** The ClusterConfiguration of a cluster whose API server is at HOST:PORT. */
export function clusterConfiguration(endpoint: string): object {
  return {
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'ClusterConfiguration',
    clusterName: 'kubernetes',
    controlPlaneEndpoint: endpoint,
    kubernetesVersion: 'v1.36.3',
    networking: { dnsDomain: 'cluster.local', serviceSubnet: '10.96.0.0/12' },
  };
}
