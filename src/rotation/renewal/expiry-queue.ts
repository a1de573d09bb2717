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
export function createExpiryQueue(): ExpiryQueue {
  let ids = new Int32Array(64);
  let keys = new Float64Array(64);
  let size = 0;

  const grow = (): void => {
    const wider = new Int32Array(2 * ids.length);
    wider.set(ids);
    ids = wider;
    const widerKeys = new Float64Array(2 * keys.length);
    widerKeys.set(keys);
    keys = widerKeys;
  };
  const place = (at: number, id: number, key: number): void => {
    ids[at] = id;
    keys[at] = key;
  };
  const key = (at: number): number => keys[at] ?? 0;
  const id = (at: number): number => ids[at] ?? 0;
  const rise = (from: number, ownId: number, ownKey: number): void => {
    let at = from;
    while (at > 0) {
      const parent = Math.floor((at - 1) / arity);
      if (key(parent) <= ownKey) break;
      place(at, id(parent), key(parent));
      at = parent;
    }
    place(at, ownId, ownKey);
  };
  const sink = (from: number, ownId: number, ownKey: number): void => {
    let at = from;
    for (;;) {
      const begin = arity * at + 1;
      const end = Math.min(size, begin + arity);
      let least = begin;
      for (let child = begin + 1; child < end; child += 1) if (key(child) < key(least)) least = child;
      if (begin >= size || key(least) >= ownKey) break;
      place(at, id(least), key(least));
      at = least;
    }
    place(at, ownId, ownKey);
  };
  const removeAt = (at: number): number => {
    const taken = id(at);
    size -= 1;
    if (at === size) return taken;
    const [lastId, lastKey] = [id(size), key(size)];
    if (at > 0 && lastKey < key(Math.floor((at - 1) / arity))) rise(at, lastId, lastKey);
    else sink(at, lastId, lastKey);
    return taken;
  };
  return {
    size: () => size,
    push: (ownId, notAfter) => {
      if (size === ids.length) grow();
      size += 1;
      rise(size - 1, ownId, notAfter);
    },
    pop: () => (size === 0 ? undefined : removeAt(0)),
    popLatest: () => {
      if (size === 0) return undefined;
      let latest = 0;
      for (let at = 1; at < size; at += 1) if (key(at) > key(latest)) latest = at;
      return removeAt(latest);
    },
    remove: (ownId) => {
      const at = ids.subarray(0, size).indexOf(ownId);
      if (at >= 0) removeAt(at);
    },
  };
}
