import type { Purpose } from '../../fleet/consumers/types.js';
import type { ProbeAnswer, ProbeProtocol } from './types.js';

/** Purposes for which certificates of clients are verified. */
const ofClients: readonly Purpose[] = ['kubernetesClient', 'etcdPeer', 'etcdClient', 'frontProxy', 'rotunda'];

type Asked = {
  readonly protocol: ProbeProtocol;
  readonly shows: readonly Purpose[];
  /** Verified by another file, which the same process reads again by itself, within less than any trust soak. */
  readonly follows?: readonly Purpose[];
};

/**
 * How members of a class are asked, and what it shows that one takes a client certificate there. A front proxy's
 * certificate cannot be tried: it counts together with headers and a name that canaries do not have. What a process reads
 * only when it starts (a kubelet the CA of its kubeconfig, a controller manager `--root-ca-file`) is not shown by what it
 * reads again.
 */
const classes: Readonly<Record<string, Asked>> = {
  'kube-apiserver': { protocol: 'kubernetes', shows: ['kubernetesClient'], follows: ['kubernetesServer'] },
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

/**
 * For which of its purposes nothing is shown by these answers of a consumer's endpoints. An etcd member reads what it
 * verifies clients with, and what it verifies peers with, from two files: each is shown by the listener that answered.
 */
export function notShownBy(
  consumer: { readonly class: string; readonly verifies: Verified },
  listeners: readonly NonNullable<ProbeAnswer['listener']>[],
): readonly Purpose[] {
  const { protocol, shows, follows = [] } = asked(consumer.class);
  const shown = shows.filter(
    (purpose) => protocol !== 'etcd' || listeners.includes(purpose === 'etcdPeer' ? 'etcd-peer' : 'etcd-client'),
  );
  return (consumer.verifies ?? []).filter((purpose) => !shown.includes(purpose) && !follows.includes(purpose));
}

function asked(consumerClass: string): Asked {
  const known = Object.hasOwn(classes, consumerClass) ? classes[consumerClass] : undefined;
  return known ?? { protocol: 'tls', shows: ofClients };
}
