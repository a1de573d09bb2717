import { X509Certificate } from 'node:crypto';

import type { Bundle } from '../../../src/ca/types.js';
import { readCertificate } from '../../../src/ca/x509/certificate.js';
import { RotundaError } from '../../../src/errors.js';
import type { Rotation, RotationKind, RotationOptions } from '../../../src/rotation/types.js';
import { type Chain, chainOf } from './chains.js';
import type { Flavour } from './flavours.js';
import { type Held, type Leaf, type Peer, presentable } from './peer.js';
import type { Service } from './service.js';

/** How the ring is rotated. */
export type Plan = {
  readonly kind: RotationKind;
  readonly crossSign: boolean;
  readonly policy: Rotation['policy'];
  readonly preference: NonNullable<RotationOptions['preference']>;
  /** How often everybody does what is expected before anything else happens: how far the rotation is then. */
  readonly depth: number;
  /** Which machine mostly does not do what is expected of all. */
  readonly slow: number;
};

/** A service, its machines, and everything that was ever published. */
export type World = {
  readonly service: Service;
  readonly flavour: Flavour;
  readonly plan: Plan;
  readonly peers: readonly Peer[];
  /** Of the running rotation, or the last one. */
  rotation: string;
  readonly bundles: Map<number, Held>;
  /** What was seen before, to be held against what is. */
  readonly seen: { epoch: number; generation: number; state: string; readonly tainted: Map<string, number> };
  /** Whom an emergency went on without. */
  readonly leftBehind: Set<string>;
  /** Authorities that an emergency has cut off. */
  readonly cut: Set<string>;
  /** An operator has told the present state to be left. */
  advanced: boolean;
  /** What happened, for who has to understand a violation. */
  readonly story: string[];
};

const deadlineMs = 3 * 3_600_000;

export function startRotation(world: World, kind = world.plan.kind, compromised?: string): Promise<Rotation> {
  const { crossSign, policy, preference } = world.plan;
  const options = kind === 'emergency' ? { deadline: nowOf(world) + deadlineMs, preference } : {};
  return world.service.rig().start({ ring: world.flavour.ring, kind, crossSign, policy, options, compromised });
}

export function nowOf({ service }: World): number {
  return service.clock.now().getTime();
}

/** A moment later: no two things happen at once. */
export function tick(world: World): number {
  world.service.clock.forward(1);
  return nowOf(world);
}

export function heldBundle({ generation, digest, anchors }: Bundle, at: number): Held {
  return { generation, digest, at, anchors: anchors.map(({ der }) => new X509Certificate(der)) };
}

export function currentBundle(world: World): Held {
  return heldBundle(world.service.context().ca.bundle(world.flavour.ring), nowOf(world));
}

/** Remembers what is published now. */
export function lookAround(world: World): void {
  const bundle = currentBundle(world);
  if (!world.bundles.has(bundle.generation)) world.bundles.set(bundle.generation, bundle);
}

let issued = 0;

export function leafOf(pem: string): Leaf {
  const chain = chainOf(pem);
  issued += 1;
  return {
    ...{ chain, number: issued },
    serial: chain.leaf.serialNumber.toLowerCase(),
    fingerprint: chain.leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    authority: readCertificate(chain.leaf.raw).authorityKeyId ?? '',
  };
}

/** What the service presents. */
export function servedChain({ service }: World): Chain {
  return chainOf(service.serving().current().certificatePem);
}

export function allPresented(
  world: World,
): readonly { readonly by: string; readonly leaf: Leaf; readonly peer: Peer | undefined }[] {
  const ofPeers = world.peers.flatMap((peer) => presentable(peer).map((leaf) => ({ by: peer.name, leaf, peer })));
  if (!world.flavour.meetsService) return ofPeers;
  const own = leafOf(world.service.serving().current().certificatePem);
  return [...ofPeers, { by: 'rotunda/this', leaf: own, peer: undefined }];
}

export function rotationOf(world: World): Promise<Rotation> {
  return world.service.rig().get(world.rotation);
}

const refusals = [
  'unauthorized',
  'forbidden',
  'conflict',
  'stale-bundle',
  'unavailable',
  'too-many-requests',
  'not-found',
];

/** Undefined where the service refuses, as it may; everything else that it throws is a fault. */
export async function unlessRefused<T>(world: World, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof RotundaError) || !refusals.includes(error.code)) throw error;
    world.story.push(`  refused: ${error.code}: ${error.message}`);
    return undefined;
  }
}
