import { begin, type Context, emit, emitPeer, extraWord, has, peerWord, ringWord } from './context.js';
import { era, extra, get, mode, newEras, oldEras, peer, put, ring } from './layout.js';

/** The life of a peer's leaves: asked for, signed, delivered, loaded, seen, expired. */
export function leafSteps(context: Context, index: number): void {
  const word = peerWord(context.now, index);
  const doing = get(word, peer.mode);
  if (doing === mode.absent) return;
  asks(context, index, word);
  signs(context, index, word);
  if (doing !== mode.gone) {
    receives(context, index, word);
    isSeen(context, index, word);
  }
  expires(context, index, word);
  if (has(context, 'signer-not-fenced') || has(context, 'tainted-signs-again')) signsOld(context, index, word);
}

function isStepwise(context: Context, index: number): boolean {
  return context.setup.peers[index]?.leaves === 'stepwise';
}

/** The ledger's row comes before the signature. It is written only if the ring still signs as the signer believes. */
function asks(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  if (get(word, peer.mode) !== mode.member || get(service, ring.frozen) === 1) return;
  const current = get(service, ring.era);
  const used = get(word, peer.used);
  if (get(word, peer.intended) !== 0 || (get(word, peer.flight) & era(current)) !== 0) return;
  if (get(word, peer.stored) === current) return;
  // One more of the same authority matters only if it may still come when another one signs.
  if (used === current && (current === 3 || context.setup.peers[index]?.renews !== true)) return;
  const after = isStepwise(context, index) ? put(word, peer.intended, current) : issued(context, word, current);
  emitPeer(context, 'ask', index, after, current);
}

function issued(context: Context, word: number, number: number): number {
  const flight = put(word, peer.flight, get(word, peer.flight) | era(number));
  if (has(context, 'row-after-signature')) return flight;
  const earlier = has(context, 'successor-issued-supersedes') ? era(number) - 1 : 0;
  return put(flight, peer.rows, (get(word, peer.rows) & ~earlier) | era(number));
}

function signs(context: Context, index: number, word: number): void {
  const intended = get(word, peer.intended);
  if (has(context, 'row-after-signature')) {
    const held = get(word, peer.flight) | era(get(word, peer.stored)) | era(get(word, peer.used));
    const after = put(word, peer.rows, get(word, peer.rows) | held);
    if (after !== word) emitPeer(context, 'record', index, after);
  }
  if (intended === 0) return;
  able(context, era(intended));
  const settled = put(word, peer.intended, 0);
  emitPeer(context, 'sign', index, issued(context, settled, intended), intended);
  emitPeer(context, 'abandon', index, settled, intended);
}

/** Which drain gets further when these eras have something that can go away. */
function able(context: Context, eras: number): void {
  if ((eras & oldEras) !== 0) context.ableOld = true;
  if ((eras & newEras) !== 0) context.ableNew = true;
}

function receives(context: Context, index: number, word: number): void {
  const flight = get(word, peer.flight);
  const late = context.setup.lateAnswers === true;
  for (let number = 1; number <= 3; number += 1) {
    if ((flight & era(number)) === 0) continue;
    if (late) {
      if (get(word, peer.used) !== number) emitPeer(context, 'deliver', index, put(word, peer.used, number), number);
      continue;
    }
    const rest = put(word, peer.flight, flight & ~(2 * era(number) - 1));
    emitPeer(
      context,
      'deliver',
      index,
      put(rest, isStepwise(context, index) ? peer.stored : peer.used, number),
      number,
    );
  }
  const stored = get(word, peer.stored);
  if (stored !== 0) emitPeer(context, 'reload', index, put(put(word, peer.used, stored), peer.stored, 0), stored);
}

/** The service sees which leaf its process presents: what came before that is proven superseded. */
function isSeen(context: Context, index: number, word: number): void {
  const used = get(word, peer.used);
  if (used === 0) return;
  const rows = get(word, peer.rows);
  let superseded = rows & (era(used) - 1);
  if (context.setup.lateAnswers === true && !has(context, 'no-answer-horizon')) {
    // What may still be installed is not superseded by what is presented now.
    const service = ringWord(context);
    if (get(service, ring.lateOld) === 1) superseded &= ~era(1);
    if (get(service, ring.lateNew) === 1) superseded &= ~era(2);
  }
  const after = put(word, peer.rows, (rows & ~superseded) | era(used));
  const seen = extraWord(context);
  const reported = has(context, 'last-report-drain') ? withReport(seen, index, used) : seen;
  if (after !== word || reported !== seen) {
    able(context, superseded);
    begin(context)[index] = after;
    context.next[context.peers + 2] = reported;
    emit(context, 'seen', index, used);
  }
  if (!has(context, 'last-report-drain')) return;
  for (let earlier = 1; earlier < used; earlier += 1) {
    begin(context)[context.peers + 2] = withReport(seen, index, earlier);
    emit(context, 'stale-report', index, earlier);
  }
}

function withReport(word: number, index: number, number: number): number {
  const all = get(word, extra.reported);
  return put(word, extra.reported, (all & ~(3 << (2 * index))) | (number << (2 * index)));
}

/** Leaves of an authority that signs no more run out. */
function expires(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  const current = get(service, ring.frozen) === 1 ? 0 : get(service, ring.era);
  const rows = get(word, peer.rows);
  const flight = get(word, peer.flight);
  for (let number = 1; number <= 3; number += 1) {
    const set = era(number);
    if (number === current || get(word, peer.intended) === number) continue;
    const usable = (flight & set) !== 0 || get(word, peer.used) === number || get(word, peer.stored) === number;
    if (!usable && (rows & set) === 0) continue;
    let after = put(word, peer.flight, flight & ~set);
    if (!has(context, 'expired-leaves-count')) after = put(after, peer.rows, rows & ~set);
    if (get(word, peer.used) === number) after = put(after, peer.used, 0);
    if (get(word, peer.stored) === number) after = put(after, peer.stored, 0);
    if (after === word) continue;
    able(context, set);
    emitPeer(context, 'expire', index, after, number);
  }
}

/** So long after the last signature of an era nothing of it is delivered any more. */
export function horizonSteps(context: Context): void {
  const service = ringWord(context);
  const frozen = get(service, ring.frozen) === 1;
  const current = get(service, ring.era);
  for (const number of [1, 2]) {
    const field = number === 1 ? ring.lateOld : ring.lateNew;
    if (get(service, field) === 0 || (current <= number && !frozen)) continue;
    if (context.setup.peers.some((_, index) => get(peerWord(context.now, index), peer.intended) === number)) continue;
    const next = begin(context);
    for (let index = 0; index < context.peers; index += 1) {
      const word = peerWord(next, index);
      next[index] = put(word, peer.flight, get(word, peer.flight) & ~era(number));
    }
    next[context.peers] = put(service, field, 0);
    able(context, era(number));
    emit(context, 'horizon', 0, number);
  }
}

/** A replica that has not heard of the change signs with the old authority. */
function signsOld(context: Context, index: number, word: number): void {
  const service = ringWord(context);
  const tainted = get(service, ring.emergency) === 1 && has(context, 'tainted-signs-again');
  const stale = get(service, ring.era) === 2 && has(context, 'signer-not-fenced');
  if (get(word, peer.mode) !== mode.member || (!tainted && !stale)) return;
  if ((get(word, peer.flight) & era(3)) !== 0 || get(word, peer.used) === 3) return;
  emitPeer(context, 'sign-old', index, issued(context, word, 3), 3);
}
