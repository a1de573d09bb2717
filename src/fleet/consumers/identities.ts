import type { LeafOrder } from '../../ca/types.js';
import type { Topology } from '../../config/types.js';
import { ringsOfClass } from './classes.js';
import { ownRingPrefix } from './leaves.js';
import { ownNameOf } from './names.js';
import type { HolderConsumer } from './types.js';

/** What of an order, or of a certificate in the inventory, tells who holds it. */
export type Held = Pick<LeafOrder, 'ring' | 'profile' | 'commonName' | 'node' | 'cluster' | 'member' | 'notAfter'>;

/** For a control plane whose machine nobody has named: one consumer for all of them. */
const unnamed = 'unnamed';

const kubeadmPrefix = 'kubeadm.rotunda.dev/';
const ofApiServer = ['apiserver', 'apiserver-kubelet-client', 'front-proxy-client', 'apiserver-etcd-client'];

/**
 * The consumer that holds what is ordered: a certificate's holder verifies as its class does. `machine` is the one that a
 * control-plane certificate is for, which the certificate does not name. Undefined for this service's own certificates and
 * for those that only serve.
 */
export function consumerOf(order: Held, topology: Topology, machine?: string): HolderConsumer | undefined {
  const { profile, node, cluster, member, commonName } = order;
  if (profile === 'rotunda.dev/client') return ending(order, topology, 'kubeconfig', `${ownRingPrefix}${commonName}`);
  if (profile.startsWith('rotunda.dev/')) return undefined;
  if (node !== undefined) return made(topology, 'kubelet', node, node);
  if (cluster !== undefined && member !== undefined) return made(topology, 'etcd-member', `${cluster}/${member}`);
  if (profile.startsWith(kubeadmPrefix))
    return ofControlPlane(order, topology, { name: profile.slice(kubeadmPrefix.length), machine });
  return ofClient(order, topology, machine);
}

function ofControlPlane(
  order: Held,
  topology: Topology,
  { name, machine }: { readonly name: string; readonly machine: string | undefined },
): HolderConsumer | undefined {
  const own = machine ?? unnamed;
  if (ofApiServer.includes(name)) return made(topology, 'kube-apiserver', own, machine);
  switch (name) {
    case 'etcd-server':
    case 'etcd-peer':
      // kubeadm names a member after its machine, and its certificates too.
      return order.commonName === '' ? undefined : made(topology, 'etcd-member', order.commonName, machine);
    case 'etcd-healthcheck-client':
      return ending(order, topology, 'etcd-client', `${order.commonName}/${own}`);
    case 'controller-manager':
      return made(topology, 'kube-controller-manager', own, machine);
    case 'scheduler':
      return made(topology, 'kube-scheduler', own, machine);
    default:
      return ending(order, topology, 'kubeconfig', order.commonName);
  }
}

/** By the ring: who has a client certificate of it connects to whoever verifies that, and verifies in turn. */
function ofClient(order: Held, topology: Topology, machine: string | undefined): HolderConsumer | undefined {
  const { ring, commonName } = order;
  if (commonName === '') return undefined;
  if (ring === topology.kubernetesClient) {
    const component = /^system:(kube-controller-manager|kube-scheduler)$/.exec(commonName)?.[1];
    if (component !== undefined) return made(topology, component, machine ?? unnamed, machine);
    return ending(order, topology, 'kubeconfig', commonName);
  }
  if (ring === topology.etcdClient) return ending(order, topology, 'etcd-client', commonName);
  return ring === topology.frontProxy ? made(topology, 'kube-apiserver', machine ?? unnamed, machine) : undefined;
}

function made(topology: Topology, of: string, name: string, node?: string): HolderConsumer {
  return {
    class: of,
    name: ownNameOf(name),
    rings: ringsOfClass(topology, of) ?? [],
    ...(node !== undefined && { node }),
  };
}

/** One that can do nothing without its certificate. */
function ending(order: Held, topology: Topology, of: string, name: string): HolderConsumer | undefined {
  return order.commonName === '' ? undefined : { ...made(topology, of, name), expiresAt: order.notAfter };
}
