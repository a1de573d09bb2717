/**
 * How many renewals are planned for which time, in buckets of equal length from the last `advance` on to a horizon. What
 * lies outside is not counted. Single renewals count at once; those that are spread over a time count in `load` and `mean`
 * from the next settling on, which comes by itself after `settleEvery` of them.
 */
export type Book = {
  readonly bucketMs: number;
  /** The end of what is counted, milliseconds. */
  readonly horizon: () => number;
  /** Forgets what lies before this time, and makes room for as much at the end. */
  advance(now: number): void;
  /** Plans `count` renewals at one time. */
  add(time: number, count: number): void;
  /** Plans `count` renewals evenly between two times. */
  spread(from: number, until: number, count: number): void;
  /** Planned renewals of the bucket with this number (its start divided by `bucketMs`). */
  load(bucket: number): number;
  /** Planned renewals by bucket, on average, between two times. */
  mean(from: number, until: number): number;
  /** Counts what was spread. */
  settle(): void;
  /** The fullest bucket. */
  peak(): { readonly start: number; readonly planned: number };
};

type Options = {
  readonly bucketMs: number;
  /** How far ahead plans reach, milliseconds. */
  readonly horizonMs: number;
  readonly now: number;
  readonly settleEvery?: number;
};

const standardSettleEvery = 64;

/** Adding one costs two additions, whatever it is spread over: edges are noted, and summed up when settled. */
export function createBook({ bucketMs, horizonMs, now, settleEvery = standardSettleEvery }: Options): Book {
  const size = Math.max(2, Math.ceil(horizonMs / bucketMs) + 1);
  // A quarter more, so that moving on is rare.
  const capacity = size + Math.ceil(size / 4);
  const single = new Float64Array(capacity);
  const edges = new Float64Array(capacity + 1);
  const evenly = new Float64Array(capacity);
  const upTo = new Float64Array(capacity + 1);
  let base = Math.floor(now / bucketMs);
  let first = base;
  let unsettled = 0;

  const settle = (): void => {
    let running = 0;
    let total = 0;
    for (let i = 0; i < capacity; i += 1) {
      running += edges[i] ?? 0;
      // What is left of additions and subtractions that cancel out.
      const even = running > 1e-9 ? running : 0;
      evenly[i] = even;
      upTo[i] = total;
      total += even + (single[i] ?? 0);
    }
    upTo[capacity] = total;
    unsettled = 0;
  };
  const touched = (): void => {
    unsettled += 1;
    if (unsettled >= settleEvery) settle();
  };
  const advance = (time: number): void => {
    first = Math.max(first, Math.floor(time / bucketMs));
    const shift = first - base;
    if (shift < capacity - size) return;
    settle();
    moveDown(single, shift);
    // Where plans of the past go on into the future, that is their beginning now.
    for (let i = 0; i < capacity; i += 1) edges[i] = at(evenly, i + shift) - (i === 0 ? 0 : at(evenly, i + shift - 1));
    base = first;
    settle();
  };
  const edge = (time: number, count: number): void => {
    const position = Math.min(capacity, Math.max(first - base, time / bucketMs - base));
    const whole = Math.floor(position);
    const part = position - whole;
    // Of the bucket in which it begins, only what is left of it.
    edges[whole] = at(edges, whole) + count * (1 - part);
    if (whole < capacity) edges[whole + 1] = at(edges, whole + 1) + count * part;
  };
  return {
    bucketMs,
    horizon: () => (base + capacity) * bucketMs,
    advance,
    add: (time, count) => {
      const i = Math.floor(time / bucketMs) - base;
      if (i < first - base || i >= capacity) return;
      single[i] = Math.max(0, at(single, i) + count);
      touched();
    },
    spread: (from, until, count) => {
      const start = Math.max(from, first * bucketMs);
      if (until <= start || start >= (base + capacity) * bucketMs) return;
      const perBucket = (count * bucketMs) / (until - from);
      edge(start, perBucket);
      edge(until, -perBucket);
      touched();
    },
    load: (bucket) => {
      const i = bucket - base;
      return i < 0 || i >= capacity ? 0 : at(single, i) + at(evenly, i);
    },
    mean: (from, until) => {
      const low = Math.min(capacity, Math.max(0, Math.floor(from / bucketMs) - base));
      const high = Math.min(capacity, Math.max(low, Math.ceil(until / bucketMs) - base));
      return high === low ? 0 : (at(upTo, high) - at(upTo, low)) / (high - low);
    },
    settle,
    peak: () => {
      settle();
      let best = first - base;
      const loadOf = (i: number): number => at(single, i) + at(evenly, i);
      for (let i = best; i < capacity; i += 1) if (loadOf(i) > loadOf(best)) best = i;
      return { start: (base + best) * bucketMs, planned: loadOf(best) };
    },
  };
}

function at(array: Float64Array, index: number): number {
  return array[index] ?? 0;
}

function moveDown(array: Float64Array, shift: number): void {
  array.copyWithin(0, shift);
  array.fill(0, Math.max(0, array.length - shift));
}
