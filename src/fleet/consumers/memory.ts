import { quarantinedNames } from '../../store/queries/consumers.js';
import type { Store } from '../../store/types.js';
import { resource } from './records.js';

/** More names than that are forgotten together; what is forgotten costs a query to learn again. */
const mostKnown = 200_000;

/**
 * What issuing asks on its way: who is registered, so that a renewal needs no query, and who is quarantined. Follows the
 * change log, so that what another replica deletes or quarantines is known here a moment later.
 */
export type Memory = {
  /** Until when it is registered, `Infinity` without an end; undefined when it is not known to be. */
  known(name: string): number | undefined;
  learn(name: string, until: number): void;
  forget(name: string): void;
  isQuarantined(name: string): boolean;
  quarantine(name: string): void;
};

export async function createMemory(store: Store): Promise<Memory> {
  const known = new Map<string, number>();
  const after = await store.revision();
  const quarantined = new Set(await quarantinedNames(store.db));
  await store.feed.subscribe({ resource, after }, ({ name, type, object }) => {
    // Written by this room only, so its shape is known.
    const { state } = JSON.parse(object) as { state: 'live' | 'quarantined' };
    if (type === 'DELETED' || state === 'quarantined') known.delete(name);
    if (type !== 'DELETED' && state === 'quarantined') quarantined.add(name);
    else quarantined.delete(name);
  });
  return {
    known: (name) => known.get(name),
    learn: (name, until) => {
      if (known.size >= mostKnown && !known.has(name)) known.clear();
      known.set(name, until);
    },
    forget: (name) => {
      known.delete(name);
    },
    isQuarantined: (name) => quarantined.has(name),
    quarantine: (name) => {
      known.delete(name);
      quarantined.add(name);
    },
  };
}
