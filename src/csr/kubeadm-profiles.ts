import type { Topology } from '../config/types.js';
import type { Lifetimes } from './lifetime.js';
import type { Profile } from './types.js';

type Row = {
  readonly name: string;
  readonly ring: string;
  /** Undefined: the node's name. */
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  readonly auth: readonly ('server auth' | 'client auth')[];
  readonly hostNames?: boolean;
};

/** One profile per certificate that kubeadm makes for a control plane (`certlist.go` and the kubeconfigs, 1.36). */
export function kubeadmProfiles(topology: Topology, lifetime: Lifetimes): Profile[] {
  return rows(topology).map((row) => ({
    signerName: `kubeadm.rotunda.dev/${row.name}`,
    ring: row.ring,
    description: `kubeadm's ${row.name}`,
    approval: 'control-plane',
    organizations: row.organizations ?? [],
    ...(row.commonName === undefined ? {} : { commonName: { exact: row.commonName } }),
    names: {
      dns: row.hostNames === true,
      ip: row.hostNames === true,
      email: false,
      uri: false,
      atLeastOne: row.hostNames === true,
    },
    usages: { required: ['digital signature', ...row.auth], optional: ['key encipherment'] },
    lifetime: lifetime('control-plane'),
  }));
}

function rows(topology: Topology): Row[] {
  const { kubernetesClient, kubernetesServer, etcdClient, frontProxy } = topology;
  const client = { auth: ['client auth'] } as const;
  const both = { auth: ['server auth', 'client auth'], hostNames: true } as const;
  return [
    { name: 'apiserver', ring: kubernetesServer, commonName: 'kube-apiserver', auth: ['server auth'], hostNames: true },
    {
      name: 'apiserver-kubelet-client',
      ring: kubernetesClient,
      commonName: 'kube-apiserver-kubelet-client',
      ...client,
    },
    { name: 'front-proxy-client', ring: frontProxy, commonName: 'front-proxy-client', ...client },
    { name: 'etcd-server', ring: topology.etcdServer, ...both },
    { name: 'etcd-peer', ring: topology.etcdPeer, ...both },
    { name: 'etcd-healthcheck-client', ring: etcdClient, commonName: 'kube-etcd-healthcheck-client', ...client },
    { name: 'apiserver-etcd-client', ring: etcdClient, commonName: 'kube-apiserver-etcd-client', ...client },
    {
      name: 'admin',
      ring: kubernetesClient,
      commonName: 'kubernetes-admin',
      organizations: ['kubeadm:cluster-admins'],
      ...client,
    },
    {
      name: 'super-admin',
      ring: kubernetesClient,
      commonName: 'kubernetes-super-admin',
      organizations: ['system:masters'],
      ...client,
    },
    { name: 'controller-manager', ring: kubernetesClient, commonName: 'system:kube-controller-manager', ...client },
    { name: 'scheduler', ring: kubernetesClient, commonName: 'system:kube-scheduler', ...client },
  ];
}
