import type { EvidenceKind } from '../../rotation/types.js';
import type { Purpose } from './types.js';

/** How one class verifies for one purpose. */
export type Verification = {
  /** The weakest evidence that its process has loaded a bundle. */
  readonly minimum: EvidenceKind;
  /** The file is read only at start, and nothing but a restart, or a look from outside, shows that it was. */
  readonly readAtStart?: true;
  /** A client certificate that it accepts shows what it has loaded. */
  readonly probed?: true;
};

/** A built-in kind of program that presents or verifies certificates. */
export type ConsumerClass = {
  readonly name: string;
  readonly description: string;
  readonly verifies: Readonly<Partial<Record<Purpose, Verification>>>;
  /** Likewise in rings with none of these purposes, such as those of signing keys. */
  readonly verifiesOthers?: Verification;
  readonly presents: readonly Purpose[];
  /** Whether it holds connections that were authenticated before a bundle changed, for long. */
  readonly streams: boolean;
  /** After how long without a word it is silent, once it has said something; undefined: it never speaks by itself. */
  readonly leaseMs: number | undefined;
  readonly remedy: string;
};

const minuteMs = 60_000;
const inProcess = { minimum: 'in-process' } as const;
const selfReport = { minimum: 'self-report' } as const;
const attestation = { minimum: 'attestation' } as const;
const canary = { minimum: 'canary-probe', probed: true } as const;

/**
 * Who verifies what in a Kubernetes cluster, and what it takes to know that a process has loaded a bundle. What is read
 * when follows measurements of 1.36 and etcd 3.7: `--etcd-cafile`, `--root-ca-file` and etcd's `--trusted-ca-file` only at
 * start, client CA files within a second, other CA files within five minutes.
 */
export const builtInClasses: readonly ConsumerClass[] = [
  {
    name: 'rotunda',
    description: 'Replicas of this service',
    verifies: {
      kubernetesClient: inProcess,
      etcdPeer: inProcess,
      etcdServer: inProcess,
      etcdClient: inProcess,
      frontProxy: inProcess,
      rotunda: inProcess,
    },
    presents: ['kubernetesServer'],
    // Its watches end by themselves.
    streams: false,
    leaseMs: 2 * minuteMs,
    remedy: 'a replica takes over a bundle by itself; start it, or stop it for good',
  },
  {
    name: 'kube-apiserver',
    description: 'API servers',
    verifies: {
      kubernetesClient: canary,
      // A front proxy is known by its name too, which no canary has.
      frontProxy: selfReport,
      // Checked every five minutes; a trust soak above that is what makes a probe of the client CA file enough.
      kubernetesServer: selfReport,
      etcdServer: { minimum: 'restart', readAtStart: true },
    },
    // --service-account-key-file: no effect while it runs.
    verifiesOthers: { minimum: 'restart', readAtStart: true },
    presents: ['kubernetesServer', 'kubernetesClient', 'frontProxy', 'etcdClient'],
    streams: true,
    leaseMs: 15 * minuteMs,
    remedy:
      'register each with its endpoint, put the bundle into --client-ca-file and --requestheader-client-ca-file; for --etcd-cafile, and for the keys in --service-account-key-file (register it with --verifies RING), restart it then',
  },
  {
    name: 'kube-controller-manager',
    description: 'Controller managers',
    // --root-ca-file is what every pod is given, and is read at start.
    verifies: { kubernetesServer: { minimum: 'restart', readAtStart: true }, kubernetesClient: selfReport },
    presents: ['kubernetesClient'],
    streams: false,
    leaseMs: 15 * minuteMs,
    remedy: 'put the bundle into its kubeconfig and --root-ca-file, and restart it',
  },
  {
    name: 'kube-scheduler',
    description: 'Schedulers',
    verifies: { kubernetesServer: selfReport, kubernetesClient: selfReport },
    presents: ['kubernetesClient'],
    streams: false,
    leaseMs: 15 * minuteMs,
    remedy:
      'put the bundle into its kubeconfig; a CA file is read again within five minutes, an inline one after a restart',
  },
  {
    name: 'kubelet',
    description: 'Kubelets: the CA of their kubeconfig and their clientCAFile',
    // The CA of a kubeconfig with rotating certificates is read at start, and never again.
    verifies: {
      kubernetesServer: { minimum: 'restart', readAtStart: true },
      kubernetesClient: { ...selfReport, probed: true },
    },
    presents: ['kubernetesClient', 'kubernetesServer'],
    streams: false,
    leaseMs: 15 * minuteMs,
    remedy:
      'put the bundle into clientCAFile and the kubeconfig of each, restart it, and let it or its agent acknowledge',
  },
  {
    name: 'pod',
    description: 'Pods, which read kube-root-ca.crt',
    verifies: { kubernetesServer: attestation },
    presents: [],
    streams: false,
    leaseMs: undefined,
    remedy:
      'restart kube-controller-manager with the bundle in --root-ca-file; see that pods have read it again, and attest',
  },
  {
    name: 'kubeconfig',
    description: "People's and programs' kubeconfigs, with the CA in them",
    verifies: { kubernetesServer: attestation },
    presents: ['kubernetesClient'],
    streams: false,
    leaseMs: undefined,
    remedy: 'give out kubeconfigs with the bundle, and attest that they are in use',
  },
  {
    name: 'etcd-member',
    description: 'Members of etcd clusters',
    verifies: {
      etcdPeer: { minimum: 'restart', readAtStart: true, probed: true },
      etcdClient: { minimum: 'restart', readAtStart: true, probed: true },
    },
    presents: ['etcdPeer', 'etcdServer'],
    streams: true,
    leaseMs: 15 * minuteMs,
    remedy:
      'put the bundle into --trusted-ca-file and --peer-trusted-ca-file, and restart the members one after the other',
  },
  {
    name: 'etcd-client',
    description: 'Clients of etcd beside API servers: backups, operators, health checks',
    verifies: { etcdServer: selfReport },
    presents: ['etcdClient'],
    streams: false,
    leaseMs: 15 * minuteMs,
    remedy: 'give it the bundle, restart it where it reads that only then, and acknowledge',
  },
  {
    name: 'extension-apiserver',
    description: 'Aggregated API servers, which believe the front proxy and delegate authentication',
    verifies: { frontProxy: selfReport, kubernetesClient: selfReport },
    presents: [],
    streams: true,
    leaseMs: 15 * minuteMs,
    remedy: 'see that it follows kube-system/extension-apiserver-authentication, and acknowledge',
  },
];

/** For rings that serve no purpose of the topology: nothing is known of who verifies there, so somebody has to say it. */
export const undeclared: ConsumerClass = {
  name: 'other',
  description: 'Whoever verifies certificates of this ring, which serves no purpose of the topology',
  verifies: {},
  presents: [],
  streams: true,
  leaseMs: 15 * minuteMs,
  remedy: 'register who verifies its certificates, as other/NAME',
};
