import type { LeafOrder } from '../ca/types.js';
import type { NameAttribute, ReadCsr } from '../ca/x509/types.js';
import { resolveUsages } from '../ca/x509/usages.js';
import type { RenewalPlanning } from '../rotation/renewal/types.js';
import type { Validity } from './lifetime.js';
import { nodeNameOf } from './rules/rule.js';
import type { CertificateRequest, Profile, RequestFacts } from './types.js';

/** Go's pkix.Name, which upstream's signer rebuilds the subject with: these attributes in this order, no others. */
const subjectOrder = [
  '2.5.4.6',
  '2.5.4.10',
  '2.5.4.11',
  '2.5.4.7',
  '2.5.4.8',
  '2.5.4.9',
  '2.5.4.17',
  '2.5.4.3',
  '2.5.4.5',
];
const nodeGroup = 'system:nodes';

/** Of these the last one counts. */
const single = new Set(['2.5.4.3', '2.5.4.5']);

/** The subject as it is signed: rebuilt from what was vetted, in upstream's order. */
export function orderedSubject(csr: ReadCsr): NameAttribute[] {
  const { subject } = csr;
  const subjectOut: NameAttribute[] = [];
  for (const oid of subjectOrder) {
    const values = subject.filter((attribute) => attribute.oid === oid);
    if (!single.has(oid)) subjectOut.push(...values);
    else subjectOut.push(...values.slice(-1));
  }
  return subjectOut;
}

/** What is ordered from the ring, from the profile and what was vetted. */
export function leafOrder(options: {
  profile: Profile;
  csr: ReadCsr;
  request: CertificateRequest;
  facts: RequestFacts;
  validity: Validity & Partial<ReturnType<RenewalPlanning['choose']>>;
  tokenId: string | undefined;
}): LeafOrder {
  const { profile, csr, request, facts, validity, tokenId } = options;
  const usages = resolveUsages(request.spec.usages ?? []);
  const node = nodeOf(profile, csr);
  return {
    ring: profile.ring,
    profile: profile.signerName,
    subject: orderedSubject(csr),
    commonName: csr.commonName,
    names: csr.names,
    spki: csr.key.spki,
    keyId: csr.key.keyId,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
    keyUsages: usages.keyUsages,
    extendedKeyUsages: usages.extendedKeyUsages,
    requester: request.spec.username ?? '',
    requestName: request.metadata.name,
    requestUid: request.metadata.uid,
    ...(validity.renewFrom === undefined ? {} : { renewFrom: validity.renewFrom }),
    ...(validity.renewUntil === undefined ? {} : { renewUntil: validity.renewUntil }),
    ...(node === undefined ? {} : { node }),
    ...memberOf(profile, facts),
    ...(tokenId === undefined ? {} : { tokenId }),
  };
}

/**
 * The node that a certificate is about: by its profile, or because its subject makes it that node, whatever the profile,
 * so that it is banned with the node.
 */
export function nodeOf(profile: Profile | undefined, csr: ReadCsr): string | undefined {
  if (profile === undefined) return undefined;
  const { approval } = profile;
  const isNodes = approval === 'node-client' || approval === 'node-serving' || csr.organizations.includes(nodeGroup);
  return isNodes ? nodeNameOf(csr.commonName) : undefined;
}

/** A client's certificate belongs to the cluster and makes nobody a member. */
function memberOf(profile: Profile, { member, etcdCluster }: RequestFacts): Pick<LeafOrder, 'cluster' | 'member'> {
  if (profile.approval === 'etcd-member' && member !== undefined)
    return { cluster: member.cluster, member: member.name };
  return profile.approval === 'etcd-client' && etcdCluster !== undefined ? { cluster: etcdCluster.name } : {};
}
