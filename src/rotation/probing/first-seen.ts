import type { Rotation } from '../types.js';
import type { SeenFor } from './proof.js';

type Process = { readonly name: string; readonly process: string | undefined };

/** Since when processes have been seen to go by a generation, as far as this replica has looked. */
export type FirstSeen = {
  of(rotation: Rotation, consumer: Process, at: number): SeenFor;
  /** It does not go by what it was seen with. */
  forget(rotation: Rotation, consumer: Process): void;
};

type Seen = { readonly what: string; readonly at: number };

/** Keeps the last of each consumer and ring. Whoever takes over the lead counts anew. */
export function createFirstSeen(): FirstSeen {
  const seen = new Map<string, Seen>();
  const keyOf = ({ ring }: Rotation, { name }: Process): string => `${ring} ${name}`;
  return {
    of: (rotation, consumer, at) => (generation) => {
      const key = keyOf(rotation, consumer);
      const what = `${rotation.id} ${String(generation)} ${consumer.process ?? ''}`;
      const known = seen.get(key);
      // A clock that was set back begins anew.
      const since = known?.what === what && known.at <= at ? known.at : at;
      seen.set(key, { what, at: since });
      return at - since;
    },
    forget: (rotation, consumer) => {
      seen.delete(keyOf(rotation, consumer));
    },
  };
}
