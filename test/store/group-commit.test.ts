import { describe, expect, test } from 'vitest';

import { RotundaError } from '../../src/errors.js';
import type { Change, Store, WriteTx } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';

const put = (tx: WriteTx, key: string, value = '') => tx.db.insertInto('settings').values({ key, value }).execute();

async function keys(store: Store): Promise<string[]> {
  const rows = await store.db.selectFrom('settings').select('key').orderBy('key').execute();
  return rows.map((row) => row.key);
}

function change(revision: number, name: string): Change {
  return { revision, resource: 'things', name, type: 'ADDED', object: `{"n":"${name}"}`, previous: undefined };
}

describeEachStore('group commit', (open) => {
  test('a write is there for every reader once it resolves', async () => {
    const store = await open();
    await store.write((tx) => put(tx, 'a', '1'));
    const row = await store.db.selectFrom('settings').selectAll().where('key', '=', 'a').executeTakeFirst();
    expect(row).toEqual({ key: 'a', value: '1' });
  });

  test('works that arrive while the event loop is busy share one transaction', async () => {
    const store = await open();
    const works: Promise<number>[] = [];
    const transactions = new Set<unknown>();
    // A turn of the loop each, with work to do in it.
    for (let turn = 0; turn < 5; turn += 1) {
      works.push(
        store.write((tx) => {
          transactions.add(tx);
          return Promise.resolve(turn);
        }),
      );
      const until = performance.now() + 1;
      while (performance.now() < until);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(works)).toEqual([0, 1, 2, 3, 4]);
    expect(transactions.size).toBe(1);
  });

  test('a work that fails before it wrote fails alone, and nothing runs twice', async () => {
    const store = await open();
    let runs = 0;
    const good = (key: string) =>
      store.write(async (tx) => {
        runs += 1;
        await put(tx, key);
        return key;
      });
    const bad = store.write(async (tx) => {
      runs += 1;
      tx.nextRevision();
      await tx.publish(change(99, 'never'));
      await tx.db.selectFrom('settings').selectAll().execute();
      throw new RotundaError('conflict', 'no');
    });
    const results = await Promise.allSettled([good('a'), bad, good('b')]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(bad).rejects.toThrow('no');
    expect([runs, await keys(store), await store.revision()]).toEqual([3, ['a', 'b'], 0]);
  });

  test('a work that fails after it wrote is undone, alone', async () => {
    const store = await open();
    const good = (key: string) =>
      store.write(async (tx) => {
        const revision = tx.nextRevision();
        await put(tx, key);
        await tx.publish(change(revision, key));
        return revision;
      });
    const bad = store.write(async (tx) => {
      await tx.publish(change(tx.nextRevision(), 'never'));
      await put(tx, 'never');
      throw new Error('after all');
    });
    const [a, never, b] = await Promise.allSettled([good('a'), bad, good('b')]);
    expect(never).toMatchObject({ status: 'rejected', reason: { message: 'after all' } });
    expect([a, b]).toMatchObject([{ value: 1 }, { value: 2 }]);
    expect(await keys(store)).toEqual(['a', 'b']);
    const log = await store.db.selectFrom('changes').select(['revision', 'name']).orderBy('revision').execute();
    expect(log).toEqual([
      { revision: 1, name: 'a' },
      { revision: 2, name: 'b' },
    ]);
  });

  test('a constraint that one work breaks is no matter of the others, even when the work hides it', async () => {
    const store = await open();
    const results = await Promise.allSettled([
      store.write((tx) => put(tx, 'a')),
      store.write((tx) => put(tx, 'a')),
      store.write(async (tx) => {
        await put(tx, 'a').catch(() => undefined);
      }),
      store.write((tx) => put(tx, 'b')),
    ]);
    expect(results.map((r) => r.status).filter((_, i) => i !== 2)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await keys(store)).toEqual(['a', 'b']);
  });

  test('a change that cannot be logged fails its own work alone', async () => {
    const store = await open();
    const results = await Promise.allSettled([
      store.write(async (tx) => tx.publish(change(tx.nextRevision(), 'a'))),
      store.write(async (tx) => tx.publish(change(1, 'a revision that is taken'))),
      store.write(async (tx) => tx.publish(change(tx.nextRevision(), 'b'))),
    ]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const log = await store.db.selectFrom('changes').select('name').orderBy('revision').execute();
    expect(log.map((row) => row.name)).toEqual(['a', 'b']);
  });

  test('an error is decided on what was committed, not on what was undone', async () => {
    const store = await open();
    const first = store.write(async (tx) => {
      await put(tx, 'name');
      throw new Error('gone again');
    });
    const second = store.write(async (tx) => {
      const taken = await tx.db.selectFrom('settings').select('key').where('key', '=', 'name').executeTakeFirst();
      if (taken !== undefined) throw new RotundaError('already-exists', 'taken');
      await put(tx, 'name');
    });
    await expect(first).rejects.toThrow('gone again');
    await second;
    expect(await keys(store)).toEqual(['name']);
  });

  test('effects run once, after the commit, before the caller goes on, and never for what failed', async () => {
    const store = await open();
    const seen: string[] = [];
    const good = store.write(async (tx) => {
      await put(tx, 'a');
      tx.onCommit(() => {
        seen.push('effect a');
        throw new Error('an effect that fails');
      });
      tx.onCommit(() => seen.push('second effect'));
    });
    const bad = store.write(async (tx) => {
      await put(tx, 'never');
      tx.onCommit(() => seen.push('never'));
      throw new Error('no');
    });
    await Promise.allSettled([good.then(() => seen.push('resolved')), bad]);
    expect(seen).toEqual(['effect a', 'second effect', 'resolved']);
  });

  test('read, check, write has no race', async () => {
    const store = await open();
    await store.write((tx) => put(tx, 'count', '0'));
    const increment = () =>
      store.write(async (tx) => {
        const row = await tx.db.selectFrom('settings').select('value').where('key', '=', 'count').executeTakeFirst();
        const value = String(Number(row?.value) + 1);
        await tx.db.updateTable('settings').set({ value }).where('key', '=', 'count').execute();
      });
    await Promise.all(Array.from({ length: 300 }, increment));
    const row = await store.db.selectFrom('settings').select('value').where('key', '=', 'count').executeTakeFirst();
    expect(row?.value).toBe('300');
  });

  test('audit events of failed works are not kept, those of others are', async () => {
    const store = await open();
    const event = (name: string) => ({
      at: 1,
      action: 'x',
      actor: 'y',
      resource: 'z',
      name,
      outcome: 'ok',
      detail: '{}',
    });
    await Promise.allSettled([
      store.write(async (tx) => {
        await put(tx, 'a');
        tx.appendAudit(event('a'));
      }),
      store.write(async (tx) => {
        await put(tx, 'b');
        tx.appendAudit(event('b'));
        throw new Error('no');
      }),
      ...Array.from({ length: 100 }, (_, i) =>
        store.write((tx) => {
          tx.appendAudit(event(`c${String(i)}`));
          return Promise.resolve();
        }),
      ),
    ]);
    const rows = await store.db.selectFrom('audit_events').select('name').orderBy('sequence').execute();
    expect(rows.map((row) => row.name)).toEqual(['a', ...Array.from({ length: 100 }, (_, i) => `c${String(i)}`)]);
  });

  test('closing finishes what was begun and refuses the rest', async () => {
    const store = await open();
    const begun = Array.from({ length: 200 }, (_, i) => store.write((tx) => put(tx, String(i))));
    const closing = store.close();
    await expect(store.write((tx) => put(tx, 'late'))).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all(begun);
    await closing;
  });

  test('a transaction that is over cannot be used', async () => {
    const store = await open();
    let leaked: WriteTx | undefined;
    await store.write((tx) => {
      leaked = tx;
      return Promise.resolve();
    });
    expect(() => leaked?.nextRevision()).toThrow('after it ended');
  });
});

describeEachStore('reading', (open) => {
  test('the read side cannot write', async () => {
    const store = await open();
    if (store.engine === 'postgres') return;
    await expect(store.db.insertInto('settings').values({ key: 'a', value: 'b' }).execute()).rejects.toThrow(
      /readonly/,
    );
  });

  test('a read transaction sees one state, and others go on beside it', async () => {
    const store = await open();
    const seen = await store.db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (snapshot) => {
        const before = await snapshot.selectFrom('settings').selectAll().execute();
        await store.write((tx) => put(tx, 'a'));
        const after = await snapshot.selectFrom('settings').selectAll().execute();
        return [before.length, after.length];
      });
    expect(seen).toEqual([0, 0]);
    expect(await keys(store)).toEqual(['a']);
  });
});

describe('two stores', () => {
  describeEachStore('on one database', (open, newDatabase) => {
    test('are serialised by the counter where the engine allows two', async () => {
      const url = await newDatabase();
      const first = await open({ url });
      if (first.engine === 'sqlite') {
        await expect(open({ url })).rejects.toThrow('in use by another Rotunda process');
        return;
      }
      const second = await open({ url });
      await first.write((tx) => put(tx, 'count', '0'));
      const heard = new Map<Store, number[]>([
        [first, []],
        [second, []],
      ]);
      for (const [store, revisions] of heard) {
        await store.feed.subscribe({ resource: 'things', after: 0 }, (c) => revisions.push(c.revision));
      }
      const increment = (store: Store) =>
        store.write(async (tx) => {
          const row = await tx.db.selectFrom('settings').select('value').where('key', '=', 'count').executeTakeFirst();
          const value = String(Number(row?.value) + 1);
          await tx.db.updateTable('settings').set({ value }).where('key', '=', 'count').execute();
          const revision = tx.nextRevision();
          await tx.publish(change(revision, value));
          return { revision, value: Number(value) };
        });
      const done = await Promise.all(Array.from({ length: 400 }, (_, i) => increment(i % 2 === 0 ? first : second)));
      // The revision follows the commit order: whoever saw the n-th state has the n-th revision.
      expect(done.every(({ revision, value }) => revision === value)).toBe(true);
      await expect.poll(() => [first.feed.current(), second.feed.current()]).toEqual([400, 400]);
      for (const revisions of heard.values()) {
        expect(revisions).toEqual(Array.from({ length: 400 }, (_, i) => i + 1));
      }
    });
  });
});
