import { begin, type Context, emit, emitPeer, has, peerWord, ringWord, stateOf, worldWord } from './context.js';
import { anchorsOf, get, mode, peer, put, ring } from './layout.js';
import { reachesService } from './setup.js';

/** What a peer does about trust: it fetches, loads, and lets the service know. */
export function trustSteps(context: Context, index: number): void {
  const word = peerWord(context.now, index);
  const doing = get(word, peer.mode);
  if (doing === mode.absent || doing === mode.gone) return;
  const generation = get(ringWord(context), ring.generation);
  const file = get(word, peer.file);
  const process = get(word, peer.process);
  if (file < generation) {
    context.ableConsumers |= 1 << index;
    emitPeer(context, 'fetch', index, put(word, peer.file, generation), generation);
  }
  if (process < file) {
    context.ableConsumers |= 1 << index;
    emitPeer(context, 'load', index, put(word, peer.process, file), file);
  }
}

/** Reports on their way: one waits, one arrives at once; so they can be late, lost, twice, or in another order. */
export function reportSteps(context: Context, index: number): void {
  // What is recorded is not looked at again on the last part of the way back.
  const state = stateOf(context);
  if (state === 'returning' || state === 'untrusting') return;
  const word = peerWord(context.now, index);
  const doing = get(word, peer.mode);
  if (get(word, peer.unregistered) === 1 || (doing !== mode.member && doing !== mode.gone)) return;
  const waiting = get(word, peer.report);
  const old = get(word, peer.reportOld) === 1;
  if (doing === mode.member) {
    const said = get(word, has(context, 'file-level-acknowledgement') ? peer.file : peer.process);
    if (isNews(word, said)) {
      context.ableConsumers |= 1 << index;
      emitPeer(context, 'report', index, noted(word, said), said);
      if (!old && waiting !== said && context.setup.peers[index]?.delays === true)
        emitPeer(context, 'send', index, put(word, peer.report, said), said);
    }
    handshake(context, index, word);
  }
  if (waiting === 0) return;
  const counts = !old || doing === mode.gone || has(context, 'earlier-process-counts');
  if (!counts) return;
  // What arrived may arrive again, as long as that could change anything.
  const kept = old && has(context, 'earlier-process-counts') && doing === mode.gone ? waiting : 0;
  const after = put(
    put(isNews(word, waiting) ? noted(word, waiting) : word, peer.report, kept),
    peer.reportOld,
    kept === 0 ? 0 : 1,
  );
  if (after !== word) emitPeer(context, 'receive', index, after, waiting);
}

function isNews(word: number, said: number): boolean {
  return said > get(word, peer.recorded) || get(word, peer.joiner) === 1 || get(word, peer.unclean) === 1;
}

function noted(word: number, said: number): number {
  const recorded = Math.max(said, get(word, peer.unclean) === 1 ? 0 : get(word, peer.recorded));
  return put(put(put(word, peer.recorded, recorded), peer.joiner, 0), peer.unclean, 0);
}

/** It talks to the service over a chain with the cross-certificate, or an attacker does in its name. */
function handshake(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  const generation = get(service, ring.generation);
  const crossed = get(service, ring.cross) === 1 && get(service, ring.era) === 2;
  if (context.setup.peers[index]?.handshakes === true && crossed && get(word, peer.recorded) < generation) {
    const trust = anchorsOf(worldWord(context), get(word, peer.process));
    if (trust !== 0) {
      const believed = has(context, 'cross-certified-evidence');
      const claimed = put(put(word, peer.recorded, generation), peer.unclean, believed ? 0 : 1);
      emitPeer(context, 'handshake', index, believed ? put(claimed, peer.joiner, 0) : claimed, generation);
    }
  }
  if (
    has(context, 'forged-acknowledgement') &&
    get(service, ring.emergency) === 1 &&
    get(word, peer.recorded) < generation
  )
    emitPeer(context, 'forge', index, noted(word, generation), generation);
}

