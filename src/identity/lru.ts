/** A bounded map that drops what was not asked for longest. */
export type Lru<K, V> = { get(key: K): V | undefined; set(key: K, value: V): void };

export function createLru<K, V>(most: number): Lru<K, V> {
  // A Map remembers the order of insertion, so the first key is the oldest.
  const entries = new Map<K, V>();
  return {
    get: (key) => {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set: (key, value) => {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size <= most) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        return;
      }
    },
  };
}
