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
 * distrust its peers, or they it, without anybody noticing (docs/rotation/model.md). It waits until that is over; one that
 * states a generation does not wait for the ring that it states it of, and a renewal for none.
 */
export function heldJoin(parts: Parts, asked: Asked, decision: Decision, now: number): Decision | undefined {
  if (decision.outcome !== 'approve') return undefined;
  const held = unstatedRings(parts, asked).find((name) => isHeld(parts, name));
  if (held === undefined) return undefined;
  const message = `The CA of the ring ${held} is being replaced, and this request does not say which bundle its machine holds. It is looked at again by itself${held === asked.profile.ring ? '; with bundleGeneration over /pki/v1 it need not wait' : ''}. rotunda rotation explain ${held} says what that waits for; where it is an operator, rotunda rotation advance ${held} ends it.`;
  return { ...decision, outcome: 'hold', reason: 'AuthorityIsReplaced', message, retryAt: now + retryMs };
}

/** The same once more, in the transaction that would let it in: another replica may know more. Throws 'conflict'. */
export async function refuseHeldJoin(
  parts: Parts,
  tx: WriteTx,
  plan: Plan,
  request: CertificateRequest,
): Promise<void> {
  const rings = unstatedRings(parts, askedBy(plan, request));
  if (rings.length === 0 || !(await anyJoinsHeld(tx.db, rings))) return;
  void parts.ca.reload();
  throw new RotundaError('conflict', `a CA of the rings ${rings.join(', ')} is being replaced; ask again`);
}

/** Rings that are being replaced and of which a joiner stated nothing. */
export function joinerRings(parts: Parts, plan: Plan, request: CertificateRequest): readonly string[] {
  const unstated = unstatedRings(parts, askedBy(plan, request));
  return parts.ca
    .rings()
    .filter(({ name, rotating }) => rotating && unstated.includes(name))
    .map(({ name }) => name);
}

/** What a joiner will verify without having said with which bundle: a statement is about the profile's own ring alone. */
function unstatedRings({ topology }: Parts, asked: Asked): readonly string[] {
  if (!isJoin(asked)) return [];
  const states = statedGeneration(asked.request) !== undefined;
  return verifiedRings(asked.profile, topology).filter((name) => !(states && name === asked.profile.ring));
}

function askedBy({ profile, csr, facts }: Plan, request: CertificateRequest): Asked {
  return { profile, csr, identity: facts.identity, request };
}

function isHeld({ ca }: Parts, name: string): boolean {
  return ca.rings().some((ring) => ring.name === name && ring.joinsHeld);
}
