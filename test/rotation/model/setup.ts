import { era, extra, get, mode, OLD, NEW, peer, put, ring, stateNumber, world, type Words } from './layout.js';

export type PeerSetup = {
  readonly name: string;
  /** `unregistered`: it verifies from the beginning, and the service does not know of it. */
  readonly starts: 'member' | 'outside' | 'unregistered';
  /** `stepwise`: its leaves are intended, signed, delivered, stored and loaded one after the other; `simple`: issued and delivered. */
  readonly leaves: 'simple' | 'stepwise';
  /** It may renew a leaf of the authority that still signs, so that one is under way when another signs. */
  readonly renews?: true;
  /** Its reports may be under way while it goes on: late, lost, twice, in another order. */
  readonly delays?: true;
  /** Its handshakes over chains with the cross-certificate are noted, as what they are. */
  readonly handshakes?: true;
  /** It may fall silent and be quarantined, and come back. */
  readonly quarantine?: true;
  /** Its machine may be lost for good. */
  readonly dies?: true;
  /** Its machine may be lost, and come back under its name from any image. */
  readonly rebuilt?: true;
};

/** What is explored: who there is, what kind of rotation, and what may happen. */
export type Setup = {
  readonly title: string;
  readonly kind: 'planned' | 'emergency' | 'reissue';
  readonly crossSigned: boolean;
  readonly preference?: 'availability-first' | 'security-first';
  /** Whether joiners say which bundle they hold. */
  readonly joiners: 'stating' | 'silent';
  readonly peers: readonly PeerSetup[];
  /** A peer may install an answer after a later one. */
  readonly lateAnswers?: true;
  /** A second controller decides, and writes later. */
  readonly controllers?: true;
  readonly pauses?: true;
  /** The old key may turn out to be compromised while it is being replaced. */
  readonly declares?: true;
  /** The unregistered peer is the only one of its class. */
  readonly undeclaredClass?: true;
};

export function wordCount({ peers }: Setup): number {
  return peers.length + 3;
}

export function initialState(setup: Setup): Words {
  const words = new Int32Array(wordCount(setup));
  setup.peers.forEach(({ starts }, index) => {
    if (starts === 'outside') return;
    let word = put(put(put(0, peer.mode, mode.member), peer.file, 1), peer.process, 1);
    word = put(put(word, peer.used, 1), peer.rows, era(1));
    words[index] = starts === 'unregistered' ? put(word, peer.unregistered, 1) : put(word, peer.recorded, 1);
  });
  const emergency = setup.kind === 'emergency';
  let service = put(0, ring.state, stateNumber(emergency ? 'declared' : 'staged'));
  service = put(put(put(service, ring.generation, 1), ring.epoch, 1), ring.era, 1);
  if (emergency) service = put(put(put(service, ring.emergency, 1), ring.frozen, 1), ring.held, 1);
  if (setup.lateAnswers === true) service = put(service, ring.lateOld, 1);
  words[setup.peers.length] = service;
  words[setup.peers.length + 1] = put(0, world.bundles, OLD);
  words[setup.peers.length + 2] = put(0, extra.reported, reported(setup));
  return words;
}

/** Everybody who is there has said which leaf it presents: one of the old authority. */
function reported({ peers }: Setup): number {
  return peers.reduce((all, { starts }, index) => all | (starts === 'outside' ? 0 : 1 << (2 * index)), 0);
}

/** Whether somebody who trusts `trust` gets through to the service: the only filter there is for who says nothing. */
export function reachesService(service: number, state: string, trust: number): boolean {
  const signsNew = get(service, ring.era) === 2;
  // Its own leaf changes after the switch, some time before what the authority issued has drained.
  const presentsOld = !signsNew || state === 'issuing' || state === 'reissuing';
  const presentsNew = signsNew || state === 'returning';
  if (presentsOld && (trust & OLD) !== 0) return true;
  if (!presentsNew) return false;
  return (trust & NEW) !== 0 || (get(service, ring.cross) === 1 && (trust & OLD) !== 0);
}
