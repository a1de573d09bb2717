import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** One release of each, pinned: the modules beside this file hold every version and hash. */
export const KUBERNETES_VERSION = '1.36.3';
const ETCD_VERSION = '3.7.3';

/** The oldest Go that compiles them. */
export const GO_VERSION = [1, 26, 0];

/** kubeadm and the API server refuse to start without a version of their own. */
const stamp = {
  gitVersion: `v${KUBERNETES_VERSION}`,
  gitMajor: '1',
  gitMinor: '36',
  gitTreeState: 'clean',
  gitCommit: 'unknown',
  buildDate: '2026-07-22T18:07:38Z',
};
const stamped = Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);

const kubernetes = (name) => ({
  module: here('programs'),
  package: `k8s.io/kubernetes/cmd/${name}`,
  linkerFlags: ['-s', '-w', ...stamped].join(' '),
  directory: `kubernetes-${KUBERNETES_VERSION}`,
});

/** In the order in which they are built: what most suites wait for comes first. */
export const PROGRAMS = {
  etcd: {
    module: here('etcd'),
    package: 'go.etcd.io/etcd/server/v3',
    linkerFlags: '-s -w',
    directory: `etcd-${ETCD_VERSION}`,
  },
  'kube-apiserver': kubernetes('kube-apiserver'),
  kubeadm: kubernetes('kubeadm'),
  kubelet: kubernetes('kubelet'),
  kubectl: kubernetes('kubectl'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
};

/** The container runtime of the kubelet comes from Debian. */
export const CONTAINERD = {
  packages: ['containerd'],
  binary: 'usr/bin/containerd',
  versionArguments: ['--version'],
  version: /containerd \S+ v?(\d+\.\d+\.\d+)/,
  suits: ([major, minor]) => major > 1 || (major === 1 && minor >= 6),
};
