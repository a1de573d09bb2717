import type { Context } from '../../../src/context.js';
import { newEcKey } from '../../support/pkcs10.js';
import { admin, dayMs, movedClock, quick } from '../support.js';
import { issueForApiServer } from './api-server.js';
import { join } from './calls.js';
import type { Place, Places } from './databases.js';
import type { Flavour } from './flavours.js';
import { copyPeer, newPeer, type Peer, restart } from './peer.js';
import { openService, type Service } from './service.js';
import { currentBundle, lookAround, nowOf, type Plan, startRotation, type World } from './world.js';

/** A machine more than there are at the beginning. */
export const machines = 3;

/** A service with two machines that have joined, closed, to begin from again and again. */
export type Beginning = { readonly place: Place; readonly peers: readonly Peer[]; readonly at: number };

export const planned: Plan = {
  ...{ kind: 'planned', crossSign: true, policy: 'automatic', preference: 'availability-first', depth: 0, slow: 0 },
};

export async function prepareBeginning(places: Places, flavour: Flavour): Promise<Beginning> {
  const place = await places.fresh('lasting');
  const service = await openService({ place, config: configOf });
  const world = worldOf(service, flavour, planned, []);
  await flavour.prepare(service.context(), machines);
  const peers = [];
  for (let machine = 0; machine < machines; machine += 1) {
    const peer = newPeer(flavour.consumer(machine), machine, 'member', newEcKey());
    if (machine < machines - 1) await join(world, peer, { bundle: currentBundle(world), states: true });
    peers.push(peer);
  }
  if (flavour.meetsService) peers.push(await apiServer(world));
  await attestRest(service.context(), flavour.ring);
  await service.close();
  return { place, peers, at: service.clock.now().getTime() };
}

const configOf = { rotation: { automatic: false, ...quick } };

async function apiServer(world: World): Promise<Peer> {
  const peer = newPeer('kube-apiserver/a0', 0, 'api-server', newEcKey());
  const { ring } = world.flavour;
  const rings = [{ ring, verifies: true, presents: true }];
  await world.service.context().consumers.register({ name: peer.name, rings }, admin);
  peer.up = true;
  peer.file = currentBundle(world);
  peer.leafFile = await issueForApiServer(world, peer);
  restart(peer, nowOf(world));
  return peer;
}

/** Of the classes that nobody here is of, somebody says that there is none. */
async function attestRest({ consumers }: Context, ring: string): Promise<void> {
  const { classes } = await consumers.verifiers(ring);
  for (const found of classes) {
    if (found.registered > 0) continue;
    const draft = { ring, class: found.class, statement: 'absent', ttlMs: 300 * dayMs, reason: 'a test' } as const;
    await consumers.attest(draft, admin);
  }
}

/** The beginning once more, with a rotation that has just been started. */
export async function beginWorld(places: Places, beginning: Beginning, flavour: Flavour, plan: Plan): Promise<World> {
  const place = await places.copy(beginning.place);
  const service = await openService({ place, clock: movedClock(beginning.at), config: configOf });
  const world = worldOf(service, flavour, plan, beginning.peers.map(copyPeer));
  lookAround(world);
  world.rotation = (await startRotation(world)).id;
  return world;
}

function worldOf(service: Service, flavour: Flavour, plan: Plan, peers: readonly Peer[]): World {
  const seen = { epoch: 0, generation: 0, state: '', tainted: new Map<string, number>() };
  const lost = { leftBehind: new Set<string>(), cut: new Set<string>() };
  return { service, flavour, plan, peers, rotation: '', bundles: new Map(), seen, ...lost, advanced: false, story: [] };
}
