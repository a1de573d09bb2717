import type { RotationState } from '../../../src/rotation/types.js';
import { type Context, ringWord } from './context.js';
import { get, ring, states } from './layout.js';
import type { StateTable } from './state-table.js';

/** An end, and from where it has to be possible to reach it. */
type Aim = {
  readonly ends: readonly RotationState[];
  readonly from: (state: RotationState, back: boolean, emergency: boolean) => boolean;
  readonly text: string;
};

const aims: readonly Aim[] = [
  {
    ends: ['finished', 'rolled-back', 'aborted'],
    from: () => true,
    text: 'no end can be reached from here',
  },
  {
    ends: ['finished'],
    from: (state, back, emergency) => state !== 'rolled-back' && state !== 'aborted' && (emergency || !back),
    text: 'the end with the new authority cannot be reached from here',
  },
  {
    ends: ['rolled-back', 'aborted'],
    // With the same key there is nothing to go back to once the earlier certificate has been taken out.
    from: (state, _back, emergency) => !emergency && state !== 'finished',
    text: 'the way back to the old authority cannot be gone from here',
  },
];

/**
 * I12: the first state from which it is not possible any more to come to an end: to the one with the new authority unless
 * it was turned back, to the one with the old authority until its key is destroyed. Works backwards from the ends.
 */
export function firstWithoutEnd(context: Context, table: StateTable): { at: number; text: string } | undefined {
  for (const { ends, from, text } of aims) {
    const flags = new Uint8Array(table.size());
    const asked = new Uint8Array(table.size());
    for (let index = 0; index < table.size(); index += 1) {
      table.read(index, context.now);
      const word = ringWord(context);
      const state = states[get(word, ring.state)] ?? 'aborted';
      if (ends.includes(state)) flags[index] = 1;
      const returns = context.setup.kind !== 'reissue' || state === 'staged' || state === 'trusting';
      const counts = ends.includes('finished') || returns || state === 'untrusting';
      if (counts && from(state, get(word, ring.back) === 1, get(word, ring.emergency) === 1)) asked[index] = 1;
    }
    table.spreadBackwards(flags);
    const at = asked.findIndex((one, index) => one === 1 && flags[index] === 0);
    if (at >= 0) return { at, text };
  }
  return undefined;
}