/** Joining, leaving, being left behind, coming back. */
export function membershipSteps(context: Context, index: number): void {
  const word = peerWord(context.now, index);
  const setup = context.setup.peers[index];
  if (setup === undefined) return;
  const doing = get(word, peer.mode);
  if (doing === mode.absent || (doing === mode.gone && setup.rebuilt === true)) joins(context, index, word);
  if (doing === mode.member && get(word, peer.intended) === 0) {
    if (setup.rebuilt === true) emitPeer(context, 'rebuild', index, lost(context, word, true));
    if (setup.dies === true) emitPeer(context, 'die', index, lost(context, word, false));
  }
  const leaves = doing === mode.member || doing === mode.gone;
  if (setup.quarantine === true && leaves && get(word, peer.unregistered) === 0 && !has(context, 'no-quarantine')) {
    context.ableConsumers |= 1 << index;
    emitPeer(
      context,
      'quarantine',
      index,
      put(put(put(word, peer.mode, mode.quarantined), peer.report, 0), peer.reportOld, 0),
    );
  }
  if (doing === mode.quarantined) returns(context, index, word);
  registers(context, index, word);
}

/** The machine is gone, with its keys; a report of its process may still be under way. */
function lost(context: Context, word: number, comesBack: boolean): number {
  const process = get(word, peer.process);
  const matters =
    process > get(word, peer.recorded) || has(context, 'earlier-process-counts') || get(word, peer.joiner) === 1;
  let after = put(put(put(word, peer.mode, mode.gone), peer.file, 0), peer.process, 0);
  after = put(put(put(after, peer.used, 0), peer.stored, 0), peer.flight, 0);
  const report = comesBack && matters ? process : 0;
  return put(put(after, peer.report, report), peer.reportOld, report === 0 ? 0 : 1);
}

/** It comes from an image with any bundle that there ever was. */
function joins(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  if (get(service, ring.frozen) === 1) return;
  const generation = get(service, ring.generation);
  const floor = get(service, ring.floor);
  const known = get(word, peer.mode) === mode.gone;
  for (let image = 1; image <= generation; image += 1) {
    const broken = admits(context, image, floor);
    if (broken === 'refused') continue;
    let after = put(put(put(word, peer.mode, mode.member), peer.file, image), peer.process, image);
    const keeps = known && has(context, 'earlier-process-counts');
    if (!keeps) {
      const silent = context.setup.joiners === 'silent';
      after = put(put(put(after, peer.recorded, silent ? 0 : image), peer.joiner, silent ? 1 : 0), peer.unclean, 0);
      after = put(put(after, peer.report, 0), peer.reportOld, 0);
    }
    if (has(context, 'registered-late')) after = put(after, peer.unregistered, 1);
    context.ableConsumers |= 1 << index;
    begin(context)[index] = after;
    emit(context, 'admit', index, image, broken);
  }
}

/** Undefined when whoever holds that bundle gets a leaf; otherwise the invariant that it breaks, or `refused`. */
function admits(context: Context, image: number, floor: number): string | undefined {
  const service = ringWord(context);
  if (context.setup.joiners === 'stating') {
    if (image >= floor) return undefined;
    return has(context, 'no-floor-check') ? 'I4' : 'refused';
  }
  if (get(service, ring.held) === 1) return 'refused';
  return reachesService(service, stateOf(context), anchorsOf(worldWord(context), image)) ? undefined : 'refused';
}

/** What was quarantined comes back by the way that joiners take. */
function returns(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  const process = get(word, peer.process);
  if (process === 0 || get(service, ring.frozen) === 1) return;
  const free = has(context, 'returns-without-floor');
  const broken = free ? undefined : admits(context, process, get(service, ring.floor));
  if (broken !== undefined) return;
  let after = put(word, peer.mode, mode.member);
  if (!free) {
    const silent = context.setup.joiners === 'silent';
    after = put(put(put(after, peer.recorded, silent ? 0 : process), peer.joiner, silent ? 1 : 0), peer.unclean, 0);
  }
  emitPeer(context, 'return', index, after, process);
}

/** Somebody makes it known that it verifies. After the switch that would be too late, whoever waits for it. */
function registers(context: Context, index: number, word: number): void {
  if (get(word, peer.unregistered) === 0) return;
  const state = stateOf(context);
  const inTime = state === 'staged' || state === 'trusting' || state === 'canary';
  if (!inTime && !has(context, 'registered-late')) return;
  context.ableConsumers |= 1 << index;
  emitPeer(context, 'register', index, put(word, peer.unregistered, 0));
}
