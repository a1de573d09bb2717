/** Numbers that wait, the one that expires first at the front. */
export type ExpiryQueue = {
  readonly size: () => number;
  push(id: number, notAfter: number): void;
  /** Takes out the one at the front; undefined where nobody waits. Equals leave in no particular order. */
  pop(): number | undefined;
  /** Takes out the one that expires last. Looks at all of them. */
  popLatest(): number | undefined;
  /** Takes one out that waits no more. Looks at all of them. */
  remove(id: number): void;
};

const arity = 4;

/** A heap in arrays of numbers, so that ten million wait without an object each. */
type Heap = { ids: Int32Array; keys: Float64Array; size: number };

export function createExpiryQueue(): ExpiryQueue {
  const heap: Heap = { ids: new Int32Array(64), keys: new Float64Array(64), size: 0 };
  return {
    size: () => heap.size,
    push: (id, notAfter) => {
      if (heap.size === heap.ids.length) grow(heap);
      heap.size += 1;
      rise(heap, heap.size - 1, id, notAfter);
    },
    pop: () => (heap.size === 0 ? undefined : removeAt(heap, 0)),
    popLatest: () => {
      if (heap.size === 0) return undefined;
      let latest = 0;
      for (let at = 1; at < heap.size; at += 1) if (key(heap, at) > key(heap, latest)) latest = at;
      return removeAt(heap, latest);
    },
    remove: (id) => {
      const at = heap.ids.subarray(0, heap.size).indexOf(id);
      if (at >= 0) removeAt(heap, at);
    },
  };
}

function grow(heap: Heap): void {
  const ids = new Int32Array(2 * heap.ids.length);
  const keys = new Float64Array(2 * heap.keys.length);
  ids.set(heap.ids);
  keys.set(heap.keys);
  heap.ids = ids;
  heap.keys = keys;
}

function key({ keys }: Heap, at: number): number {
  return keys[at] ?? 0;
}

function place({ ids, keys }: Heap, at: number, id: number, notAfter: number): void {
  ids[at] = id;
  keys[at] = notAfter;
}

function copy(heap: Heap, to: number, from: number): void {
  place(heap, to, heap.ids[from] ?? 0, key(heap, from));
}

function parentOf(at: number): number {
  return Math.floor((at - 1) / arity);
}

function rise(heap: Heap, from: number, id: number, notAfter: number): void {
  let at = from;
  while (at > 0 && key(heap, parentOf(at)) > notAfter) {
    copy(heap, at, parentOf(at));
    at = parentOf(at);
  }
  place(heap, at, id, notAfter);
}

function sink(heap: Heap, from: number, id: number, notAfter: number): void {
  let at = from;
  for (;;) {
    const begin = arity * at + 1;
    const end = Math.min(heap.size, begin + arity);
    let least = begin;
    for (let child = begin + 1; child < end; child += 1) if (key(heap, child) < key(heap, least)) least = child;
    if (begin >= heap.size || key(heap, least) >= notAfter) break;
    copy(heap, at, least);
    at = least;
  }
  place(heap, at, id, notAfter);
}

function removeAt(heap: Heap, at: number): number {
  const taken = heap.ids[at] ?? 0;
  heap.size -= 1;
  if (at === heap.size) return taken;
  const [id, notAfter] = [heap.ids[heap.size] ?? 0, key(heap, heap.size)];
  if (at > 0 && notAfter < key(heap, parentOf(at))) rise(heap, at, id, notAfter);
  else sink(heap, at, id, notAfter);
  return taken;
}
