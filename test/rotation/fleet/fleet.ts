import { setTimeout as sleep } from 'node:timers/promises';

import type { Rotation } from '../../../src/rotation/types.js';
import { handshake, type Mesh, type Peer, renew, restart, startPeer } from './peer.js';

export type Failure = { readonly from: string; readonly to: string; readonly state: string; readonly why: string };

/** A mesh of peers that shake hands with one another all the time, and each do what an agent would. */
export type Fleet = {
  readonly peers: readonly Peer[];
  readonly failures: readonly Failure[];
  readonly handshakes: () => number;
  /** Every edge once, now. */
  everyEdge(): Promise<void>;
  /** What agents do by themselves: take over bundles and certificates. */
  tend(): Promise<void>;
  stop(): Promise<void>;
};

export async function startFleet(mesh: Mesh, size: number, state: () => string): Promise<Fleet> {
  const peers: Peer[] = [];
  for (let i = 1; i <= size; i += 1) peers.push(await startPeer(mesh, `m${String(i)}`));
  const failures: Failure[] = [];
  let count = 0;
  const life = { stopped: false };
  const shake = async (from: Peer, to: Peer): Promise<void> => {
    const during = state();
    try {
      await handshake(from, to);
      count += 1;
    } catch (error) {
      failures.push({ from: from.name, to: to.name, state: `${during} to ${state()}`, why: String(error) });
    }
  };
  const edges = peers.flatMap((from) => peers.filter((to) => to !== from).map((to) => [from, to] as const));
  const everyEdge = async (): Promise<void> => {
    const left = [...edges];
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let edge = left.pop(); edge !== undefined; edge = left.pop()) await shake(...edge);
      }),
    );
  };
  const going = (async () => {
    for (let i = 0; !life.stopped; i = (i + 7) % edges.length) {
      const edge = edges[i];
      if (edge !== undefined) await shake(...edge);
      await sleep(3);
    }
  })();
  return {
    peers,
    failures,
    everyEdge,
    handshakes: () => count,
    tend: () => tend(mesh, peers),
    stop: async () => {
      life.stopped = true;
      await going;
      await Promise.all(peers.map((peer) => peer.close()));
    },
  };
}

let turn = 0;

/** A third of them at a time, so that all mixtures come about. */
async function tend(mesh: Mesh, peers: readonly Peer[]): Promise<void> {
  const { ca } = mesh.context;
  turn += 1;
  for (const [index, peer] of peers.entries()) {
    if (peer.asleep || (index + turn) % 3 !== 0) continue;
    const ring = ca.ring(mesh.ring);
    if (peer.bundle.generation !== ca.bundle(mesh.ring).generation) await restart(mesh, peer);
    if (!ring.frozen && peer.leaf.ski !== ring.active.ski) await renew(mesh, peer);
  }
}

type Lead = {
  readonly step: () => Promise<unknown>;
  readonly get: () => Promise<Rotation>;
  readonly each: (state: Rotation['state']) => Promise<void>;
  /** After each round of what agents do. */
  readonly looked: () => Promise<void>;
};

/** Leads a rotation until it is over, or stands in `until`, calling `each` for every state that it comes to. */
export async function lead(
  fleet: Fleet,
  { step, get, each, looked }: Lead,
  until?: Rotation['state'],
): Promise<Rotation> {
  const deadline = Date.now() + 120_000;
  let seen: string | undefined;
  for (;;) {
    const rotation = await get();
    if (rotation.state !== seen) {
      seen = rotation.state;
      await fleet.everyEdge();
      await each(rotation.state);
    }
    if (rotation.finishedAt !== undefined || rotation.state === until) return rotation;
    if (Date.now() > deadline) throw new Error(`the rotation stands in ${rotation.state}`);
    await fleet.tend();
    await looked();
    await step();
    await sleep(50);
  }
}
