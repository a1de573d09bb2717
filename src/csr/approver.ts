import type { ReadCsr } from '../ca/x509/types.js';
import type { Topology } from '../config/types.js';
import type { Identity } from '../identity/types.js';
import { findRequestObject } from '../store/queries/requests.js';
import { hasCondition } from './conditions.js';
import { requestForbidden } from './errors.js';
import { parseObject } from './object.js';
import { parseRequest } from './parse.js';
import type { Parts } from './parts.js';
import type { CertificateRequest, Profile } from './types.js';

/** Of the request with this `uid`; without names for one that does not parse. */
export type Names = {
  readonly uid: string;
  readonly signerName: string;
  readonly csr: ReadCsr | undefined;
  readonly text: readonly string[];
};

/** The exact names that a person is about to approve; undefined when there is no such request. */
export async function namesForRecord(parts: Parts, name: string): Promise<Names | undefined> {
  const text = await findRequestObject(parts.store.db, name);
  if (text === undefined) return undefined;
  const { metadata, spec } = parseObject(text);
  const { uid } = metadata;
  const { signerName } = spec;
  const parsed = parseRequest(spec.request, 'upstream');
  if ('fault' in parsed) return { uid, signerName, csr: undefined, text: [] };
  const { csr } = parsed;
  return {
    uid,
    signerName,
    csr,
    text: [...csr.subject.map((a) => `${a.oid}:${a.value}`), ...csr.names.map((n) => `${n.kind}:${n.value}`)],
  };
}

/**
 * What an operator may not give, although it may approve the signer, because it is more than an operator has: the
 * service's own clients, front proxies, etcd's root, the cluster's own users and groups. Throws RotundaError 'forbidden'.
 */
export function mayDecide(
  parts: Parts,
  identity: Identity,
  wanted: CertificateRequest,
  stored: CertificateRequest,
  { names, everything }: { readonly names: Names | undefined; readonly everything: boolean },
): void {
  if (!hasCondition(wanted, 'Approved') || hasCondition(stored, 'Approved')) return;
  if (identity.kind === 'internal' || identity.roles.includes('admin')) return;
  const profile = parts.profiles.get(stored.spec.signerName);
  if (profile?.signerName === 'rotunda.dev/client') {
    throw requestForbidden(
      stored.metadata.name,
      'only administrators of this service make its administrators, operators and viewers',
    );
  }
  if (profile !== undefined && isFrontProxyRing(parts.topology, profile.ring)) {
    throw requestForbidden(
      stored.metadata.name,
      'only administrators of this service make a front proxy, which speaks for everybody',
    );
  }
  if (profile === undefined || names?.csr === undefined) return;
  if (isEtcdRing(parts.topology, profile.ring) && names.csr.commonName === etcdAdministrator) {
    throw requestForbidden(
      stored.metadata.name,
      'only administrators of this service make the administrator of etcd, root',
    );
  }
  // A cluster administrator gives what it has; everybody else would give more.
  if (identity.roles.includes('cluster-admin') || everything) return;
  const power = clusterPower(parts.topology, profile, names.csr);
  if (power === undefined) return;
  throw requestForbidden(
    stored.metadata.name,
    `only administrators of this service or of the cluster approve certificates with the ${power}, which belongs to the cluster itself`,
  );
}

const etcdAdministrator = 'root';

/** Any of etcd's rings: where two of them are one, etcd believes a certificate of either. */
function isEtcdRing({ etcdPeer, etcdServer, etcdClient }: Topology, ring: string): boolean {
  return [etcdPeer, etcdServer, etcdClient].includes(ring);
}

/** Collapsed with the ring of the cluster's users, it gives no power: headers are not believed then. */
function isFrontProxyRing({ frontProxy, kubernetesClient }: Topology, ring: string): boolean {
  return ring === frontProxy && frontProxy !== kubernetesClient;
}

/** The name that makes this certificate one of the cluster's own users; undefined for nodes, which their profiles check. */
export function clusterPower(topology: Topology, profile: Profile, csr: ReadCsr): string | undefined {
  if (profile.ring !== topology.kubernetesClient) return undefined;
  if (profile.approval === 'node-client' || profile.approval === 'node-serving') return undefined;
  if (isClusters(csr.commonName)) return `common name ${JSON.stringify(csr.commonName)}`;
  const group = csr.organizations.find(isClusters);
  return group === undefined ? undefined : `organization ${JSON.stringify(group)}`;
}

/** `system:*` is Kubernetes' own; kubeadm binds its group to cluster-admin. */
function isClusters(name: string): boolean {
  return name.startsWith('system:') || name === 'kubeadm:cluster-admins';
}
