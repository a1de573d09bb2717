import type { RotationState } from '../../../src/rotation/types.js';
import { begin, type Context, emit, extraWord, has, peerWord, ringWord, worldWord } from './context.js';
import { effectOf } from './effects.js';
import {
  anchorsOf,
  era,
  extra,
  get,
  mode,
  NEW,
  newSince,
  OLD,
  oldEras,
  peer,
  put,
  ring,
  stateNumber,
  world,
  type Words,
} from './layout.js';
import { endStates, forwardMove, type MoveName, moveNames, serviceMoves, type ServiceState } from './protocol.js';

const anchorBits = { old: OLD, both: OLD | NEW, new: NEW } as const;

/** What the service does, and what its operators and time do to it. */
export function serviceSteps(context: Context, known: ServiceState): void {
  for (const { name, to } of serviceMoves(known, context.flaws)) moves(context, known, name, to, 'move');
  if (context.setup.controllers === true) controllerSteps(context, known);
  const service = ringWord(context);
  if (endStates.includes(known.state)) {
    if (context.setup.kind === 'reissue') certificateExpires(context, known);
    return;
  }
  if (context.setup.pauses === true) {
    begin(context)[context.peers] = put(service, ring.paused, known.paused ? 0 : 1);
    emit(context, known.paused ? 'resume' : 'pause', 0);
  }
  if (known.kind === 'emergency' && known.hour !== 'deadline') {
    begin(context)[context.peers] = put(service, ring.hour, get(service, ring.hour) + 1);
    emit(context, 'hour', 0, get(service, ring.hour) + 1);
  }
  if (context.setup.kind === 'reissue') certificateExpires(context, known);
  if (context.setup.declares === true && known.kind === 'planned') declares(context, known);
}

/** Another controller decides on what it reads, and writes when it gets to it. The service may stop in between. */
function controllerSteps(context: Context, known: ServiceState): void {
  const word = extraWord(context);
  const decided = get(word, extra.decided);
  const forward = forwardMove(known);
  const open = serviceMoves(known, context.flaws).find(({ name }) => name === forward?.name);
  if (decided === 0) {
    if (open === undefined) return;
    begin(context)[context.peers + 2] = put(word, extra.decided, moveNames.indexOf(open.name) + 1);
    emit(context, 'decide', 0, moveNames.indexOf(open.name));
    return;
  }
  begin(context)[context.peers + 2] = put(word, extra.decided, 0);
  emit(context, 'crash', 0);
  const name = moveNames[decided - 1];
  if (name === undefined) return;
  const to = mayCommit(context, name, forward?.name, open?.name);
  if (to) moves(context, known, name, targets[name] ?? known.state, 'commit');
}

function mayCommit(
  context: Context,
  name: MoveName,
  forward: MoveName | undefined,
  open: MoveName | undefined,
): boolean {
  if (has(context, 'no-compare-and-swap')) return true;
  return name === (has(context, 'facts-not-read-again') ? forward : open);
}

/** Where the transitions lead that a controller may decide on. */
const targets: Readonly<Partial<Record<MoveName, RotationState>>> = {
  publish: 'trusting',
  'begin-canary': 'canary',
  switch: 'issuing',
  drain: 'drained',
  distrust: 'distrusting',
  retire: 'cooling',
  finish: 'finished',
  replace: 'distrusting',
  withdrawn: 'rolled-back',
  returned: 'untrusting',
  retrusted: 'issuing',
  'resume-return': 'returning',
  spread: 'spreading',
  reissue: 'reissuing',
  cut: 'cut',
  recover: 'recovering',
  recovered: 'finished',
};

/** One transition, all of it or nothing. */
function moves(
  context: Context,
  known: ServiceState,
  name: MoveName,
  to: RotationState,
  step: 'move' | 'commit',
): void {
  const effect = effectOf(name, known, context.flaws);
  const next = begin(context);
  const { peers } = context;
  let service = put(ringWord(context), ring.state, stateNumber(to));
  if (effect.back === true) service = put(service, ring.back, 1);
  if (effect.frozen !== undefined) service = put(service, ring.frozen, effect.frozen ? 1 : 0);
  if (effect.joinsHeld !== undefined) service = put(service, ring.held, effect.joinsHeld ? 1 : 0);
  if (effect.crossInChains !== undefined) service = put(service, ring.cross, effect.crossInChains ? 1 : 0);
  if (effect.signer !== undefined) service = put(service, ring.era, effect.signer === 'new' ? 2 : 3);
  if (effect.signer === 'new' && context.setup.lateAnswers === true) service = put(service, ring.lateNew, 1);
  if (effect.ring) service = put(service, ring.epoch, known.epoch + 1);
  next[peers] = service;
  if (effect.publish !== undefined) {
    const again = has(context, 'generation-goes-back') && known.generation > 2;
    const generation = again ? 2 : known.generation + 1;
    if (generation > 7) return;
    service = put(service, ring.generation, generation);
    next[peers] = effect.raiseFloor === true ? put(service, ring.floor, generation) : service;
    if (!again) next[peers + 1] = published(worldWord(context), generation, anchorBits[effect.publish]);
  }
  note(context, next, name);
  if (known.kind === 'emergency') announce(context, next, name, known);
  emit(context, step, 0, moveNames.indexOf(name), broken(context, known, name));
}

