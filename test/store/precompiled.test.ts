import { expect, test } from 'vitest';

import { insertRow, insertRows, prepared } from '../../src/store/precompiled.js';
import { describeEachStore } from '../support/stores.js';

const insert = insertRow('settings', ['key', 'value'], 'ignore');
const insertMany = insertRows('settings', ['key', 'value']);
const between = prepared((db, p: { low: string; high: string; limit: number }) =>
  db
    .selectFrom('settings')
    .selectAll()
    .where('key', '>=', p.low)
    .where('key', '<', p.high)
    .where('value', '=', 'kept')
    .orderBy('key')
    .limit(p.limit),
);
const replace = prepared((db, p: { key: string; value: string }) =>
  db.updateTable('settings').set({ value: p.value }).where('key', '=', p.key),
);

describeEachStore('a precompiled query', (open) => {
  test('takes its parameters by name each time, beside constants', async () => {
    const store = await open();
    await store.write(async (tx) => {
      expect(await insert(tx.db, { key: 'a', value: 'kept' })).toBe(1);
      expect(await insert(tx.db, { key: 'a', value: 'other' })).toBe(0);
      expect(await insert(tx.db, { key: 'b', value: 'kept' })).toBe(1);
      expect(await insert(tx.db, { key: 'c', value: 'not' })).toBe(1);
      expect(await replace.run(tx.db, { key: 'c', value: 'kept' })).toBe(1);
      expect(await replace.run(tx.db, { key: 'none', value: 'kept' })).toBe(0);
    });
    const keys = async (low: string, high: string, limit: number) =>
      (await between.all(store.db, { low, high, limit })).map((row) => row.key);
    expect(await keys('a', 'z', 9)).toEqual(['a', 'b', 'c']);
    expect(await keys('b', 'z', 1)).toEqual(['b']);
    expect(await between.first(store.db, { low: 'x', high: 'z', limit: 1 })).toBeUndefined();
  });

  test('works in a read transaction too, and sees its state', async () => {
    const store = await open();
    await store.db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (snapshot) => {
        expect(await between.all(snapshot, { low: 'a', high: 'z', limit: 9 })).toEqual([]);
        await store.write((tx) => insert(tx.db, { key: 'a', value: 'kept' }));
        expect(await between.all(snapshot, { low: 'a', high: 'z', limit: 9 })).toEqual([]);
      });
    expect(await between.all(store.db, { low: 'a', high: 'z', limit: 9 })).toHaveLength(1);
  });

  test.each([0, 1, 3, 4, 5, 21, 64, 85, 200])('inserts %i rows, each once', async (count) => {
    const store = await open();
    const rows = Array.from({ length: count }, (_, i) => ({ key: `k${String(i).padStart(3, '0')}`, value: String(i) }));
    await store.write((tx) => insertMany(tx.db, rows));
    expect(await store.db.selectFrom('settings').selectAll().orderBy('key').execute()).toEqual(rows);
  });
});
