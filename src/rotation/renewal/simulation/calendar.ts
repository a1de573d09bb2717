/**
 * What is due in which bucket: numbers of 31 bits, in chunks of an array. A bucket is written and read in one go, which
 * with ten million of them is what the time goes into.
 */
export type Calendar = {
  put(value: number, bucket: number): void;
  /** Takes all of a bucket out, one after the other; what `visit` puts anywhere is not among them. */
  take(bucket: number, visit: (value: number) => void): void;
};

const chunkSize = 128;
const none = -1;

/** What is put behind the last bucket waits in that one. */
export function createCalendar(values: number, buckets: number): Calendar {
  // Every bucket may have one chunk that is not full, and the one that is being read is free only afterwards.
  const chunks = Math.ceil(values / chunkSize) + buckets + 1;
  const held = new Int32Array(chunks * chunkSize);
  const filled = new Int32Array(chunks);
  const before = new Int32Array(chunks);
  const newest = new Int32Array(buckets).fill(none);
  const free = Int32Array.from({ length: chunks }, (_, index) => index);
  let freeCount = chunks;

  const takeChunk = (previous: number): number => {
    if (freeCount === 0) throw new RangeError('more is due than there is room for');
    freeCount -= 1;
    const chunk = free[freeCount] ?? none;
    filled[chunk] = 0;
    before[chunk] = previous;
    return chunk;
  };
  return {
    put: (value, bucket) => {
      const at = bucket < buckets ? bucket : buckets - 1;
      let chunk = newest[at] ?? none;
      if (chunk === none || filled[chunk] === chunkSize) {
        chunk = takeChunk(chunk);
        newest[at] = chunk;
      }
      const count = filled[chunk] ?? 0;
      held[chunk * chunkSize + count] = value;
      filled[chunk] = count + 1;
    },
    take: (bucket, visit) => {
      let chunk = newest[bucket] ?? none;
      newest[bucket] = none;
      while (chunk !== none) {
        const begin = chunk * chunkSize;
        const end = begin + (filled[chunk] ?? 0);
        for (let at = begin; at < end; at += 1) visit(held[at] ?? 0);
        const following = before[chunk] ?? none;
        free[freeCount] = chunk;
        freeCount += 1;
        chunk = following;
      }
    },
  };
}
