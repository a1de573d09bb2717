/** Signer names that rules or messages speak of. */
export const signers = {
  apiserverClient: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
  etcdPeer: 'etcd.rotunda.dev/peer',
  etcdServer: 'etcd.rotunda.dev/server',
  etcdClient: 'etcd.rotunda.dev/client',
  rotundaClient: 'rotunda.dev/client',
} as const;
