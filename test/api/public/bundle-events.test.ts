import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { allEvents, type BundleEvents, ringEvents } from '../../../src/api/public/bundle-events.js';
import { fakeBundles } from './bundles.js';

type Event = { readonly id: string | undefined; readonly ring: string; readonly generation: number };

/** Events as an EventSource reads them. */
function read(text: string): Event[] {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      expect(fields.get('event')).toBe('bundle');
      return {
        ...(JSON.parse(fields.get('data') ?? '') as { ring: string; generation: number }),
        id: fields.get('id'),
      };
    });
}

const ids = (events: BundleEvents, lastEventId?: string): readonly (string | undefined)[] =>
  read(events.since(events.resume(lastEventId))?.text ?? '').map(
    ({ ring, generation }) => `${ring}=${String(generation)}`,
  );

describe('events of one ring', () => {
  it('begin with what the reader does not know, and are numbered by generation', () => {
    const source = fakeBundles({ etcd: 3, kubernetes: 7 });
    const events = ringEvents(source, 'etcd');
    const first = events.since(events.resume(undefined));
    expect(read(first?.text ?? '')).toMatchObject([{ id: '3', ring: 'etcd', generation: 3, digest: 'digest-3' }]);
    expect(ids(events, '2')).toEqual(['etcd=3']);
    expect(ids(events, '3')).toEqual([]);
    source.publish('kubernetes');
    expect(events.since(first?.position ?? new Map())).toBeUndefined();
    source.publish('etcd');
    expect(read(events.since(first?.position ?? new Map())?.text ?? '')).toMatchObject([{ id: '4', generation: 4 }]);
  });

  it('share one text among all who know the same', () => {
    const source = fakeBundles({ etcd: 3 });
    const events = ringEvents(source, 'etcd');
    const one = events.since(events.resume('1'));
    const other = events.since(events.resume('1'));
    expect(one?.text).toBe(other?.text);
    expect(one?.position).toBe(other?.position);
    source.publish('etcd');
    expect(events.since(one?.position ?? new Map())).toBe(events.since(other?.position ?? new Map()));
  });

  it('never go back for a reader that knows more than this replica', () => {
    const source = fakeBundles({ etcd: 3 });
    const events = ringEvents(source, 'etcd');
    let seen = events.resume('5');
    const told: number[] = [];
    for (let at = 3; at <= 7; at += 1) {
      const news = events.since(seen);
      told.push(...read(news?.text ?? '').map(({ generation }) => generation));
      seen = news?.position ?? seen;
      source.publish('etcd');
    }
    expect(told).toEqual([6, 7]);
  });

  it.each(['banana', '-1', '3.5', '1e9', '99999999999', ' 3', '3 ', '', 'etcd=3', '\u0000', 'x'.repeat(100_000)])(
    'take the id %j, which is none of theirs, for none',
    (id) => {
      const events = ringEvents(fakeBundles({ etcd: 3 }), 'etcd');
      expect(ids(events, id)).toEqual(['etcd=3']);
    },
  );

  it('are of rings that are there', () => {
    expect(() => ringEvents(fakeBundles({ etcd: 3 }), 'nope')).toThrow(expect.objectContaining({ code: 'not-found' }));
  });
});

describe('events of all rings', () => {
  it('have an id with all generations, at the end of what belongs together', () => {
    const source = fakeBundles({ etcd: 3, kubernetes: 7 });
    const events = allEvents(source);
    const first = events.since(events.resume(undefined));
    expect(read(first?.text ?? '').map(({ id, ring }) => [ring, id])).toEqual([
      ['etcd', undefined],
      ['kubernetes', 'etcd=3,kubernetes=7'],
    ]);
    expect(ids(events, 'etcd=3,kubernetes=6')).toEqual(['kubernetes=7']);
    expect(ids(events, 'kubernetes=7')).toEqual(['etcd=3']);
    expect(ids(events, 'etcd=3,kubernetes=7,gone=9')).toEqual([]);
    expect(ids(events, 'etcd=9,banana,=,kubernetes=x')).toEqual(['kubernetes=7']);
  });

  it('keep of what a reader claims only what is about rings that there are', () => {
    const events = allEvents(fakeBundles({ etcd: 3, kubernetes: 7 }));
    const invented = Array.from({ length: 3_000 }, (_, at) => `r${String(at)}=1`);
    expect([...events.resume(`gone=9,etcd=3,${invented.slice(0, 100).join(',')}`)]).toEqual([['etcd', 3]]);
    expect([...events.resume(`etcd=3,${invented.join(',')}`.slice(0, 16_000))]).toEqual([]);
  });

  it('keep what the reader knows beyond this replica', () => {
    const source = fakeBundles({ etcd: 3, kubernetes: 7 });
    const events = allEvents(source);
    const told = events.since(events.resume('etcd=9,kubernetes=6'));
    expect(read(told?.text ?? '')).toMatchObject([{ id: 'etcd=9,kubernetes=7', ring: 'kubernetes' }]);
    source.publish('etcd');
    expect(events.since(told?.position ?? new Map())).toBeUndefined();
  });

  it('tell every reader of every generation that it does not know, once, and of none that is lower', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('publish' as const), ring: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ kind: fc.constant('tell' as const), reader: fc.nat(3) }),
      fc.record({ kind: fc.constant('reconnect' as const), reader: fc.nat(3), cut: fc.nat(2) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const source = fakeBundles({ a: 1, b: 1, c: 1 });
        const events = allEvents(source);
        const readers = Array.from({ length: 4 }, () => ({
          seen: events.resume(undefined),
          lastId: undefined as string | undefined,
          known: new Map<string, number>(),
        }));
        const tell = (index: number, cut = Infinity): void => {
          const reader = readers[index];
          if (reader === undefined) return;
          const news = events.since(reader.seen);
          for (const event of read(news?.text ?? '').slice(0, cut)) {
            // After a cut the same may come again, never an older one.
            expect(event.generation).toBeGreaterThanOrEqual(reader.known.get(event.ring) ?? 0);
            reader.known.set(event.ring, event.generation);
            reader.lastId = event.id ?? reader.lastId;
          }
          reader.seen = cut === Infinity ? (news?.position ?? reader.seen) : events.resume(reader.lastId);
        };
        for (const one of steps) {
          if (one.kind === 'publish') source.publish(one.ring);
          else if (one.kind === 'tell') tell(one.reader);
          else tell(one.reader, one.cut);
        }
        for (const [index, reader] of readers.entries()) {
          tell(index);
          expect(Object.fromEntries(reader.known)).toEqual(source.generations());
        }
      }),
    );
  });
});
