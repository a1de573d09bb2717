import type { Words } from './layout.js';

/** Every state that was reached, once, in the order in which it was, with how it was reached and what can be reached from it. */
export type StateTable = {
  /** The index of a state that was not there before, or -1. */
  add(state: Words, parent: number, label: number): number;
  read(index: number, into: Words): void;
  size(): number;
  /** From here on steps come from the next state. */
  mark(): void;
  edges(): number;
  parent(index: number): number;
  label(index: number): number;
  depth(index: number): number;
  /** Sets the flag of every state from which one can be reached whose flag is set. */
  spreadBackwards(flags: Uint8Array): void;
};

const emptyInt = new Int32Array(0);

export function createStateTable(width: number): StateTable {
  let capacity = 1 << 12;
  let count = 0;
  let words = new Int32Array(capacity * width);
  let parents = new Int32Array(capacity);
  let labels = new Int32Array(capacity);
  let starts = new Int32Array(capacity);
  let marked = 0;
  let targets = new Int32Array(1 << 14);
  let steps = 0;
  let buckets = new Int32Array(capacity * 2);

  const hashOf = (state: Words, from: number): number => {
    let hash = 0x9e3779b9 | 0;
    for (let index = 0; index < width; index += 1) {
      hash = Math.imul(hash ^ (state[from + index] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  };
  const grow = (): void => {
    capacity *= 2;
    words = widened(words, capacity * width);
    parents = widened(parents, capacity);
    labels = widened(labels, capacity);
    starts = widened(starts, capacity);
    buckets = new Int32Array(capacity * 2);
    const mask = buckets.length - 1;
    for (let index = 0; index < count; index += 1) {
      let slot = hashOf(words, index * width) & mask;
      while (buckets[slot] !== 0) slot = (slot + 1) & mask;
      buckets[slot] = index + 1;
    }
  };
  const isSame = (index: number, state: Words): boolean => {
    const from = index * width;
    for (let word = 0; word < width; word += 1) if (words[from + word] !== state[word]) return false;
    return true;
  };
  const place = (state: Words): number => {
    const mask = buckets.length - 1;
    let slot = hashOf(state, 0) & mask;
    for (;;) {
      const held = buckets[slot] ?? 0;
      if (held === 0) return -1 - slot;
      if (isSame(held - 1, state)) return held - 1;
      slot = (slot + 1) & mask;
    }
  };
  const step = (to: number): void => {
    if (steps === targets.length) targets = widened(targets, steps * 2);
    targets[steps] = to;
    steps += 1;
  };
  return {
    add(state, parent, label) {
      if (count === capacity) grow();
      const found = place(state);
      if (found >= 0) {
        step(found);
        return -1;
      }
      const index = count;
      buckets[-1 - found] = index + 1;
      words.set(state, index * width);
      parents[index] = parent;
      labels[index] = label;
      count += 1;
      if (parent >= 0) step(index);
      return index;
    },
    read(index, into) {
      const from = index * width;
      for (let word = 0; word < width; word += 1) into[word] = words[from + word] ?? 0;
    },
    size: () => count,
    mark() {
      starts[marked] = steps;
      marked += 1;
    },
    edges: () => steps,
    parent: (index) => parents[index] ?? -1,
    label: (index) => labels[index] ?? 0,
    depth(index) {
      let depth = 0;
      for (let at = index; (parents[at] ?? -1) >= 0; at = parents[at] ?? -1) depth += 1;
      return depth;
    },
    spreadBackwards(flags) {
      spread(flags, { starts, targets, marked, steps });
    },
  };
}

function widened(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(length);
  wide.set(from.length === 0 ? emptyInt : from);
  return wide;
}

type Graph = {
  readonly starts: Int32Array;
  readonly targets: Int32Array;
  readonly marked: number;
  readonly steps: number;
};

/** Steps mostly lead to states that were found later, so that a few sweeps from the last to the first are enough. */
function spread(flags: Uint8Array, { starts, targets, marked, steps }: Graph): void {
  for (let changed = true; changed;) {
    changed = false;
    for (let state = marked - 1; state >= 0; state -= 1) {
      if (flags[state] === 1) continue;
      const end = state + 1 < marked ? (starts[state + 1] ?? 0) : steps;
      for (let edge = starts[state] ?? 0; edge < end; edge += 1) {
        if (flags[targets[edge] ?? 0] !== 1) continue;
        flags[state] = 1;
        changed = true;
        break;
      }
    }
  }
}
