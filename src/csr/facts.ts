import type { ReadCsr } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';
import type { EtcdClusters, EtcdMember, Node, Nodes } from '../fleet/types.js';
import type { AccessReviewer } from '../identity/access-reviewer.js';
import { authorize } from '../identity/authorize.js';
import { reviewedIdentity } from '../identity/roles.js';
import type { Attributes, Bans, Identity } from '../identity/types.js';
import { isLoopback, namesBeyond } from './rules/names.js';
import { callingNode, nodeNameOf } from './rules/rule.js';
import type { MemberFacts, NodeFacts, Profile, RequestFacts } from './types.js';

export type FactSources = {
  readonly nodes: Pick<Nodes, 'find'>;
  readonly etcd: EtcdClusters;
  readonly bans: Bans;
  readonly nodePolicy: RequestFacts['nodePolicy'];
  /** Who knows what users of an API server may do; nobody when left out. */
  readonly accessReviewer?: AccessReviewer;
};

type Gathered = {
  -readonly [K in 'node' | 'member' | 'otherMembers' | 'etcdCluster' | 'nodeclient']?: RequestFacts[K];
};

/** Reads what the rules of this profile look at, and nothing else: a bound token and a renewal need no query. */
export async function gatherFacts(
  sources: FactSources,
  request: { profile: Profile; csr: ReadCsr; identity: Identity; now: number },
): Promise<RequestFacts> {
  const { profile, csr, identity, now } = request;
  const ban = sources.bans.isBanned(profile.ring, '', csr.commonName);
  const base = {
    identity,
    now,
    nodePolicy: sources.nodePolicy,
    ...(identity.token === undefined ? {} : { token: identity.token }),
    ...(ban === undefined ? {} : { banned: ban.reason }),
  };
  return { ...base, ...(await gathered(sources, profile, csr, identity)) };
}

async function gathered(sources: FactSources, profile: Profile, csr: ReadCsr, identity: Identity): Promise<Gathered> {
  const { token } = identity;
  switch (profile.approval) {
    case 'node-client': {
      const looks = token?.kind === 'unbound' && sources.nodePolicy === 'enrolled';
      const node = looks ? await nodeFacts(sources, nodeNameOf(csr.commonName)) : {};
      return { ...node, ...(await grantFacts(sources, identity)) };
    }
    case 'node-serving':
      return nodeFacts(sources, nodeNameOf(csr.commonName));
    case 'control-plane':
      return nodeFacts(sources, token?.node ?? callingNode(identity));
    case 'etcd-member':
      return memberFacts(sources.etcd, csr, identity);
    case 'etcd-client':
      return clusterFacts(sources.etcd, csr, identity);
    case 'person':
      return {};
  }
}

const nodeclient: Attributes = {
  verb: 'create',
  group: 'certificates.k8s.io',
  resource: 'certificatesigningrequests',
  subresource: 'nodeclient',
};

/** What upstream's approver asks of the API server, for whom this service's roles do not settle it. */
async function grantFacts({ accessReviewer, nodePolicy }: FactSources, identity: Identity): Promise<Gathered> {
  const matters = identity.kind === 'token' ? identity.token?.kind === 'unbound' : nodePolicy === 'upstream';
  if (identity.proxied === undefined || accessReviewer === undefined || !matters) return {};
  if (callingNode(identity) !== undefined || authorize(reviewedIdentity(identity), nodeclient).allowed) return {};
  try {
    const verdict = await accessReviewer.review(identity, nodeclient);
    return verdict === undefined ? {} : { nodeclient: verdict.allowed };
  } catch (error) {
    // Held until the API server can be asked again.
    if (error instanceof RotundaError && error.code === 'unavailable') return {};
    throw error;
  }
}

async function nodeFacts({ nodes }: FactSources, name: string | undefined): Promise<Gathered> {
  const node = name === undefined || name === '' ? undefined : await nodes.find(name);
  return node === undefined ? {} : { node: factsOfNode(node) };
}

function factsOfNode({ name, state, addresses, dnsNames }: Node): NodeFacts {
  return { name, state, addresses, dnsNames };
}

/** Who a caller of etcd's profiles is: what its token was made for, or what its certificate was issued as. */
function callingMember(identity: Identity): { cluster: string; name: string } | undefined {
  const { token, member } = identity;
  if (token?.cluster !== undefined && token.member !== undefined) return { cluster: token.cluster, name: token.member };
  return member;
}

async function memberFacts(etcd: EtcdClusters, csr: ReadCsr, identity: Identity): Promise<Gathered> {
  const caller = callingMember(identity);
  const found = caller === undefined ? undefined : await orMissing(etcd.member(caller.cluster, caller.name));
  if (found === undefined) return {};
  const member = factsOfMember(found);
  if (namesBeyond(csr.names, member, member.name).every(isLoopback)) return { member };
  const all = (await orMissing(etcd.members(found.cluster))) ?? [];
  return { member, otherMembers: all.filter((other) => other.name !== member.name).map(factsOfMember) };
}

function factsOfMember({ cluster, name, state, addresses, dnsNames }: EtcdMember): MemberFacts {
  return { cluster, name, state, addresses, dnsNames };
}

async function clusterFacts(etcd: EtcdClusters, { commonName }: ReadCsr, identity: Identity): Promise<Gathered> {
  const caller = callingMember(identity);
  if (caller === undefined) return {};
  const [member, cluster, other] = await Promise.all([
    orMissing(etcd.member(caller.cluster, caller.name)),
    orMissing(etcd.get(caller.cluster)),
    commonName === caller.name ? undefined : orMissing(etcd.member(caller.cluster, commonName)),
  ]);
  return {
    ...(member === undefined ? {} : { member: factsOfMember(member) }),
    ...(other === undefined ? {} : { otherMembers: [factsOfMember(other)] }),
    ...(cluster === undefined ? {} : { etcdCluster: { name: cluster.name, clientNames: cluster.clientNames } }),
  };
}

async function orMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'not-found') return undefined;
    throw error;
  }
}
