import { disagreement } from '../../../src/rotation/position.js';
import type { Rotation, RotationState } from '../../../src/rotation/types.js';
import { isValid, verifies } from './chains.js';
import { accepts, acceptsSigner, excuseOf, forgive, leaveBehind, skiOf, timeAt } from './excuses.js';
import type { Leaf, Peer } from './peer.js';
import { checkRecords } from './records.js';
import { violated } from './violation.js';
import { allPresented, currentBundle, lookAround, nowOf, rotationOf, type World } from './world.js';

/** Throws with the name of the invariant that does not hold, and what breaks it. */
export async function checkInvariants(world: World): Promise<void> {
  lookAround(world);
  const rotation = await rotationOf(world);
  noteEmergency(world, rotation);
  for (const peer of world.peers) forgive(world, peer);
  const unusable = await checkRecords(world, rotation);
  checkLeaves(world, unusable);
  checkSigner(world);
  checkBundle(world, unusable);
  checkStreams(world, rotation);
  await checkWay(world, rotation);
}

const cutStates: readonly RotationState[] = ['cut', 'recovering'];

function noteEmergency(world: World, rotation: Rotation): void {
  const { state, kind, oldKey, id } = rotation;
  const before = world.seen.state;
  world.seen.state = `${id} ${state}`;
  if (before === world.seen.state) return;
  const told = world.advanced;
  world.advanced = false;
  if (kind !== 'emergency') return;
  if (cutStates.includes(state) || state === 'finished') {
    world.cut.add(oldKey);
    leaveBehind(world, rotation);
  }
  const { deadline = 0, preference } = rotation.options;
  const declaredAt = rotation.marks.declared?.at ?? rotation.startedAt;
  const half = declaredAt + (deadline - declaredAt) / 2;
  const waited = before === `${id} spreading` && preference !== 'security-first' && nowOf(world) < half && !told;
  if (state === 'reissuing' && !waited) leaveBehind(world, rotation);
}

/** I1: whatever may be presented is verified by every process that it may be presented to. */
function checkLeaves(world: World, unusable: ReadonlySet<string>): void {
  const service = currentBundle(world).anchors;
  for (const { by, leaf, peer } of allPresented(world)) {
    if (unusable.has(leaf.serial)) continue;
    for (const verifier of world.peers) {
      if (!mustVerify(world, verifier, leaf, peer) || accepts(world, verifier, leaf)) continue;
      throw violated(
        'I1',
        `${verifier.name} (bundle ${String(verifier.process?.trust.generation)}) refuses ${describe(leaf)} of ${by}`,
      );
    }
    if (peer === undefined || world.cut.has(leaf.authority) || !isValid(leaf.chain.leaf, nowOf(world))) continue;
    if (!verifies(leaf.chain, service, nowOf(world)))
      throw violated('I1', `the service refuses ${describe(leaf)} of ${by}`);
  }
}

function mustVerify(world: World, verifier: Peer, leaf: Leaf, presenter: Peer | undefined): boolean {
  if (verifier === presenter || !verifier.up || verifier.process === undefined) return false;
  if (!isValid(leaf.chain.leaf, timeAt(world, verifier))) return false;
  return excuseOf(world, verifier, leaf.authority) === undefined;
}

function describe({ serial, authority, chain }: Leaf): string {
  return `${serial} by ${authority.slice(0, 8)}${chain.more.length > 0 ? ' with a cross-certificate' : ''}`;
}

/** I2: what is signed now is verified by every process. */
function checkSigner(world: World): void {
  const ring = world.service.context().ca.ring(world.flavour.ring);
  if (ring.frozen) return;
  for (const peer of world.peers) {
    if (!peer.up || peer.process === undefined || excuseOf(world, peer, ring.active.ski) !== undefined) continue;
    if (!acceptsSigner(world, peer))
      throw violated('I2', `${peer.name} (bundle ${String(peer.process.trust.generation)}) does not know the signer`);
  }
}

/** I3: nothing that may be presented needs an authority that is not published. */
function checkBundle(world: World, unusable: ReadonlySet<string>): void {
  const published = new Set(currentBundle(world).anchors.map(skiOf));
  for (const { by, leaf } of allPresented(world)) {
    const excused = unusable.has(leaf.serial) || world.cut.has(leaf.authority) || published.has(leaf.authority);
    if (excused || !isValid(leaf.chain.leaf, nowOf(world))) continue;
    throw violated('I3', `${by} may present ${describe(leaf)}, and no bundle has that authority any more`);
  }
}

/** Removal is real: once it is retired, nothing that was believed because of the old authority goes on. */
function checkStreams(world: World, rotation: Rotation): void {
  const { state, kind, oldKey } = rotation;
  if (kind !== 'planned' || !(state === 'cooling' || state === 'finished')) return;
  for (const peer of world.peers)
    if (excuseOf(world, peer, oldKey) === undefined && peer.streams.includes(oldKey))
      throw violated('removal', `${peer.name} has a connection open that the retired authority let in`);
}

/** I13: the machine goes on, or says by name what it waits for and what would help. */
async function checkWay(world: World, rotation: Rotation): Promise<void> {
  const { rotations } = world.service.context();
  if (rotation.disagreement !== undefined) throw violated('position', rotation.disagreement);
  if (rotation.finishedAt !== undefined) return;
  const problem = disagreement(rotation, await rotations.facts(rotation));
  if (problem !== undefined) throw violated('position', `${rotation.state}: ${problem}`);
  const { ways } = await rotations.explain(world.rotation);
  const onward = ways.filter(({ by }) => by === 'machine');
  if (onward.length === 0) throw violated('I13', `nothing leads on from ${rotation.state}`);
  for (const { gate, name } of onward) {
    const mute = gate.blockers.find(({ subject, remedies }) => subject === '' || remedies.length === 0);
    if (mute !== undefined) throw violated('I13', `${name} is blocked, and nothing says what would help`);
  }
}
