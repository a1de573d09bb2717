import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';

import { stringify } from 'yaml';

import { freePorts } from '../etcd.js';
import { kubernetesProgram } from './binaries.js';
import { type Machine, startMachine, writeInside } from './machine.js';
import { kubeconfigText } from './pki.js';
import { type Program, until } from './program.js';

export type NodeOptions = {
  readonly name: string;
  readonly dir: string;
  /** Whom its bootstrap kubeconfig names; the kubelet speaks to that server from then on. */
  readonly bootstrap: { readonly server: string; readonly ca: string; readonly token: string };
  /** Further fields of the KubeletConfiguration. */
  readonly config?: Readonly<Record<string, unknown>>;
};

export type KubeletNode = {
  readonly machine: Machine;
  /** Of the kubelet's own HTTPS endpoint. */
  readonly port: number;
  kubelet(): Program;
  /** What is in `kubelet-client-current.pem` or `kubelet-server-current.pem`: the leaf. */
  certificate(kind: 'client' | 'server'): X509Certificate | undefined;
  /** Waits for a certificate, another one than `previous` where that is given. */
  obtained(
    kind: 'client' | 'server',
    options?: { readonly previous?: X509Certificate; readonly timeoutMs?: number },
  ): Promise<X509Certificate>;
  /** Writes another bootstrap kubeconfig, for the next start. */
  bootstrapWith(bootstrap: NodeOptions['bootstrap']): void;
  startKubelet(): Program;
  stopKubelet(): Promise<void>;
  stop(): Promise<void>;
};

const SOCKET = '/var/lib/containerd/containerd.sock';

/** A machine with containerd and a kubelet that bootstraps from the token. */
export async function startNode(options: NodeOptions): Promise<KubeletNode> {
  const machine = await startMachine(options);
  try {
    await startContainerd(machine);
    const [port = 0, healthzPort = 0] = await freePorts(2);
    writeInside(machine, '/etc/kubernetes/pki/ca.crt', options.bootstrap.ca, 0o644);
    writeInside(machine, '/etc/kubernetes/bootstrap-kubelet.conf', bootstrapKubeconfig(options.bootstrap));
    const config = { ...kubeletConfiguration({ port, healthzPort }), ...options.config };
    writeInside(machine, '/var/lib/kubelet/config.yaml', stringify(config));
    return kubeletNode(machine, port);
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

function kubeletNode(machine: Machine, port: number): KubeletNode {
  const start = (): Program =>
    machine.start({
      name: 'kubelet',
      path: kubernetesProgram('kubelet'),
      args: [
        '--config=/var/lib/kubelet/config.yaml',
        '--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf',
        '--kubeconfig=/etc/kubernetes/kubelet.conf',
        '--v=2',
      ],
    });
  let kubelet = start();
  const certificate: KubeletNode['certificate'] = (kind) => currentCertificate(machine, kind);
  return {
    machine,
    port,
    kubelet: () => kubelet,
    certificate,
    obtained: (kind, { previous, timeoutMs = 120_000 } = {}) =>
      until(
        `${machine.name}'s ${kind} certificate`,
        () => {
          const current = certificate(kind);
          return current?.serialNumber === previous?.serialNumber ? undefined : current;
        },
        { timeoutMs, programs: [kubelet] },
      ),
    bootstrapWith: (bootstrap) => {
      writeInside(machine, '/etc/kubernetes/bootstrap-kubelet.conf', bootstrapKubeconfig(bootstrap));
    },
    startKubelet: () => (kubelet = start()),
    stopKubelet: () => kubelet.stop(),
    stop: async () => {
      await machine.stop();
      await kubelet.ended;
    },
  };
}

/** The leaf of the pair that a kubelet on this machine uses now. */
export function currentCertificate(machine: Machine, kind: 'client' | 'server'): X509Certificate | undefined {
  const pem = currentPair(machine, kind);
  return pem === undefined ? undefined : new X509Certificate(pem);
}

/** Certificate and key of a kubelet, as PEM. The link to them is absolute, and means a file inside the machine. */
export function currentPair(machine: Machine, kind: 'client' | 'server'): string | undefined {
  const link = machine.file(`/var/lib/kubelet/pki/kubelet-${kind}-current.pem`);
  try {
    return readFileSync(machine.file(readlinkSync(link)), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function bootstrapKubeconfig({ server, ca, token }: NodeOptions['bootstrap']): string {
  return kubeconfigText({ server, ca, credential: { token } });
}

/** What a kubelet needs to run beside the host's own cgroups, and on a machine of any size. */
export function kubeletConfiguration(ports: { readonly port: number; readonly healthzPort: number }): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    ...ports,
    healthzBindAddress: '127.0.0.1',
    containerRuntimeEndpoint: `unix://${SOCKET}`,
    rotateCertificates: true,
    serverTLSBootstrap: true,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: '/etc/kubernetes/pki/ca.crt' },
    },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    // Not an empty list: kubeadm drops it on its way through the ConfigMap.
    enforceNodeAllocatable: ['none'],
    failSwapOn: false,
    failCgroupV1: false,
    evictionHard: {},
    imageMinimumGCAge: '0s',
    fileCheckFrequency: '20s',
    nodeStatusUpdateFrequency: '10s',
  };
}

/** containerd with everything that it keeps inside the machine. No container is ever started. */
export async function startContainerd(machine: Machine): Promise<Program> {
  const config = `version = 2
root = "/var/lib/containerd/root"
state = "/var/lib/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;
  writeInside(machine, '/etc/containerd/config.toml', config);
  const containerd = machine.start({
    name: 'containerd',
    path: kubernetesProgram('containerd'),
    args: ['--config', '/etc/containerd/config.toml'],
  });
  await until('containerd', () => existsSync(machine.file(SOCKET)) || undefined, { programs: [containerd] });
  return containerd;
}

/** The endpoint of the machine's containerd, as kubeadm and the kubelet name it. */
export const CRI_ENDPOINT = `unix://${SOCKET}`;
