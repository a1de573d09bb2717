import { publicPart } from '../../../src/ca/keys/software-key.js';
import { clientAuth, serverAuth } from '../../../src/ca/x509/usages.js';
import { goalsOf, type ProbeGoal } from '../../../src/rotation/probing/goals.js';
import { supersedeBy } from '../../../src/store/queries/certificates-superseded.js';
import { chainOf, verifies } from './chains.js';
import type { Leaf, Peer } from './peer.js';
import { admin, dayMs } from '../support.js';
import { told } from './excuses.js';
import { leafOf, nowOf, rotationOf, unlessRefused, type World } from './world.js';

const profile = 'kubeadm.rotunda.dev/apiserver';
const lifetimeMs = 24 * 3_600_000;

/** A certificate of a control plane, as its machine is given it. Throws 'unavailable' while nothing is signed. */
export async function issueForApiServer(world: World, peer: Peer): Promise<Leaf> {
  const { ca, store } = world.service.context();
  const now = Math.floor(nowOf(world) / 1000) * 1000;
  const { spki, keyId } = publicPart(peer.key);
  const prepared = ca.issuing.prepare({
    ...{ ring: world.flavour.ring, profile, spki, keyId, node: 'a0', commonName: 'kube-apiserver', names: [] },
    subject: [{ oid: '2.5.4.3', value: 'kube-apiserver' }],
    ...{ notBefore: now - 300_000, notAfter: now + lifetimeMs, requester: 'system:rotunda' },
    ...{ keyUsages: ['digitalSignature'], extendedKeyUsages: [serverAuth, clientAuth] },
  });
  await store.write((tx) => ca.issuing.intend(tx, prepared));
  const issued = await ca.issuing.sign(prepared);
  await store.write((tx) => ca.issuing.record(tx, issued));
  return leafOf(issued.chainPem);
}

export async function renewApiServer(world: World, peer: Peer): Promise<void> {
  if (!peer.up || peer.away) return;
  const leaf = await unlessRefused(world, issueForApiServer(world, peer));
  if (leaf !== undefined) peer.answers.push(leaf);
}

/** Somebody looks at its listener from outside, sees which certificate it presents, and what it takes. */
export async function probe(world: World, peer: Peer): Promise<void> {
  const { process } = peer;
  if (!peer.up || peer.away || process === undefined) return;
  await seePresented(world, process.leaf);
  const rotation = await rotationOf(world);
  const goals = goalsOf(rotation);
  if (rotation.kind === 'reissue') await acknowledge(world, peer);
  if (goals.length === 0) return;
  const taken = new Map<string, boolean>();
  for (const authority of [rotation.oldKey, rotation.newKey]) {
    const takes = await takesCanary(world, peer, authority);
    if (takes !== undefined) taken.set(authority, takes);
  }
  const generation = shown(goals, taken);
  if (generation === undefined) return;
  const { consumers } = world.service.context();
  const about = { consumer: peer.name, ring: world.flavour.ring, generation, clean: generation > 0 };
  await unlessRefused(world, consumers.prove(undefined, { ...about, evidence: 'canary-probe' }));
  if (peer.restored !== undefined) told(world, peer);
}

/** One key, two certificates: somebody says which one it has. */
async function acknowledge(world: World, { name: consumer, process }: Peer): Promise<void> {
  if (process === undefined) return;
  const { consumers } = world.service.context();
  const { generation, digest } = process.trust;
  const said = { consumer, ring: world.flavour.ring, generation, digest, evidence: 'self-report' } as const;
  await unlessRefused(world, consumers.acknowledge(said, admin));
}

/** An operator has looked: none of its connections is older than this moment. */
export async function attestStreams(world: World, peer: Peer): Promise<void> {
  if (!peer.up || peer.streams.length > 0) return;
  const { consumers } = world.service.context();
  const statement = { ring: world.flavour.ring, consumer: peer.name, statement: 'streams-ended' } as const;
  await consumers.attest({ ...statement, ttlMs: dayMs, reason: 'it was restarted' }, admin);
}

/** A client opens a connection to it, and keeps that. */
export function watch(world: World, client: Peer, server: Peer): void {
  const { process } = client;
  const trust = server.process?.trust;
  if (!client.up || !server.up || process?.leaf === undefined || trust === undefined) return;
  if (verifies(process.leaf.chain, trust.anchors, nowOf(world))) server.streams.push(process.leaf.authority);
}

async function seePresented(world: World, leaf: Leaf | undefined): Promise<void> {
  if (leaf === undefined) return;
  const { store } = world.service.context();
  const { serial, fingerprint } = leaf;
  await store.write((tx) => supersedeBy(tx.db, { serial, fingerprint, at: nowOf(world) }));
}

/** Undefined where there is no canary of that authority. */
async function takesCanary(world: World, peer: Peer, authority: string): Promise<boolean | undefined> {
  const { flavour, service } = world;
  const order = { ring: flavour.ring, authority, kind: 'client', names: [], lifetimeMs: 3_600_000 } as const;
  const canary = await unlessRefused(world, service.context().ca.canary(order));
  if (canary === undefined) return undefined;
  const trust = peer.process?.trust.anchors ?? [];
  return verifies(chainOf(canary.certificatePem), trust, nowOf(world) + peer.skewMs);
}

/** As a prober concludes: the strongest goal that is met; nothing where it cannot be told for that one. */
function shown(goals: readonly ProbeGoal[], taken: ReadonlyMap<string, boolean>): number | undefined {
  for (const { generation, accepts, refuses } of goals.toReversed()) {
    const answers = [
      ...accepts.map((ski) => taken.get(ski)),
      ...refuses.map((ski) => (taken.has(ski) ? taken.get(ski) === false : undefined)),
    ];
    if (answers.every((answer) => answer === true)) return generation;
    if (!answers.includes(false)) return undefined;
  }
  return 0;
}
