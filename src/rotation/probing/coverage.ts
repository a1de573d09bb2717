import type { Purpose } from '../../fleet/consumers/types.js';
import { fits, readSoftware } from '../planning/software.js';
import type { ProbeAnswer, ProbeProtocol } from './types.js';

/** Purposes for which certificates of clients are verified. */
const ofClients: readonly Purpose[] = ['kubernetesClient', 'etcdPeer', 'etcdClient', 'frontProxy', 'rotunda'];

type Asked = {
  readonly protocol: ProbeProtocol;
  readonly shows: readonly Purpose[];
  /** Verified by another file, which these versions of a program read again by themselves, and how late. */
  readonly follows?: {
    readonly purpose: Purpose;
    readonly software: string;
    readonly versions: string;
    readonly withinMs: number;
  };
};

/** Looked at every five minutes (src/rotation/planning/reload/kube-apiserver.ts), and then it has to be read. */
const kubeletAuthorityMs = 6 * 60_000;

/**
 * How members of a class are asked, and what it shows that one takes a client certificate there. A front proxy's
 * certificate cannot be tried: it counts together with headers and a name that canaries do not have. What a process reads
 * only when it starts (a kubelet the CA of its kubeconfig, a controller manager `--root-ca-file`) is not shown by what it
 * reads again.
 */
const classes: Readonly<Record<string, Asked>> = {
  'kube-apiserver': {
    protocol: 'kubernetes',
    shows: ['kubernetesClient'],
    follows: {
      purpose: 'kubernetesServer',
      software: 'kube-apiserver',
      versions: '>=1.36',
      withinMs: kubeletAuthorityMs,
    },
  },
  'kube-controller-manager': { protocol: 'kubernetes', shows: ['kubernetesClient'] },
  'kube-scheduler': { protocol: 'kubernetes', shows: ['kubernetesClient'] },
  'extension-apiserver': { protocol: 'kubernetes', shows: ['kubernetesClient'] },
  kubelet: { protocol: 'kubelet', shows: ['kubernetesClient'] },
  'etcd-member': { protocol: 'etcd', shows: ['etcdClient', 'etcdPeer'] },
};

export function protocolOf(consumerClass: string): ProbeProtocol {
  return asked(consumerClass).protocol;
}

/** What a consumer verifies certificates of a ring for; empty where that is not known, undefined where it verifies none. */
export type Verified = readonly Purpose[] | undefined;

/** Whether anything can be shown about what a consumer verifies by presenting a client certificate to it. */
export function canBeAsked(consumerClass: string, verifies: Verified): boolean {
  if (verifies === undefined) return false;
  return verifies.length === 0 || asked(consumerClass).shows.some((purpose) => verifies.includes(purpose));
}

/** What is seen of a consumer: which listeners answer, and for how long they have answered so, milliseconds. */
export type Answering = {
  readonly listeners: readonly NonNullable<ProbeAnswer['listener']>[];
  readonly forMs: number;
};

/**
 * For which of its purposes nothing is shown by these answers of a consumer's endpoints. An etcd member reads what it
 * verifies clients with, and what it verifies peers with, from two files: each is shown by the listener that answered.
 * What is read again by itself is taken to be written together with what is seen, and must have had the time for that.
 */
export function notShownBy(
  consumer: { readonly class: string; readonly verifies: Verified; readonly software: string },
  { listeners, forMs }: Answering,
): readonly Purpose[] {
  const { protocol, shows, follows } = asked(consumer.class);
  const shown: readonly Purpose[] = shows.filter(
    (purpose) => protocol !== 'etcd' || listeners.includes(purpose === 'etcdPeer' ? 'etcd-peer' : 'etcd-client'),
  );
  const isFollowed = follows !== undefined && isStated(consumer.software, follows) && forMs >= follows.withinMs;
  const followed = isFollowed ? follows.purpose : undefined;
  return (consumer.verifies ?? []).filter((purpose) => !shown.includes(purpose) && purpose !== followed);
}

/** What would let more be shown of a consumer, in words; undefined where nothing but other evidence would. */
export function wantedFor(
  consumer: { readonly class: string; readonly software: string },
  open: readonly Purpose[],
): string | undefined {
  const { follows } = asked(consumer.class);
  if (follows === undefined || !open.includes(follows.purpose)) return undefined;
  return isStated(consumer.software, follows)
    ? `before it has been seen so for ${String(follows.withinMs / 60_000)} minutes`
    : `unless its software is stated as ${follows.software} ${follows.versions}`;
}

/** What does not say its version may be any. */
function isStated(text: string, { software, versions }: NonNullable<Asked['follows']>): boolean {
  const stated = readSoftware(text);
  return stated?.name === software && fits(stated.version, versions);
}

function asked(consumerClass: string): Asked {
  const known = Object.hasOwn(classes, consumerClass) ? classes[consumerClass] : undefined;
  return known ?? { protocol: 'tls', shows: ofClients };
}
