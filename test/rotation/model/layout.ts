import type { RotationState } from '../../../src/rotation/types.js';

/**
 * A state of the model is a few 32-bit words: one for each peer, then three for the service. Millions of them are kept,
 * so they are numbers and not objects.
 */
export type Words = Int32Array;

export type Field = { readonly shift: number; readonly mask: number };

function fields<const T extends Readonly<Record<string, number>>>(widths: T): { readonly [K in keyof T]: Field } {
  let shift = 0;
  const entries = Object.entries(widths).map(([name, width]) => {
    const field = { shift, mask: 2 ** width - 1 };
    shift += width;
    return [name, field] as const;
  });
  if (shift > 32) throw new Error(`${String(shift)} bits do not fit into a word`);
  return Object.freeze(Object.fromEntries(entries)) as { readonly [K in keyof T]: Field };
}

export function get(word: number, { shift, mask }: Field): number {
  return (word >>> shift) & mask;
}

export function put(word: number, { shift, mask }: Field, value: number): number {
  return (word & ~(mask << shift)) | (value << shift);
}

/**
 * One peer. `used`, `stored`, `intended` are eras, `flight` and `rows` sets of eras. An era is a time during which one
 * authority signs: 1 the old one, 2 the new one, 3 the old one again after a way back.
 */
export const peer = fields({
  mode: 2,
  /** Generation in its file. */
  file: 3,
  /** Generation that its process has loaded. */
  process: 3,
  /** Generation that the service has recorded. */
  recorded: 3,
  joiner: 1,
  unclean: 1,
  /** Leaf that its process presents. */
  used: 2,
  /** Leaf in its file that its process has not loaded. */
  stored: 2,
  /** Leaves in answers that it has not received. */
  flight: 3,
  /** Leaf whose row is in the ledger and that is being signed. */
  intended: 2,
  /** Leaves in the inventory: unexpired, and not proven superseded. */
  rows: 3,
  /** Generation in a report that is under way; 0 none. */
  report: 3,
  /** That report is of the process before the present one. */
  reportOld: 1,
  unregistered: 1,
});

export const mode = { absent: 0, member: 1, quarantined: 2, gone: 3 } as const;

export const ring = fields({
  state: 5,
  back: 1,
  generation: 3,
  floor: 3,
  epoch: 4,
  held: 1,
  frozen: 1,
  era: 2,
  paused: 1,
  emergency: 1,
  cross: 1,
  hour: 2,
  /** A leaf may still come whose answer was sent before the end of era 1, of era 2. */
  lateOld: 1,
  lateNew: 1,
});

export const world = fields({
  /** What each of seven generations holds, two bits each: 1 old, 2 new. */
  bundles: 14,
  /** Same key, new certificate: the old certificate has expired. */
  expired: 1,
  /** Peers that an emergency has announced to leave behind: as verifiers, as presenters. */
  cutVerifiers: 4,
  cutPresenters: 4,
});

/** What only mutants need. */
export const extra = fields({
  /** For each peer the era of the leaf that it last reported. */
  reported: 8,
  /** A transition that was decided and not written yet, by number from 1. */
  decided: 5,
  /** The peers that were there when trust was published. */
  snapshot: 4,
});

export const OLD = 1;
export const NEW = 2;

/** The set that has one era. */
export function era(number: number): number {
  return number === 0 ? 0 : 1 << (number - 1);
}

/** The eras in which the old authority signs, and that in which the new one does. */
export const oldEras = 0b101;
export const newEras = 0b010;

export const states: readonly RotationState[] = [
  'staged',
  'trusting',
  'canary',
  'issuing',
  'drained',
  'distrusting',
  'cooling',
  'untrusting',
  'returning',
  'retrusting',
  'declared',
  'spreading',
  'reissuing',
  'cut',
  'recovering',
  'finished',
  'rolled-back',
  'aborted',
];

export function stateNumber(state: RotationState): number {
  return states.indexOf(state);
}

/** What a generation holds; nothing for generation 0. */
export function anchorsOf(worldWord: number, generation: number): number {
  return generation === 0 ? 0 : (get(worldWord, world.bundles) >>> (2 * (generation - 1))) & 3;
}

/** The generation since which every bundle has had the new authority: who has loaded that one or a later one trusts it. */
export function newSince(worldWord: number, generation: number): number {
  let since = generation + 1;
  while (since > 1 && (anchorsOf(worldWord, since - 1) & NEW) !== 0) since -= 1;
  return since;
}
