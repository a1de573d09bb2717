import type { Topology } from '../config/types.js';
import type { CertificateUseRow } from '../store/queries/certificate-use.js';
import { unauthorized, type VerifiedCertificate } from './certificate-path.js';
import { kubernetesRoles, nodeOfUser, reservedNameProblem, rotundaRoles, vouchedGroups } from './roles.js';
import type { Identity } from './types.js';

const commonNameOid = '2.5.4.3';
const organizationOid = '2.5.4.10';
/** Kubernetes' subject attribute for a user's uid. */
const uidOid = '1.3.6.1.4.1.57683.2';

/** Rings whose certificates may say who calls. */
export function identityRings(topology: Topology): readonly string[] {
  const { kubernetesClient, etcdPeer, etcdServer, etcdClient, frontProxy, rotunda } = topology;
  return [...new Set([kubernetesClient, etcdPeer, etcdServer, etcdClient, frontProxy, rotunda])];
}

/**
 * Who a verified certificate is: (ring, CN, O), and for etcd the member that the inventory knows its serial as. `record`
 * is its inventory row. Without one (a restored backup, an imported authority) the name alone still counts in the
 * kubernetes and rotunda rings, or a restore would lock out every node and every administrator; it never does in etcd's,
 * where names are not identities. Throws 'unauthorized'.
 */
export function identityOf(
  verified: VerifiedCertificate,
  record: CertificateUseRow | undefined,
  topology: Topology,
): Identity {
  const { ring, facts } = verified;
  const isRotunda = ring === topology.rotunda;
  const isKubernetes = ring === topology.kubernetesClient;
  const isEtcd = ring === topology.etcdPeer || ring === topology.etcdServer || ring === topology.etcdClient;
  const { cluster = null, member = null } = record ?? {};
  if (isEtcd && cluster !== null && member !== null) return memberIdentity(verified, { cluster, name: member });
  if (isRotunda || isKubernetes) return namedIdentity(verified, { isRotunda, isKubernetes });
  if (isEtcd) throw unauthorized(`certificate ${facts.serial} of ring ${ring} is no member's`);
  throw unauthorized(`ring ${ring} authenticates nobody`);
}

function memberIdentity(verified: VerifiedCertificate, member: { cluster: string; name: string }): Identity {
  return Object.freeze<Identity>({
    ...common(verified),
    username: `rotunda:etcd-member:${member.cluster}:${member.name}`,
    uid: '',
    groups: ['system:authenticated'],
    member,
    roles: ['member', 'authenticated'],
  });
}

function namedIdentity(verified: VerifiedCertificate, ring: { isRotunda: boolean; isKubernetes: boolean }): Identity {
  const { subject } = verified.facts;
  const valuesOf = (oid: string): string[] =>
    subject.filter((attribute) => attribute.oid === oid).map((attribute) => attribute.value);
  // Go keeps the last one where a subject has several.
  const username = valuesOf(commonNameOid).at(-1) ?? '';
  const problem = reservedNameProblem(username, ring.isKubernetes);
  if (problem !== undefined) throw unauthorized(problem);
  const uids = valuesOf(uidOid);
  if (uids.length > 1 || uids[0] === '')
    throw unauthorized('the certificate must have one uid that is not empty, or none');
  const groups = vouchedGroups(valuesOf(organizationOid), ring);
  const node = ring.isKubernetes ? nodeOfUser(username, groups) : undefined;
  const roles = [
    ...(ring.isRotunda ? rotundaRoles(groups) : []),
    ...(ring.isKubernetes ? kubernetesRoles(username, groups) : []),
  ];
  return Object.freeze<Identity>({
    ...common(verified),
    username,
    uid: uids[0] ?? '',
    groups: [...groups, 'system:authenticated'],
    ...(node !== undefined && { node }),
    roles: [...new Set([...roles, 'authenticated' as const])],
  });
}

function common({ ring, facts }: VerifiedCertificate): Pick<Identity, 'kind' | 'ring' | 'certificate' | 'extra'> {
  const { serial, fingerprint, notAfter } = facts;
  return {
    kind: 'certificate',
    ring,
    certificate: { serial, fingerprint, notAfter },
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
  };
}