function published(word: number, generation: number, anchors: number): number {
  return put(word, world.bundles, get(word, world.bundles) | (anchors << (2 * (generation - 1))));
}

/** What controllers keep of it. */
function note(context: Context, next: Words, name: MoveName): void {
  let word = extraWord(context, next);
  if (!has(context, 'no-compare-and-swap')) word = put(word, extra.decided, 0);
  if (name === 'publish' && has(context, 'membership-snapshot')) {
    let there = 0;
    context.setup.peers.forEach((_, index) => {
      if (get(peerWord(next, index), peer.mode) !== mode.absent) there |= 1 << index;
    });
    word = put(word, extra.snapshot, there);
  }
  next[context.peers + 2] = word;
}

/** The invariant that the step itself breaks. */
function broken(context: Context, known: ServiceState, name: MoveName): string | undefined {
  const service = ringWord(context, context.next);
  const back = get(service, ring.generation) < known.generation || get(service, ring.epoch) < known.epoch;
  if (back) return 'I5';
  // An emergency is not over while somebody who is there trusts what was tainted.
  return name === 'recovered' && context.setup.peers.some((_, index) => trustsOld(context, index)) ? 'I14' : undefined;
}

function trustsOld(context: Context, index: number): boolean {
  const word = peerWord(context.next, index);
  return get(word, peer.mode) === mode.member && (anchorsOf(worldWord(context), get(word, peer.process)) & OLD) !== 0;
}

/** Before it re-issues, and before it cuts, an emergency says whom it leaves behind. */
function announce(context: Context, next: Words, name: MoveName, known: ServiceState): void {
  if (name !== 'reissue' && name !== 'cut') return;
  leaveBehind(context, next, known, name === 'cut');
}

/** As verifiers those who are not known to trust the new authority by itself, as presenters those who may only have a leaf of the old one. */
function leaveBehind(context: Context, next: Words, known: ServiceState, presenters: boolean): void {
  // Of what somebody had loaded once only the latest counts: a way back may have taken the new authority out again.
  const since = newSince(worldWord(context), known.generation);
  let verifiers = 0;
  let stragglers = 0;
  known.consumers.forEach((consumer, index) => {
    const trusts = !consumer.joiner && consumer.clean && consumer.loaded >= since;
    if (consumer.registered && !trusts) verifiers |= 1 << index;
    const word = peerWord(next, index);
    if ((get(word, peer.rows) & oldEras) !== 0 || (era(get(word, peer.intended)) & oldEras) !== 0)
      stragglers |= 1 << index;
  });
  let word = worldWord(context, next);
  word = put(word, world.cutVerifiers, get(word, world.cutVerifiers) | verifiers);
  if (presenters) word = put(word, world.cutPresenters, get(word, world.cutPresenters) | stragglers);
  next[context.peers + 1] = word;
}

/** The same key goes on, and the certificate that everybody knew runs out once it need not be known. */
function certificateExpires(context: Context, known: ServiceState): void {
  if (known.state !== 'distrusting' && known.state !== 'finished') return;
  if (get(worldWord(context), world.expired) === 1) return;
  begin(context)[context.peers + 1] = put(worldWord(context), world.expired, 1);
  emit(context, 'certificate-expires', 0);
}

/** Where a rotation goes on as an emergency when the old key turns out to be compromised. */
const declaredFrom: Readonly<Partial<Record<RotationState, RotationState>>> = {
  staged: 'declared',
  trusting: 'declared',
  canary: 'declared',
  untrusting: 'declared',
  issuing: 'reissuing',
  drained: 'reissuing',
  retrusting: 'reissuing',
  distrusting: 'cut',
  cooling: 'cut',
};

function declares(context: Context, known: ServiceState): void {
  const to = declaredFrom[known.state];
  // Eras are three: the new authority cannot sign once more after a way back.
  if (to === undefined || get(ringWord(context), ring.era) === 3) return;
  const next = begin(context);
  let service = put(put(ringWord(context), ring.state, stateNumber(to)), ring.emergency, 1);
  service = put(put(put(service, ring.back, 0), ring.paused, 0), ring.cross, 0);
  service = put(put(service, ring.held, to === 'cut' ? 0 : 1), ring.frozen, to === 'declared' ? 1 : 0);
  next[context.peers] = put(service, ring.epoch, known.epoch + 1);
  note(context, next, 'recover');
  if (to !== 'declared') leaveBehind(context, next, known, to === 'cut');
  emit(context, 'declare', 0, stateNumber(to));
}
