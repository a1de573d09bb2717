import { expect, test } from 'vitest';

import type { WriteTx } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';

const put = (tx: WriteTx, key: string, value = '') => tx.db.insertInto('settings').values({ key, value }).execute();

describeEachStore('group commit', (open) => {
  test('a write is there for every reader once it resolves', async () => {
    const store = await open();
    await store.write((tx) => put(tx, 'a', '1'));
    const row = await store.db.selectFrom('settings').selectAll().where('key', '=', 'a').executeTakeFirst();
    expect(row).toEqual({ key: 'a', value: '1' });
  });
});
