import { type Context, extraWord, has, peerWord, ringWord, worldWord } from './context.js';
import { anchorsOf, extra, get, mode, newEras, oldEras, peer, ring, states, type Words } from './layout.js';
import type { Anchors, ConsumerRecord, ServiceState } from './protocol.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const named: readonly Anchors[] = ['old', 'old', 'new', 'both'];

/** Reads what the service knows out of a state. What is returned is written over by the next call. */
export function createProjection(context: Context): (words: Words) => ServiceState {
  const consumers: Mutable<ConsumerRecord>[] = context.setup.peers.map(() => ({
    ...{ registered: false, quarantined: false, joiner: false, loaded: 0, clean: false },
  }));
  const oldUse = { live: 0, inFlight: 0 };
  const newUse = { live: 0, inFlight: 0 };
  const bundles: Anchors[] = [];
  const state: Mutable<ServiceState> = {
    ...{ kind: context.setup.kind, state: 'staged', back: false, paused: false, crossSigned: false },
    ...{ preference: context.setup.preference ?? 'availability-first', hour: 'early', epoch: 1, generation: 1 },
    ...{ bundles, signer: 'old', frozen: false, crossInChains: false, joinFloor: 0, joinsHeld: false },
    ...{ undeclaredClass: false, consumers, old: oldUse, new: newUse },
  };
  return (words) => {
    projectRing(context, words, state, bundles);
    consumers.forEach((consumer, index) => projectConsumer(context, words, index, state, consumer));
    projectUse(context, words, oldUse, newUse);
    return state;
  };
}

function projectRing(context: Context, words: Words, state: Mutable<ServiceState>, bundles: Anchors[]): void {
  const service = ringWord(context, words);
  const emergency = get(service, ring.emergency) === 1;
  const hour = get(service, ring.hour);
  state.kind = emergency ? 'emergency' : context.setup.kind;
  state.state = states[get(service, ring.state)] ?? 'aborted';
  state.back = get(service, ring.back) === 1;
  state.paused = get(service, ring.paused) === 1;
  state.crossSigned = context.setup.crossSigned && !emergency;
  state.hour = hour === 0 ? 'early' : hour === 1 ? 'half' : 'deadline';
  state.epoch = get(service, ring.epoch);
  state.generation = get(service, ring.generation);
  state.signer = get(service, ring.era) === 2 ? 'new' : 'old';
  state.frozen = get(service, ring.frozen) === 1;
  state.crossInChains = get(service, ring.cross) === 1;
  state.joinFloor = get(service, ring.floor);
  state.joinsHeld = get(service, ring.held) === 1;
  bundles.length = state.generation;
  for (let generation = 1; generation <= state.generation; generation += 1)
    bundles[generation - 1] = named[anchorsOf(worldWord(context, words), generation)] ?? 'old';
  state.undeclaredClass =
    context.setup.undeclaredClass === true &&
    context.setup.peers.some(
      ({ starts }, index) => starts === 'unregistered' && get(peerWord(words, index), peer.unregistered) === 1,
    );
}

function projectConsumer(
  context: Context,
  words: Words,
  index: number,
  state: ServiceState,
  into: Mutable<ConsumerRecord>,
): void {
  const word = peerWord(words, index);
  const doing = get(word, peer.mode);
  into.registered = doing !== mode.absent && get(word, peer.unregistered) === 0;
  into.quarantined = doing === mode.quarantined;
  into.joiner = get(word, peer.joiner) === 1;
  into.loaded = get(word, peer.recorded);
  into.clean = into.loaded > 0 && get(word, peer.unclean) === 0;
  if (!has(context, 'membership-snapshot')) return;
  const early = state.state === 'trusting' || state.state === 'canary';
  if (early && (get(extraWord(context, words), extra.snapshot) & (1 << index)) === 0) into.registered = false;
}

function projectUse(
  context: Context,
  words: Words,
  oldUse: { live: number; inFlight: number },
  newUse: { live: number; inFlight: number },
): void {
  oldUse.live = oldUse.inFlight = newUse.live = newUse.inFlight = 0;
  const byReport = has(context, 'last-report-drain');
  const unwritten = has(context, 'row-after-signature');
  for (let index = 0; index < context.peers; index += 1) {
    const word = peerWord(words, index);
    const reported = (get(extraWord(context, words), extra.reported) >>> (2 * index)) & 3;
    const rows = byReport ? (reported === 0 ? 0 : 1 << (reported - 1)) : get(word, peer.rows);
    const intended = byReport || unwritten ? 0 : get(word, peer.intended);
    if ((rows & oldEras) !== 0) oldUse.live += 1;
    if ((rows & newEras) !== 0) newUse.live += 1;
    if (intended === 1 || intended === 3) oldUse.inFlight += 1;
    if (intended === 2) newUse.inFlight += 1;
  }
}
