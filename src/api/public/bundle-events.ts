import type { Bundle, Ca } from '../../ca/types.js';

/** What a reader was last told of: generations by ring. Shared by all that know the same, and never changed. */
export type Position = ReadonlyMap<string, number>;

/** Events of one subject: of one ring, or of all. */
export type BundleEvents = {
  /**
   * What somebody who knows of `seen` is to be told now, as server-sent events, and what it knows then; undefined when
   * there is nothing new. Nobody is told of a generation lower than one that it knows.
   */
  since(seen: Position): { readonly text: string; readonly position: Position } | undefined;
  /** The position that a Last-Event-ID names. Whatever is not one of ours counts as knowing nothing. */
  resume(lastEventId: string | undefined): Position;
};

type Source = Pick<Ca, 'rings' | 'bundle'>;

/** Characters of an id beyond what its rings need: of rings that there were once. */
const spareId = 1_024;
/** Characters of `=`, a generation and `,`. */
const longestPart = 12;
const nothing: Position = new Map();

/** Of one ring: the id of an event is the generation. Throws 'not-found'. */
export function ringEvents(ca: Source, ring: string): BundleEvents {
  ca.bundle(ring);
  return bundleEvents(ca, () => [ring], {
    write: (position) => String(position.get(ring) ?? 0),
    read: (id) => (/^\d{1,10}$/.test(id) ? new Map([[ring, Number(id)]]) : nothing),
  });
}

/** Of all rings: the id of an event has every ring's generation, `etcd=3,kubernetes=5`. */
export function allEvents(ca: Source): BundleEvents {
  const names = (): readonly string[] => ca.rings().map(({ name }) => name);
  return bundleEvents(ca, names, {
    write: (position) => [...position].map(([ring, generation]) => `${ring}=${String(generation)}`).join(','),
    read: (id) => {
      const pairs = id.split(',').map((pair) => /^([^=]+)=(\d{1,10})$/.exec(pair));
      const named = new Map(
        pairs.flatMap((pair) => (pair === null ? [] : [[pair[1] ?? '', Number(pair[2])] as const])),
      );
      // Anybody may have written it, and it is kept as long as the reader stays: only rings that there are.
      return new Map(names().flatMap((name) => ofRing(named, name)));
    },
  });
}

function ofRing(named: Position, name: string): (readonly [string, number])[] {
  const generation = named.get(name);
  return generation === undefined ? [] : [[name, generation]];
}

type Ids = { write(position: Position): string; read(id: string): Position };

/** Thousands know the same and are told the same: the text is made once for each pair of before and now. */
function bundleEvents(ca: Source, rings: () => readonly string[], ids: Ids): BundleEvents {
  let now: Position = nothing;
  let texts = new WeakMap<Position, { readonly text: string; readonly position: Position }>();
  const current = (): Position => {
    const bundles = rings().map((ring) => ca.bundle(ring));
    const same = bundles.length === now.size && bundles.every(({ ring, generation }) => now.get(ring) === generation);
    if (same) return now;
    texts = new WeakMap();
    now = new Map(bundles.map(({ ring, generation }) => [ring, generation]));
    return now;
  };
  const longestId = (): number => rings().reduce((sum, { length }) => sum + length + longestPart, spareId);
  const resumed = new Map<string, Position>();
  return {
    since: (seen) => {
      const latest = current();
      if (seen === latest) return undefined;
      const known = texts.get(seen);
      if (known !== undefined) return known;
      const news = [...latest].filter(([ring, generation]) => generation > (seen.get(ring) ?? 0));
      if (news.length === 0) return undefined;
      const position = isAhead(seen, latest) ? higherOf(seen, latest) : latest;
      const text = eventText(
        news.map(([ring]) => ca.bundle(ring)),
        ids.write(position),
      );
      const made = { text, position };
      texts.set(seen, made);
      return made;
    },
    resume: (id) => {
      if (id === undefined || id === '' || id.length > longestId()) return nothing;
      const known = ids.write(current());
      if (id === known) return now;
      // After a restart a whole fleet names the same position.
      const shared = resumed.get(id) ?? ids.read(id);
      if (resumed.size >= mostShared) resumed.clear();
      resumed.set(id, shared);
      return shared;
    },
  };
}

const mostShared = 64;

/** A restored database, or a replica that is behind, has lower generations than its readers. */
function isAhead(seen: Position, latest: Position): boolean {
  return [...latest].some(([ring, generation]) => (seen.get(ring) ?? 0) > generation);
}

function higherOf(seen: Position, latest: Position): Position {
  return new Map([...latest].map(([ring, generation]) => [ring, Math.max(generation, seen.get(ring) ?? 0)]));
}

/**
 * Only the last event has an id: a reader that is cut off between two of them is told of both again, and never misses
 * one.
 */
function eventText(bundles: readonly Bundle[], id: string): string {
  return bundles
    .map(({ ring, generation, digest }, index) => {
      const data = JSON.stringify({ ring, generation, digest });
      const named = index === bundles.length - 1 ? `id: ${id}\n` : '';
      return `event: bundle\n${named}data: ${data}\n\n`;
    })
    .join('');
}
