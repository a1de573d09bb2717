import type { Bundle, Ca, Ring } from '../../../src/ca/types.js';
import { RotundaError } from '../../../src/errors.js';

/** Bundles that are nothing but their generations, of a service whose changes are made here. */
export function fakeBundles(start: Readonly<Record<string, number>>): Pick<Ca, 'rings' | 'bundle' | 'onChange'> & {
  publish(ring: string, quietly?: 'quietly'): void;
  generations(): Readonly<Record<string, number>>;
  listeners(): number;
} {
  const bundles = new Map(Object.entries(start).map(([ring, generation]) => [ring, fakeBundle(ring, generation)]));
  const listeners = new Set<(ring: string) => void>();
  const bundle = (ring: string): Bundle => {
    const found = bundles.get(ring);
    if (found === undefined) throw new RotundaError('not-found', `there is no ring ${JSON.stringify(ring)}`);
    return found;
  };
  return {
    bundle,
    rings: () => [...bundles.keys()].map((name) => ({ name }) as Ring),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publish: (ring, quietly) => {
      bundles.set(ring, fakeBundle(ring, bundle(ring).generation + 1));
      if (quietly === undefined) for (const listener of listeners) listener(ring);
    },
    generations: () => Object.fromEntries([...bundles].map(([ring, { generation }]) => [ring, generation])),
    listeners: () => listeners.size,
  };
}

function fakeBundle(ring: string, generation: number): Bundle {
  const digest = `digest-${String(generation)}`;
  return {
    ring,
    generation,
    digest,
    anchors: [],
    pem: `pem ${String(generation)}\n`,
    createdAt: 0,
    manifest: undefined,
  };
}
