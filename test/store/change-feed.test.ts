import fc from 'fast-check';
import { expect, test } from 'vitest';

import { history } from '../../src/store/pruning.js';
import { pruneChanges } from '../../src/store/queries/changes.js';
import type { Change, Store } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';

function publish(store: Store, name: string, resource = 'things'): Promise<number> {
  return store.write(async (tx) => {
    const revision = tx.nextRevision();
    const object = JSON.stringify({ revision });
    await tx.publish({ revision, resource, name, type: 'MODIFIED', object, previous: undefined });
    return revision;
  });
}

const turn = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A subscriber that began somewhere, and what it must have heard in the end. */
type Follower = { readonly name: string | undefined; readonly after: number; readonly heard: Change[] };

async function follow(store: Store, after: number, name: string | undefined): Promise<Follower> {
  const heard: Change[] = [];
  const scope = name === undefined ? {} : { name };
  await store.feed.subscribe({ resource: 'things', after, ...scope }, (c) => heard.push(c));
  return { name, after, heard };
}

describeEachStore('the change feed', (open, newDatabase) => {
  test('every subscriber hears every change above its start once, in order', async () => {
    const store = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ burst: fc.integer({ min: 1, max: 40 }), pause: fc.integer({ min: 0, max: 3 }) }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.array(fc.record({ back: fc.nat(300), named: fc.boolean(), wait: fc.nat(12) }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (bursts, starts) => {
          const writers = (async () => {
            for (const { burst, pause } of bursts) {
              await Promise.all(
                Array.from({ length: burst }, (_, i) =>
                  publish(store, `n${String(i % 3)}`, i % 5 === 4 ? 'others' : 'things'),
                ),
              );
              await turn(pause);
            }
          })();
          const followers = await Promise.all(
            starts.map(async ({ back, named, wait }) => {
              await turn(wait);
              return follow(store, Math.max(0, store.feed.current() - back), named ? 'n1' : undefined);
            }),
          );
          await writers;
          const newest = await store.revision();
          await expect.poll(() => store.feed.current()).toBe(newest);
          const log = await store.db.selectFrom('changes').selectAll().orderBy('revision').execute();
          for (const { name, after, heard } of followers) {
            const due = log.filter(
              (row) => row.resource === 'things' && row.revision > after && (name === undefined || row.name === name),
            );
            expect(heard.map((c) => c.revision)).toEqual(due.map((row) => row.revision));
            expect(heard.map((c) => c.object)).toEqual(due.map((row) => row.object));
          }
        },
      ),
      { numRuns: 12 },
    );
  }, 120_000);

  test('a subscription that begins at any moment of a commit hears it once', async () => {
    const store = await open();
    const followers: Promise<Follower>[] = [];
    for (let delay = 0; delay < 60; delay += 1) {
      await store.write(async (tx) => {
        const revision = tx.nextRevision();
        await tx.publish({ revision, resource: 'things', name: 'a', type: 'ADDED', object: '{}', previous: undefined });
        const begin = async (): Promise<Follower> => {
          for (let i = 0; i < delay; i += 1) await Promise.resolve();
          return follow(store, revision - 1, undefined);
        };
        followers.push(begin());
      });
    }
    await publish(store, 'last');
    await expect.poll(() => store.feed.current()).toBe(61);
    for (const { after, heard } of await Promise.all(followers)) {
      expect(heard.map((c) => c.revision)).toEqual(Array.from({ length: 61 - after }, (_, i) => after + 1 + i));
    }
  });

  test('a subscription after a restart replays the log', async () => {
    const url = await newDatabase();
    const before = await open({ url });
    for (let i = 0; i < 1_300; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, n) => publish(before, `n${String(n)}`)));
    }
    await before.close();
    const store = await open({ url });
    const all = await follow(store, 0, undefined);
    const one = await follow(store, 500, 'n7');
    const last = await publish(store, 'n7');
    await expect.poll(() => store.feed.current()).toBe(last);
    expect(all.heard.map((c) => c.revision)).toEqual(Array.from({ length: 1_301 }, (_, i) => i + 1));
    expect(one.heard).toHaveLength(9);
  });

  test('a closed subscription hears nothing more, and a listener that throws harms nobody', async () => {
    const store = await open();
    const heard: number[] = [];
    const closed = await store.feed.subscribe({ resource: 'things', after: 0 }, (c) => heard.push(c.revision));
    await store.feed.subscribe({ resource: 'things', after: 0 }, () => {
      throw new Error('a listener that fails');
    });
    const healthy = await follow(store, 0, undefined);
    await publish(store, 'a');
    await expect.poll(() => heard).toEqual([1]);
    closed.close();
    await publish(store, 'b');
    await expect.poll(() => healthy.heard.length).toBe(2);
    expect(heard).toEqual([1]);
  });

  test('history that was pruned is expired, also after a restart', async () => {
    const url = await newDatabase();
    const store = await open({ url });
    await Promise.all(Array.from({ length: 60 }, () => publish(store, 'a')));
    const later = Date.now() + 1_000;
    const tooYoung = await store.write((tx) => pruneChanges(tx.db, { keep: 10, olderThan: 0, step: 30 }));
    const first = await store.write((tx) => pruneChanges(tx.db, { keep: 10, olderThan: later, step: 30 }));
    const second = await store.write((tx) => pruneChanges(tx.db, { keep: 10, olderThan: later, step: 30 }));
    const third = await store.write((tx) => pruneChanges(tx.db, { keep: 10, olderThan: later, step: 30 }));
    expect([tooYoung, first, second, third]).toEqual([0, 30, 20, 0]);
    await store.close();

    const again = await open({ url });
    await expect(again.feed.subscribe({ resource: 'things', after: 49 }, () => undefined)).rejects.toMatchObject({
      code: 'expired',
    });
    const whole = await follow(again, 50, undefined);
    expect(whole.heard.map((c) => c.revision)).toEqual(Array.from({ length: 10 }, (_, i) => 51 + i));
  });

  test('thousands who wait for other objects cost a change nothing', async () => {
    const store = await open();
    let foreign = 0;
    for (let i = 0; i < 5_000; i += 1) {
      await store.feed.subscribe({ resource: 'things', name: `waiting-${String(i)}`, after: 0 }, () => (foreign += 1));
    }
    const mine = await follow(store, 0, 'mine');
    await publish(store, 'mine');
    await expect.poll(() => mine.heard.length).toBe(1);
    expect(foreign).toBe(0);
  });

  test('what is kept is stated', () => {
    expect(history.changes).toBeGreaterThanOrEqual(10_000);
    expect(history.ms).toBeGreaterThanOrEqual(600_000);
  });
});
