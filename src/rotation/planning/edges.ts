import type { Topology } from '../../config/types.js';

/** Who shows certificates of a profile to whom. */
export type Edge = {
  /** Undefined for a ring that serves none. */
  readonly purpose: keyof Topology | undefined;
  /** Class of those that present. */
  readonly presenter: string;
  readonly profiles: readonly string[];
  /** Classes of those that verify. */
  readonly verifiers: readonly string[];
};

const kubeadm = (name: string): string => `kubeadm.rotunda.dev/${name}`;
/** Whoever has a certificate for the Kubernetes API may show it to anything that asks the API server about callers. */
const delegating = ['extension-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet'] as const;

const edges: readonly Edge[] = [
  {
    purpose: 'kubernetesClient',
    presenter: 'kubelet',
    profiles: ['kubernetes.io/kube-apiserver-client-kubelet'],
    verifiers: ['kube-apiserver', 'rotunda'],
  },
  {
    purpose: 'kubernetesClient',
    presenter: 'kubeconfig',
    profiles: ['kubernetes.io/kube-apiserver-client', kubeadm('admin'), kubeadm('super-admin')],
    verifiers: ['kube-apiserver', 'rotunda', ...delegating],
  },
  {
    purpose: 'kubernetesClient',
    presenter: 'kube-controller-manager',
    profiles: [kubeadm('controller-manager')],
    verifiers: ['kube-apiserver'],
  },
  {
    purpose: 'kubernetesClient',
    presenter: 'kube-scheduler',
    profiles: [kubeadm('scheduler')],
    verifiers: ['kube-apiserver'],
  },
  {
    purpose: 'kubernetesClient',
    presenter: 'kube-apiserver',
    profiles: [kubeadm('apiserver-kubelet-client')],
    verifiers: ['kubelet'],
  },
  {
    purpose: 'kubernetesClient',
    presenter: 'rotunda',
    profiles: ['rotunda.dev/cluster-client'],
    verifiers: ['kube-apiserver'],
  },
  {
    purpose: 'kubernetesServer',
    presenter: 'kube-apiserver',
    profiles: [kubeadm('apiserver')],
    verifiers: ['kubelet', 'kube-controller-manager', 'kube-scheduler', 'pod', 'kubeconfig'],
  },
  {
    purpose: 'kubernetesServer',
    presenter: 'kubelet',
    profiles: ['kubernetes.io/kubelet-serving'],
    // Pods: what scrapes kubelets by itself.
    verifiers: ['kube-apiserver', 'pod'],
  },
  {
    purpose: 'kubernetesServer',
    presenter: 'rotunda',
    profiles: ['rotunda.dev/serving'],
    verifiers: ['kubelet', 'kubeconfig'],
  },
  {
    purpose: 'etcdPeer',
    presenter: 'etcd-member',
    profiles: ['etcd.rotunda.dev/peer', kubeadm('etcd-peer')],
    verifiers: ['etcd-member', 'rotunda'],
  },
  {
    purpose: 'etcdServer',
    presenter: 'etcd-member',
    profiles: ['etcd.rotunda.dev/server', kubeadm('etcd-server')],
    // A member's own gateway dials it with this certificate.
    verifiers: ['kube-apiserver', 'etcd-client', 'etcd-member', 'rotunda'],
  },
  {
    purpose: 'etcdClient',
    presenter: 'kube-apiserver',
    profiles: [kubeadm('apiserver-etcd-client')],
    verifiers: ['etcd-member'],
  },
  {
    purpose: 'etcdClient',
    presenter: 'etcd-client',
    profiles: ['etcd.rotunda.dev/client', kubeadm('etcd-healthcheck-client')],
    verifiers: ['etcd-member', 'rotunda'],
  },
  {
    purpose: 'frontProxy',
    presenter: 'kube-apiserver',
    profiles: [kubeadm('front-proxy-client')],
    verifiers: ['extension-apiserver', 'kube-apiserver', 'rotunda'],
  },
  { purpose: 'rotunda', presenter: 'rotunda-client', profiles: ['rotunda.dev/client'], verifiers: ['rotunda'] },
];

/** Only this service shows them, and only to find out whether they are taken. */
const canaryProfile = 'rotunda.dev/canary';

/**
 * Who verifies certificates of a profile in a ring. A profile that is not built in may be shown to anybody who verifies
 * the ring: `classes`.
 */
export function edgesOf(
  profile: string,
  purposes: readonly (keyof Topology)[],
  classes: readonly string[],
): readonly Edge[] {
  if (profile === canaryProfile) return [];
  const known = edges.filter((edge) => edge.profiles.includes(profile));
  const here = known.filter(({ purpose }) => purpose !== undefined && purposes.includes(purpose));
  if (here.length > 0) return here;
  return [{ purpose: purposes[0], presenter: known[0]?.presenter ?? profile, profiles: [profile], verifiers: classes }];
}
