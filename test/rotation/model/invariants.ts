import { type Context, peerWord, ringWord, stateOf, worldWord } from './context.js';
import {
  anchorsOf,
  era,
  get,
  mode,
  NEW,
  newEras,
  newSince,
  OLD,
  oldEras,
  peer,
  ring,
  world,
  type Words,
} from './layout.js';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I11' | 'I12' | 'I13' | 'I14';

/** Those that are looked at in each state, each with what it found in words; undefined where it holds. */
export const invariants: readonly (readonly [Invariant, (context: Context, words: Words) => string | undefined])[] = [
  ['I1', everyLeafVerifies],
  ['I2', signerIsTrusted],
  ['I3', nothingNeedsWhatIsNotPublished],
  ['I6', ledgerKnowsEveryLeaf],
  ['I11', taintedNeverSigns],
  ['I14', removalIsReal],
];

/** Eras of the leaves that a peer may present, now or once an answer arrives. */
function usable(word: number): number {
  return get(word, peer.flight) | era(get(word, peer.used)) | era(get(word, peer.stored));
}

function verifies(context: Context, words: Words, index: number): boolean {
  const word = peerWord(words, index);
  const known = get(word, peer.unregistered) === 0 || context.setup.undeclaredClass === true;
  return get(word, peer.mode) === mode.member && known;
}

/** What an authority's leaves need: the new one's need nothing but the old one while they carry its cross-certificate. */
function accepted(context: Context, words: Words, eras: number): number {
  if ((eras & newEras) === 0) return OLD;
  return NEW | (get(ringWord(context, words), ring.cross) === 1 ? OLD : 0);
}

function trusts(context: Context, words: Words, index: number): number {
  return anchorsOf(worldWord(context, words), get(peerWord(words, index), peer.process));
}

/** I1: every leaf that a peer may present can be verified by every process that may be shown it. */
function everyLeafVerifies(context: Context, words: Words): string | undefined {
  const service = ringWord(context, words);
  const announced = worldWord(context, words);
  for (let presenter = 0; presenter < context.peers; presenter += 1) {
    const eras = usable(peerWord(words, presenter));
    if (eras === 0) continue;
    const cut = (get(announced, world.cutPresenters) & era(presenter + 1)) !== 0;
    for (let verifier = 0; verifier < context.peers; verifier += 1) {
      if (verifier === presenter || !verifies(context, words, verifier)) continue;
      if (context.setup.kind === 'reissue') {
        const valid = get(announced, world.expired) === 1 ? NEW : OLD | NEW;
        if ((trusts(context, words, verifier) & valid) === 0) return fails(context, words, presenter, verifier, 0);
        continue;
      }
      if (isLeftBehind(context, words, verifier)) continue;
      for (const some of [eras & oldEras, eras & newEras]) {
        if (some === 0 || (cut && (some & oldEras) !== 0 && get(service, ring.emergency) === 1)) continue;
        if ((accepted(context, words, some) & trusts(context, words, verifier)) === 0)
          return fails(context, words, presenter, verifier, some);
      }
    }
  }
  return undefined;
}

/** An emergency has said that it does not wait for it, and it has not shown since that it need not. */
function isLeftBehind(context: Context, words: Words, index: number): boolean {
  if ((get(worldWord(context, words), world.cutVerifiers) & era(index + 1)) === 0) return false;
  const word = peerWord(words, index);
  const since = newSince(worldWord(context, words), get(ringWord(context, words), ring.generation));
  return get(word, peer.joiner) === 1 || get(word, peer.unclean) === 1 || get(word, peer.recorded) < since;
}

function fails(context: Context, words: Words, presenter: number, verifier: number, eras: number): string {
  const name = (index: number): string => context.setup.peers[index]?.name ?? String(index);
  const leaf =
    context.setup.kind === 'reissue'
      ? 'a leaf'
      : (eras & newEras) !== 0
        ? 'a leaf of the new authority'
        : 'a leaf of the old authority';
  const trust = ['nothing', 'the old one', 'the new one', 'both'][trusts(context, words, verifier)] ?? '';
  return `${name(presenter)} may present ${leaf}, and ${name(verifier)} trusts ${trust}`;
}

