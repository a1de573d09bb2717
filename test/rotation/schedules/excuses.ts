import { type X509Certificate } from 'node:crypto';

import { readCertificate } from '../../../src/ca/x509/certificate.js';
import type { Rotation } from '../../../src/rotation/types.js';
import { chainOf, verifies } from './chains.js';
import type { Leaf, Peer } from './peer.js';
import { allPresented, nowOf, type World } from './world.js';

/** What a rotation allows clocks to be away, milliseconds. */
const longestSkewMs = 4 * 60_000;

const keys = new WeakMap<X509Certificate, string>();

/** The name of the authority that a certificate is of. */
export function skiOf(certificate: X509Certificate): string {
  const known = keys.get(certificate);
  if (known !== undefined) return known;
  const found = readCertificate(certificate.raw).subjectKeyId ?? '';
  keys.set(certificate, found);
  return found;
}

/** Clocks that are further away than that are no fault of the rotation, which waits for them. */
export function timeAt(world: World, { skewMs }: Peer): number {
  return nowOf(world) + Math.max(-longestSkewMs, Math.min(longestSkewMs, skewMs));
}

/** Whether the machine's process verifies a leaf now. */
export function accepts(world: World, peer: Peer, leaf: Leaf): boolean {
  return verifies(leaf.chain, peer.process?.trust.anchors ?? [], timeAt(world, peer));
}

/** Whether it would verify what is signed now. */
export function acceptsSigner(world: World, peer: Peer): boolean {
  const { active, crossPem } = world.service.context().ca.ring(world.flavour.ring);
  const anchors = peer.process?.trust.anchors ?? [];
  if (anchors.some((anchor) => skiOf(anchor) === active.ski)) return true;
  return crossPem !== '' && verifies(chainOf(crossPem), anchors, timeAt(world, peer));
}

/**
 * The service has heard, by evidence of its present process, of a machine that was put back to an earlier state. What that
 * has broken by then nobody can mend; nothing else may break because of it.
 */
export function told(world: World, peer: Peer): void {
  const { restored } = peer;
  if (restored === undefined || restored.told) return;
  restored.told = true;
  for (const { leaf } of allPresented(world)) if (!accepts(world, peer, leaf)) restored.lost.add(leaf.authority);
  if (!acceptsSigner(world, peer)) restored.lost.add(activeOf(world));
}

function activeOf({ service, flavour }: World): string {
  return service.context().ca.ring(flavour.ring).active.ski;
}

/** It has what it had lost: from then on it is one like others. */
export function forgive(world: World, peer: Peer): void {
  const trusted = new Set(peer.process?.trust.anchors.map(skiOf));
  for (const ski of peer.restored?.lost ?? []) if (trusted.has(ski)) peer.restored?.lost.delete(ski);
  if (peer.restored?.told === true && peer.restored.lost.size === 0) peer.restored = undefined;
  if (trusted.has(activeOf(world))) world.leftBehind.delete(peer.name);
}

/** An emergency goes on without who has not heard of it, and says so. */
export function leaveBehind(world: World, rotation: Rotation): void {
  for (const peer of world.peers)
    if (peer.up && !peer.process?.trust.anchors.some((anchor) => skiOf(anchor) === rotation.newKey))
      world.leftBehind.add(peer.name);
}

/** Why a machine need not verify what an authority has signed. */
export function excuseOf(world: World, verifier: Peer, authority: string): string | undefined {
  if (world.service.context().consumers.isQuarantined(verifier.name)) return 'quarantined';
  if (world.leftBehind.has(verifier.name)) return 'left behind by an emergency';
  if (world.cut.has(authority)) return 'cut';
  if (verifier.restored === undefined) return undefined;
  return !verifier.restored.told || verifier.restored.lost.has(authority) ? 'put back to an earlier state' : undefined;
}
