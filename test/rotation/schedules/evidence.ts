import { candidateIn } from '../../../src/rotation/probing/goals.js';
import { chainOf, verifies } from './chains.js';
import type { Peer } from './peer.js';
import { nowOf, rotationOf, servedChain, unlessRefused, type World } from './world.js';

/** Its process completes a handshake with a listener whose certificate the candidate has signed, without anything behind it. */
export async function handshake(world: World, peer: Peer): Promise<void> {
  const { process } = peer;
  const candidate = candidateIn(await rotationOf(world));
  if (peer.kind !== 'member' || !world.flavour.meetsService || !peer.up || peer.away) return;
  if (process === undefined || candidate === undefined) return;
  const { ca } = world.service.context();
  const order = {
    ring: world.flavour.ring,
    kind: 'server',
    names: [{ kind: 'dns', value: 'x' }],
    lifetimeMs: 3_600_000,
  } as const;
  const canary = await unlessRefused(world, ca.canary({ ...order, authority: candidate.authority }));
  if (canary === undefined) return;
  if (!verifies(chainOf(canary.certificatePem), process.trust.anchors, nowOf(world) + peer.skewMs)) return;
  await prove(world, peer, { generation: candidate.generation, clean: true });
}

/** Likewise with the service's own listener, whose chain has the cross-certificate: that shows less. */
export async function vouch(world: World, peer: Peer): Promise<void> {
  const { process } = peer;
  if (peer.kind !== 'member' || !world.flavour.meetsService || !peer.up || peer.away || process === undefined) return;
  const chain = servedChain(world);
  if (chain.more.length === 0 || !verifies(chain, process.trust.anchors, nowOf(world) + peer.skewMs)) return;
  const { generation } = world.service.context().ca.bundle(world.flavour.ring);
  await prove(world, peer, { generation, clean: false });
}

async function prove(
  world: World,
  peer: Peer,
  shown: { readonly generation: number; readonly clean: boolean },
): Promise<void> {
  const { process, name } = peer;
  if (process === undefined) return;
  const { id, startedAt } = process;
  const proof = { consumer: name, ring: world.flavour.ring, ...shown, evidence: 'reverse-handshake' } as const;
  const { consumers } = world.service.context();
  await unlessRefused(world, consumers.prove(undefined, { ...proof, process: { id, startedAt } }));
}