/** I2: who signs is trusted by every process, by itself or by its cross-certificate. */
function signerIsTrusted(context: Context, words: Words): string | undefined {
  const service = ringWord(context, words);
  if (get(service, ring.frozen) === 1 || context.setup.kind === 'reissue') return undefined;
  const needed = accepted(context, words, era(get(service, ring.era)));
  for (let index = 0; index < context.peers; index += 1) {
    if (!verifies(context, words, index) || isLeftBehind(context, words, index)) continue;
    if ((needed & trusts(context, words, index)) === 0)
      return `the ${needed === OLD ? 'old' : 'new'} authority signs, and ${context.setup.peers[index]?.name ?? ''} does not trust it`;
  }
  return undefined;
}

/** I3: no leaf needs an authority that the current bundle lacks. */
function nothingNeedsWhatIsNotPublished(context: Context, words: Words): string | undefined {
  if (context.setup.kind === 'reissue') return undefined;
  const service = ringWord(context, words);
  const bundle = anchorsOf(worldWord(context, words), get(service, ring.generation));
  const cut = get(worldWord(context, words), world.cutPresenters);
  for (let index = 0; index < context.peers; index += 1) {
    const eras = usable(peerWord(words, index));
    for (const some of [eras & oldEras, eras & newEras]) {
      if (some === 0 || ((some & oldEras) !== 0 && (cut & era(index + 1)) !== 0)) continue;
      if ((accepted(context, words, some) & bundle) === 0)
        return `${context.setup.peers[index]?.name ?? ''} may present a leaf of an authority that the bundle lacks`;
    }
  }
  return undefined;
}

/** I6: what may be presented is in the ledger, and not written off. */
function ledgerKnowsEveryLeaf(context: Context, words: Words): string | undefined {
  for (let index = 0; index < context.peers; index += 1) {
    const word = peerWord(words, index);
    if ((usable(word) & ~get(word, peer.rows)) !== 0)
      return `${context.setup.peers[index]?.name ?? ''} may present a leaf that the ledger does not count`;
  }
  return undefined;
}

/** I11: what was once tainted signs no more. */
function taintedNeverSigns(context: Context, words: Words): string | undefined {
  const service = ringWord(context, words);
  if (get(service, ring.emergency) === 0) return undefined;
  if (get(service, ring.era) !== 2 && get(service, ring.frozen) === 0) return 'the tainted authority is the signer';
  if (context.setup.declares === true) return undefined;
  for (let index = 0; index < context.peers; index += 1) {
    const word = peerWord(words, index);
    if (((usable(word) | era(get(word, peer.intended))) & era(3)) !== 0)
      return `the tainted authority has signed for ${context.setup.peers[index]?.name ?? ''}`;
  }
  return undefined;
}

/**
 * I14: once it is retired, or an emergency recovers, nobody trusts the old authority any more. Who has joined without a word
 * since an emergency's cut is waited for by name until it shows that it has loaded what was published then.
 */
function removalIsReal(context: Context, words: Words): string | undefined {
  const state = stateOf(context, words);
  const service = ringWord(context, words);
  const emergency = get(service, ring.emergency) === 1;
  const generation = get(service, ring.generation);
  const over = emergency && state === 'finished';
  if (state !== 'cooling' && state !== 'recovering' && !over) return undefined;
  for (let index = 0; index < context.peers; index += 1) {
    const word = peerWord(words, index);
    const shown = get(word, peer.joiner) === 0 && get(word, peer.recorded) >= generation;
    if (emergency && !shown) continue;
    if (verifies(context, words, index) && (trusts(context, words, index) & OLD) !== 0)
      return `${context.setup.peers[index]?.name ?? ''} still trusts the old authority`;
  }
  return undefined;
}
