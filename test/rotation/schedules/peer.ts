import type { KeyObject, X509Certificate } from 'node:crypto';

import type { Identity } from '../../../src/identity/types.js';
import type { Heartbeat } from '../../../src/fleet/consumers/report-types.js';
import type { Chain } from './chains.js';

/** A bundle as it lies in a file or in a process. */
export type Held = {
  readonly generation: number;
  readonly digest: string;
  readonly anchors: readonly X509Certificate[];
  /** When it was put there, by the machine's clock. */
  readonly at: number;
};

export type Leaf = {
  readonly serial: string;
  readonly fingerprint: string;
  readonly chain: Chain;
  /** SKI of the authority that signed it. */
  readonly authority: string;
  /** Later ones have higher numbers. */
  readonly number: number;
};

export type Process = {
  readonly id: string;
  /** By the machine's clock. */
  readonly startedAt: number;
  readonly trust: Held;
  readonly leaf: Leaf | undefined;
};

/** What a machine's disk and memory are, as a snapshot of it holds them. */
type Image = { readonly file: Held; readonly leafFile: Leaf | undefined; readonly process: Process };

/** A report on its way. */
export type Message = { readonly report: Heartbeat; readonly actor: Identity };

/** One machine that presents and verifies. */
export type Peer = {
  readonly name: string;
  readonly machine: number;
  readonly kind: 'member' | 'api-server';
  key: KeyObject;
  /** It runs. */
  up: boolean;
  file: Held | undefined;
  leafFile: Leaf | undefined;
  process: Process | undefined;
  /** Certificates that were issued to it and have not arrived. */
  answers: Leaf[];
  /** Requests of its that wait for a decision; with a bundle where it will start with that. */
  waiting: { readonly request: string; readonly joinsWith: Held | undefined }[];
  outbox: Message[];
  /** Its clock minus the service's, milliseconds. */
  skewMs: number;
  away: boolean;
  image: Image | undefined;
  /** It was put back to an earlier state, which the service does not know until `told`. */
  restored: { told: boolean; readonly lost: Set<string> } | undefined;
  /** Serials that it had replaced, and has again. */
  readonly resurrected: Set<string>;
  /** What its API server's clients opened under which authority and still have open. */
  streams: string[];
};

export function newPeer(name: string, machine: number, kind: Peer['kind'], key: KeyObject): Peer {
  return {
    ...{ name, machine, kind, key, up: false, file: undefined, leafFile: undefined, process: undefined },
    ...{ answers: [], waiting: [], outbox: [], skewMs: 0, away: false, image: undefined, restored: undefined },
    ...{ resurrected: new Set<string>(), streams: [] },
  };
}

/** Its own parts are new, what they hold never changes. */
export function copyPeer(peer: Peer): Peer {
  return {
    ...peer,
    answers: [...peer.answers],
    waiting: [...peer.waiting],
    outbox: [...peer.outbox],
    resurrected: new Set(),
    streams: [],
  };
}

/** Writes a bundle where the process reads it; an earlier one than what is there is not taken. */
export function deliver(peer: Peer, bundle: Held): boolean {
  if (!peer.up || peer.away || (peer.file?.generation ?? 0) >= bundle.generation) return false;
  peer.file = bundle;
  return true;
}

/** Writes the newest certificate that arrived; answers to earlier requests are of no use any more. */
export function install(peer: Peer): boolean {
  const newest = peer.answers.reduce<Leaf | undefined>(
    (a, b) => (a === undefined || b.number > a.number ? b : a),
    undefined,
  );
  if (!peer.up || peer.away || newest === undefined) return false;
  peer.answers = [];
  if (newest.number > (peer.leafFile?.number ?? -1)) peer.leafFile = newest;
  return true;
}

/** What runs goes by the files from now on. */
export function reload(peer: Peer): boolean {
  const { file, leafFile, process } = peer;
  if (!peer.up || peer.away || file === undefined || process === undefined) return false;
  peer.process = { ...process, trust: file, leaf: leafFile };
  return true;
}

let started = 0;

/** Another process, which reads the files. */
export function restart(peer: Peer, now: number): boolean {
  const { file, leafFile } = peer;
  if (!peer.up || peer.away || file === undefined) return false;
  started += 1;
  peer.process = { id: `process-${String(started)}`, startedAt: now + peer.skewMs, trust: file, leaf: leafFile };
  peer.streams = [];
  return true;
}

export function snapshot(peer: Peer): boolean {
  const { file, leafFile, process } = peer;
  if (!peer.up || file === undefined || process === undefined) return false;
  peer.image = { file, leafFile, process };
  return true;
}

/** The machine is what it was when the snapshot was taken, but that its process counts as another one. */
export function restore(peer: Peer, now: number): boolean {
  const { image } = peer;
  if (!peer.up || peer.away || image === undefined) return false;
  started += 1;
  const newest = Math.max(...presentable(peer).map(({ number }) => number));
  peer.file = image.file;
  peer.leafFile = image.leafFile;
  peer.process = { ...image.process, id: `process-${String(started)}`, startedAt: now + peer.skewMs };
  peer.streams = [];
  peer.answers = [];
  peer.restored = { told: false, lost: new Set() };
  for (const { serial, number } of presentable(peer)) if (number < newest) peer.resurrected.add(serial);
  return true;
}

/** Whatever it may present, now or once it takes over what is on its disk or on its way. */
export function presentable(peer: Peer): readonly Leaf[] {
  if (!peer.up) return [];
  const { process, leafFile, answers } = peer;
  const coming = answers.filter(({ number }) => number > (leafFile?.number ?? -1));
  return [...new Set([process?.leaf, leafFile, ...coming])].filter((leaf) => leaf !== undefined);
}
