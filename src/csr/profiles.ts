import type { Topology } from '../config/types.js';
import { kubeadmProfiles } from './kubeadm-profiles.js';
import type { Lifetimes } from './lifetime.js';
import { signers } from './signers.js';
import type { Profile } from './types.js';

export { buildProfile, profileConfigSchema } from './profile-config.js';

const dayMs = 86_400_000;
const yearMs = 365 * dayMs;

const noNames = { dns: false, ip: false, email: false, uri: false, atLeastOne: false };
const hostNames = { dns: true, ip: true, email: false, uri: false, atLeastOne: true };
const anyNames = { dns: true, ip: true, email: true, uri: true, atLeastOne: false };
const nodeSubject = { organizations: ['system:nodes'], commonName: { prefix: 'system:node:' } } as const;

/**
 * The profiles that every service has: upstream's three signers with upstream's rules, etcd's, one per certificate of
 * a kubeadm control plane, and the service's own clients. `upstream` lifetimes are kube-controller-manager's 8,760 h.
 */
export function builtInProfiles(topology: Topology, lifetimes: 'rotunda' | 'upstream'): Profile[] {
  const lifetime = lifetimesOf(lifetimes);
  return [
    ...upstreamProfiles(topology, lifetime),
    ...etcdProfiles(topology, lifetime),
    ...kubeadmProfiles(topology, lifetime),
    {
      signerName: signers.rotundaClient,
      ring: topology.rotunda,
      description: 'Administrators, operators and viewers of this service',
      approval: 'person',
      names: noNames,
      usages: { required: ['client auth'], optional: ['digital signature', 'key encipherment'] },
      lifetime: lifetime('person'),
    },
  ];
}

function lifetimesOf(lifetimes: 'rotunda' | 'upstream'): Lifetimes {
  if (lifetimes === 'upstream') return () => ({ standard: yearMs, longest: yearMs });
  return (kind) => ({ standard: (kind === 'control-plane' ? 90 : 30) * dayMs, longest: yearMs });
}

function upstreamProfiles(topology: Topology, lifetime: Lifetimes): Profile[] {
  return [
    {
      signerName: signers.apiserverClient,
      ring: topology.kubernetesClient,
      description: 'Users and programs of the Kubernetes API',
      approval: 'person',
      names: anyNames,
      usages: { required: ['client auth'], optional: ['digital signature', 'key encipherment'] },
      lifetime: lifetime('person'),
    },
    {
      signerName: signers.kubeletClient,
      ring: topology.kubernetesClient,
      description: 'Client certificates of kubelets',
      approval: 'node-client',
      ...nodeSubject,
      names: noNames,
      usages: { required: ['digital signature', 'client auth'], optional: ['key encipherment'] },
      lifetime: lifetime('node'),
    },
    {
      signerName: signers.kubeletServing,
      ring: topology.kubernetesServer,
      description: 'Serving certificates of kubelets',
      approval: 'node-serving',
      ...nodeSubject,
      names: hostNames,
      usages: { required: ['digital signature', 'server auth'], optional: ['key encipherment'] },
      lifetime: lifetime('node'),
    },
  ];
}

function etcdProfiles(topology: Topology, lifetime: Lifetimes): Profile[] {
  // A server certificate is also the client certificate of etcd's own gateway, hence clientAuth.
  const member = {
    approval: 'etcd-member',
    names: hostNames,
    usages: { required: ['digital signature', 'server auth', 'client auth'], optional: ['key encipherment'] },
    lifetime: lifetime('control-plane'),
  } as const;
  return [
    { signerName: signers.etcdPeer, ring: topology.etcdPeer, description: 'etcd members, to each other', ...member },
    {
      signerName: signers.etcdServer,
      ring: topology.etcdServer,
      description: 'etcd members, to their clients',
      ...member,
    },
    {
      signerName: signers.etcdClient,
      ring: topology.etcdClient,
      description: 'Clients of etcd, whose common name is the etcd user',
      approval: 'etcd-client',
      names: noNames,
      usages: { required: ['client auth'], optional: ['digital signature', 'key encipherment'] },
      lifetime: lifetime('control-plane'),
    },
  ];
}
