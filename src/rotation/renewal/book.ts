/**
 * How many renewals are planned for which time, in buckets of equal length from the last `advance` on to a horizon. What
 * lies outside is not counted. Single renewals count at once; those that are spread over a time count in `load` and `mean`
 * from the next settling on, which comes by itself after `settleEvery` of them, and sooner while there are few.
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
/** One in so many may be unseen by the others. */
const staleShare = 16;

/** Counts of buckets from the one with the number `base` on. */
type Sheet = {
  readonly bucketMs: number;
  /** Buckets that are counted, and how many there are in the arrays: a quarter more, so that moving on is rare. */
  readonly size: number;
  readonly capacity: number;
  /** Planned one by one. */
  readonly single: Float64Array;
  /** Where what is spread begins and ends: each value is by how much `evenly` changes there. */
  readonly edges: Float64Array;
  /** Of the last settling: what is spread, by bucket, and everything planned before a bucket. */
  readonly evenly: Float64Array;
  readonly upTo: Float64Array;
  base: number;
  /** The first bucket that is not past. */
  first: number;
};

/** Adding one costs two additions, whatever it is spread over: edges are noted, and summed up when settled. */
export function createBook({ bucketMs, horizonMs, now, settleEvery = standardSettleEvery }: Options): Book {
  const sheet = emptySheet(bucketMs, horizonMs, now);
  const { capacity, single, evenly } = sheet;
  let unsettled = 0;
  let noted = 0;
  const settle = (): void => {
    sumUp(sheet);
    unsettled = 0;
  };
  const touched = (): void => {
    unsettled += 1;
    noted += 1;
    // The first ones must see each other, or a small fleet is not spread at all.
    if (unsettled >= settleEvery || unsettled * staleShare >= noted) settle();
  };
  return {
    bucketMs,
    horizon: () => (sheet.base + capacity) * bucketMs,
    advance: (time) => {
      sheet.first = Math.max(sheet.first, Math.floor(time / bucketMs));
      if (sheet.first - sheet.base >= capacity - sheet.size) moveOn(sheet);
    },
    add: (time, count) => {
      const i = Math.floor(time / bucketMs) - sheet.base;
      if (i < sheet.first - sheet.base || i >= capacity) return;
      single[i] = Math.max(0, at(single, i) + count);
      touched();
    },
    spread: (from, until, count) => {
      const start = Math.max(from, sheet.first * bucketMs);
      if (until <= start || start >= (sheet.base + capacity) * bucketMs) return;
      const perBucket = (count * bucketMs) / (until - from);
      addEdge(sheet, start, perBucket);
      addEdge(sheet, until, -perBucket);
      touched();
    },
    load: (bucket) => {
      const i = bucket - sheet.base;
      return i < 0 || i >= capacity ? 0 : at(single, i) + at(evenly, i);
    },
    mean: (from, until) => meanOf(sheet, from, until),
    settle,
    peak: () => {
      settle();
      return fullest(sheet);
    },
  };
}

function emptySheet(bucketMs: number, horizonMs: number, now: number): Sheet {
  const size = Math.max(2, Math.ceil(horizonMs / bucketMs) + 1);
  const capacity = size + Math.ceil(size / 4);
  const first = Math.floor(now / bucketMs);
  return {
    ...{ bucketMs, size, capacity, base: first, first },
    single: new Float64Array(capacity),
    edges: new Float64Array(capacity + 1),
    evenly: new Float64Array(capacity),
    upTo: new Float64Array(capacity + 1),
  };
}

function sumUp({ capacity, single, edges, evenly, upTo }: Sheet): void {
  let running = 0;
  let total = 0;
  for (let i = 0; i < capacity; i += 1) {
    running += at(edges, i);
    // What is left of additions and subtractions that cancel out.
    const even = running > 1e-9 ? running : 0;
    evenly[i] = even;
    upTo[i] = total;
    total += even + at(single, i);
  }
  upTo[capacity] = total;
}

/** Drops what is past. What of it goes on begins with the first bucket then. */
function moveOn(sheet: Sheet): void {
  const { capacity, single, edges, evenly } = sheet;
  const shift = sheet.first - sheet.base;
  sumUp(sheet);
  single.copyWithin(0, shift);
  single.fill(0, Math.max(0, capacity - shift));
  for (let i = 0; i < capacity; i += 1) edges[i] = at(evenly, i + shift) - (i === 0 ? 0 : at(evenly, i + shift - 1));
  sheet.base = sheet.first;
  sumUp(sheet);
}

/** Of the bucket in which something begins or ends, only the part behind counts. */
function addEdge({ bucketMs, base, first, capacity, edges }: Sheet, time: number, count: number): void {
  const position = Math.min(capacity, Math.max(first - base, time / bucketMs - base));
  const whole = Math.floor(position);
  const part = position - whole;
  edges[whole] = at(edges, whole) + count * (1 - part);
  if (whole < capacity) edges[whole + 1] = at(edges, whole + 1) + count * part;
}

function meanOf({ bucketMs, base, capacity, upTo }: Sheet, from: number, until: number): number {
  const low = Math.min(capacity, Math.max(0, Math.floor(from / bucketMs) - base));
  const high = Math.min(capacity, Math.max(low, Math.ceil(until / bucketMs) - base));
  return high === low ? 0 : (at(upTo, high) - at(upTo, low)) / (high - low);
}

function fullest({ bucketMs, base, first, capacity, single, evenly }: Sheet): { start: number; planned: number } {
  const loadOf = (i: number): number => at(single, i) + at(evenly, i);
  let best = first - base;
  for (let i = best; i < capacity; i += 1) if (loadOf(i) > loadOf(best)) best = i;
  return { start: (base + best) * bucketMs, planned: loadOf(best) };
}

function at(array: Float64Array, index: number): number {
  return array[index] ?? 0;
}
