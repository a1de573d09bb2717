import type { Rotation } from '../../../src/rotation/types.js';
import { admin } from '../support.js';
import { attestStreams, probe, renewApiServer, watch } from './api-server.js';
import { ask, authenticate, collect, join, messageOf, send } from './calls.js';
import { handshake, vouch } from './evidence.js';
import { deliver, type Held, install, type Peer, reload, restart, restore, snapshot } from './peer.js';
import type { Verb, Word } from './words.js';
import { currentBundle, nowOf, rotationOf, startRotation, tick, unlessRefused, type World } from './world.js';

const minuteMs = 60_000;
/** A caller that looked away for a while, a lease that runs out, the life of a leaf. */
const spans = [1, 2, 5, 20, 180, 60 * 26].map((minutes) => minutes * minuteMs);
const skews = [0, 3, -3, 10, -10].map((minutes) => minutes * minuteMs);

type Deed = (world: World, peer: Peer, way: number) => Promise<unknown> | undefined;

/** What each word does. One that makes no sense where things are does nothing. */
const deeds: Readonly<Record<Verb, Deed>> = {
  everyone: (world, _peer, way) => everyone(world, way),
  turn: (world) => turn(world),
  time: (world, _peer, way) =>
    later(() => {
      world.service.clock.forward(spans[way % spans.length] ?? 0);
    }),
  deliver: (world, peer) => later(() => deliver(peer, deliverable(world, peer))),
  reload: (world, peer) => later(() => (peer.kind === 'api-server' ? reload(peer) : restart(peer, tick(world)))),
  restart: (world, peer) => later(() => restart(peer, tick(world))),
  report: report,
  ask: (world, peer) => (peer.kind === 'api-server' ? renewApiServer(world, peer) : ask(world, peer)),
  install: (_world, peer) => later(() => install(peer)),
  use: (world, peer) => (peer.kind === 'api-server' ? probe(world, peer) : authenticate(world, peer)),
  advance: async (world) => {
    world.advanced = true;
    await operate(world, 'advance');
  },
  resume: (world) => operate(world, 'resume'),
  watch: (world, peer) =>
    later(() => {
      for (const server of world.peers) if (server.kind === 'api-server' && server !== peer) watch(world, peer, server);
    }),
  streams: (world, peer) => (peer.kind === 'api-server' ? attestStreams(world, peer) : undefined),
  handshake: (world, peer) => handshake(world, peer),
  vouch: (world, peer) => vouch(world, peer),
  send: (world, peer, way) => sendOne(world, peer, way),
  capture: async (world, peer) => {
    const message = peer.kind === 'member' ? await messageOf(world, peer) : undefined;
    if (message !== undefined) peer.outbox.push(message);
  },
  join: (world, peer, way) => joinAgain(world, peer, way),
  snapshot: (_world, peer) => later(() => snapshot(peer)),
  restore: (world, peer) => later(() => restore(peer, tick(world))),
  away: (_world, peer) =>
    later(() => {
      peer.away = !peer.away;
    }),
  skew: (_world, peer, way) =>
    later(() => {
      peer.skewMs = skews[way % skews.length] ?? 0;
    }),
  pause: (world) => operate(world, 'pause'),
  unquarantine: (world, peer) => unlessRefused(world, world.service.context().consumers.unquarantine(peer.name, admin)),
  quarantine: (world, peer) => {
    const how = { reason: 'a test', dryRun: false, actor: admin };
    return unlessRefused(world, world.service.context().consumers.quarantine(peer.name, how));
  },
  rollback: (world) => operate(world, 'rollback'),
  declare: (world, _peer, way) => declare(world, way > 11),
  lie: async (world, peer) => send(world, peer, await messageOf(world, peer, 'lies')),
  start: async (world, _peer, way) => {
    if (way === 0) return declare(world, false);
    const started = await unlessRefused(world, startRotation(world, way === 1 ? 'reissue' : 'planned'));
    if (started !== undefined) world.rotation = started.id;
  },
};

/** Of the ring's two keys now and then the new one is the stolen one. */
async function declare(world: World, isNew: boolean): Promise<void> {
  const { oldKey, newKey, finishedAt } = await rotationOf(world);
  const compromised = finishedAt === undefined ? (isNew ? newKey : oldKey) : undefined;
  const started = await unlessRefused(world, startRotation(world, 'emergency', compromised));
  if (started !== undefined) world.rotation = started.id;
}

export async function act(world: World, { verb, peer: index, way }: Word): Promise<void> {
  const peer = world.peers[index % world.peers.length];
  if (peer !== undefined) await deeds[verb](world, peer, way);
}

function later(act: () => unknown): undefined {
  act();
  return undefined;
}

export async function turn(world: World): Promise<void> {
  await world.service.turn();
  await collect(world);
}

function operate(world: World, verb: 'pause' | 'resume' | 'advance' | 'rollback'): Promise<Rotation | undefined> {
  const { rotations } = world.service.context();
  return unlessRefused(
    world,
    rotations[verb](world.rotation, { actor: 'admin', reason: 'a test', confirm: world.flavour.ring }),
  );
}

function deliverable(world: World, peer: Peer): Held {
  return { ...currentBundle(world), at: nowOf(world) + peer.skewMs };
}

async function report(world: World, peer: Peer): Promise<void> {
  if (peer.kind === 'api-server') await probe(world, peer);
  else await send(world, peer, await messageOf(world, peer));
}

/** What was said a while ago arrives; half of it once more later. */
async function sendOne(world: World, peer: Peer, way: number): Promise<void> {
  if (peer.outbox.length === 0) return;
  const at = way % peer.outbox.length;
  const message = peer.outbox[at];
  if (way % 2 === 1) peer.outbox.splice(at, 1);
  await send(world, peer, message);
}

/**
 * With the current bundle or one from before, saying so or not. Who does not say so is held to what it knows by the
 * service's own certificate alone, where that is of the ring.
 */
async function joinAgain(world: World, peer: Peer, way: number): Promise<void> {
  if (peer.kind === 'api-server') return;
  const generations = [...world.bundles.values()];
  const stale = generations[Math.floor(way / 4) % generations.length] ?? currentBundle(world);
  await join(world, peer, {
    bundle: way % 2 === 0 ? currentBundle(world) : stale,
    states: way % 4 < 2 || !world.flavour.meetsService,
  });
}

/** Leaves nobody out. */
export const all = 15;

/** All machines do what is expected of them, but for one: mostly the one that is slow in this run. */
export async function everyone(world: World, way: number): Promise<void> {
  const left = way < 6 ? world.plan.slow : way < 10 ? way - 6 : -1;
  for (const [index, peer] of world.peers.entries()) if (index !== left) await catchUp(world, peer);
  world.service.clock.forward(2 * minuteMs);
  await turn(world);
}

/** One machine takes over what there is, says so, and gets another certificate where another authority signs. */
export async function catchUp(world: World, peer: Peer): Promise<void> {
  const isNew = deliver(peer, deliverable(world, peer));
  await (isNew && peer.kind === 'api-server' ? deeds.restart : deeds.reload)(world, peer, 0);
  if (isNew) await deeds.streams(world, peer, 0);
  await report(world, peer);
  const { active } = world.service.context().ca.ring(world.flavour.ring);
  if (peer.leafFile?.authority === active.ski || !peer.up) return;
  await deeds.ask(world, peer, 0);
  if (!install(peer)) return;
  await deeds.reload(world, peer, 0);
  await deeds.use(world, peer, 0);
  await report(world, peer);
}
