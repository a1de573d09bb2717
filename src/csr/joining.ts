import type { ReadCsr } from '../ca/x509/types.js';
import type { Topology } from '../config/types.js';
import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { anyJoinsHeld } from '../store/queries/rings.js';
import type { WriteTx } from '../store/types.js';
import { statedGeneration } from './join-floor.js';
import { nodeOf } from './order.js';
import type { Parts } from './parts.js';
import { callingNode } from './rules/rule.js';
import type { Plan } from './plan.js';
import type { CertificateRequest, Decision, Profile } from './types.js';

const retryMs = 60_000;

type Asked = {
  readonly profile: Profile;
  readonly csr: ReadCsr;
  readonly identity: Identity;
  readonly request: CertificateRequest;
};

/** Rings whose certificates the holder of a profile's certificate verifies, by what the profile is for. */
export function verifiedRings({ ring, approval }: Profile, topology: Topology): readonly string[] {
  const { kubernetesServer, kubernetesClient, etcdPeer, etcdServer, etcdClient, frontProxy } = topology;
  switch (approval) {
    case 'node-client':
    case 'node-serving':
      return [...new Set([ring, kubernetesServer, kubernetesClient])];
    case 'etcd-member':
      return [...new Set([ring, etcdPeer, etcdClient])];
    case 'etcd-client':
      return [...new Set([ring, etcdServer])];
    case 'control-plane':
      return [...new Set([ring, kubernetesServer, kubernetesClient, frontProxy, etcdServer])];
    case 'person':
      return [...new Set([ring, kubernetesServer])];
  }
}

/** Whether somebody comes anew, and does not renew what it has: then nobody knows which bundle it holds. */
export function isJoin({ profile, csr, identity }: Omit<Asked, 'request'>): boolean {
  if (identity.kind !== 'certificate' && identity.kind !== 'user') return true;
  const node = nodeOf(profile, csr);
  if (node !== undefined) return callingNode(identity) !== node;
  if (profile.approval === 'etcd-member') return identity.member === undefined;
  return identity.username !== csr.commonName;
}

/**
 * While an authority is being replaced there are times when a joiner that cannot say which bundle it holds would come to
 * distrust its peers, or they it, without anybody noticing (rotation.md 2.6b). It waits until that is over; one that
 * states a generation does not, nor does a renewal.
 */
export function heldJoin(parts: Parts, asked: Asked, decision: Decision, now: number): Decision | undefined {
  if (decision.outcome !== 'approve' || !mayHaveToWait(asked)) return undefined;
  const held = verifiedRings(asked.profile, parts.topology).find((name) => isHeld(parts, name));
  if (held === undefined) return undefined;
  const message = `The CA of the ring ${held} is being replaced, and this request does not say which bundle its machine holds. It is looked at again by itself; with bundleGeneration over /pki/v1 it need not wait.`;
  return { ...decision, outcome: 'hold', reason: 'AuthorityIsReplaced', message, retryAt: now + retryMs };
}

/** The same once more, in the transaction that would let it in: another replica may know more. Throws 'conflict'. */
export async function refuseHeldJoin(
  parts: Parts,
  tx: WriteTx,
  plan: Plan,
  request: CertificateRequest,
): Promise<void> {
  const asked = { profile: plan.profile, csr: plan.csr, identity: plan.facts.identity, request };
  if (!mayHaveToWait(asked)) return;
  const rings = verifiedRings(plan.profile, parts.topology);
  if (!(await anyJoinsHeld(tx.db, rings))) return;
  void parts.ca.reload();
  throw new RotundaError('conflict', `a CA of the rings ${rings.join(', ')} is being replaced; ask again`);
}

function mayHaveToWait(asked: Asked): boolean {
  return statedGeneration(asked.request) === undefined && isJoin(asked);
}

function isHeld({ ca }: Parts, name: string): boolean {
  return ca.rings().some((ring) => ring.name === name && ring.joinsHeld);
}

/** Rings that are being replaced and of which a joiner stated nothing. */
export function joinerRings(parts: Parts, plan: Plan, request: CertificateRequest): readonly string[] {
  const asked = { profile: plan.profile, csr: plan.csr, identity: plan.facts.identity, request };
  if (!mayHaveToWait(asked)) return [];
  const verified = verifiedRings(plan.profile, parts.topology);
  return parts.ca
    .rings()
    .filter(({ name, rotating }) => rotating && verified.includes(name))
    .map(({ name }) => name);
}
