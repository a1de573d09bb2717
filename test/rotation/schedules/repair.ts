import { admin, dayMs } from '../support.js';
import { attestStreams } from './api-server.js';
import { authenticate, join } from './calls.js';
import { act, catchUp, turn } from './deeds.js';
import { checkInvariants } from './invariants.js';
import type { Peer } from './peer.js';
import { restart } from './peer.js';
import { violated } from './violation.js';
import { currentBundle, nowOf, rotationOf, tick, unlessRefused, type World } from './world.js';

const mostRounds = 60;

/**
 * From wherever things are, everybody does what is asked of them, time passes, and an operator says yes: the rotation has
 * to come to an end, with everything that it changed in order.
 */
export async function bringToEnd(world: World): Promise<void> {
  for (const peer of world.peers) Object.assign(peer, { away: false, skewMs: 0, outbox: [] });
  for (let round = 0; round < mostRounds; round += 1) {
    await checkInvariants(world);
    const rotation = await rotationOf(world);
    if (rotation.finishedAt !== undefined) {
      await checkEnd(world);
      return;
    }
    await mendAll(world, round);
  }
  const { ways, standstill, rotation } = await world.service.context().rotations.explain(world.rotation);
  const blockers = ways.flatMap(({ name, gate }) =>
    gate.blockers.map(
      ({ subject, requirement, lastEvidence }) => `${name}: ${subject}: ${requirement} (${lastEvidence})`,
    ),
  );
  throw violated('I13', `a wedge in ${rotation.state}: ${standstill ?? ''} ${blockers.join('; ')}`);
}

async function mendAll(world: World, round: number): Promise<void> {
  for (const peer of world.peers) await mend(world, peer);
  const context = world.service.context();
  for (const { id, state } of await context.tokens.list())
    if (state === 'active') await context.tokens.revoke(id, admin);
  await act(world, { verb: 'resume', peer: 0, way: 0 });
  await act(world, { verb: 'advance', peer: 0, way: 0 });
  // What a crash has left, or somebody has lost, runs out.
  world.service.clock.forward(round % 8 === 7 ? 2 * dayMs : 12 * 60_000);
  await turn(world);
}

async function mend(world: World, peer: Peer): Promise<void> {
  if (peer.kind === 'member' && (!peer.up || (await authenticate(world, peer)) === undefined))
    await join(world, peer, { bundle: currentBundle(world), states: true });
  if (world.service.context().consumers.isQuarantined(peer.name)) {
    await catchUp(world, peer);
    await unlessRefused(world, world.service.context().consumers.unquarantine(peer.name, admin));
    if (world.service.context().consumers.isQuarantined(peer.name)) await giveUp(world, peer);
  }
  await catchUp(world, peer);
  const isOld = peer.leafFile === undefined || Date.parse(peer.leafFile.chain.leaf.validTo) < nowOf(world) + dayMs / 2;
  if (isOld)
    for (const verb of ['ask', 'install', 'reload', 'use'] as const)
      await act(world, { verb, peer: world.peers.indexOf(peer), way: 0 });
  restart(peer, tick(world));
  await act(world, { verb: 'report', peer: world.peers.indexOf(peer), way: 0 });
  if (peer.kind === 'api-server') await attestStreams(world, peer);
}

/** Where nothing can be shown of one before the end, somebody answers for its class. */
async function giveUp(world: World, { name }: Peer): Promise<void> {
  const [of = ''] = name.split('/');
  const statement = {
    ring: world.flavour.ring,
    class: of,
    statement: 'absent',
    ttlMs: dayMs,
    reason: 'a test',
  } as const;
  await unlessRefused(world, world.service.context().consumers.attest(statement, admin));
}

/** Nothing is left of a rotation that is over. */
async function checkEnd(world: World): Promise<void> {
  await turn(world);
  const { ca, store } = world.service.context();
  const { frozen, joinsHeld, rotating, crossPem, active } = ca.ring(world.flavour.ring);
  const anchors = ca.bundle(world.flavour.ring).anchors.map(({ subjectKeyId }) => subjectKeyId);
  const left = Object.entries({ frozen, joinsHeld, rotating, crossPem: crossPem !== '' }).filter(([, is]) => is);
  if (left.length > 0) throw violated('the end', left.map(([name]) => name).join(', '));
  if (anchors.some((ski) => ski !== active.ski)) throw violated('the end', `anchors ${anchors.join(', ')}`);
  const pending = await store.db.selectFrom('effects').select('id').where('state', '=', 'pending').execute();
  if (pending.length > 0) throw violated('the end', `left to do: ${pending.map(({ id }) => id).join(', ')}`);
}
