import pg from 'pg';
import { pino } from 'pino';
import { expect, it } from 'vitest';

import { openStore } from '../../src/store/index.js';
import { describeWithPeer } from '../support/peers.js';
import { createDatabase, postgresVariable } from '../support/postgres.js';

describeWithPeer('postgresBin', 'a connection to PostgreSQL that is lost in use', () => {
  it('fails the write that it takes, and nothing else', async () => {
    const { url, drop } = await createDatabase(process.env[postgresVariable] ?? '');
    const store = await openStore({ url, logger: pino({ level: 'silent' }), clock: { now: () => new Date() } });
    const administrator = new pg.Client({ connectionString: url });
    try {
      const put = (key: string) =>
        store.write((tx) => tx.db.insertInto('settings').values({ key, value: '' }).execute());
      await put('before');
      await administrator.connect();
      // The server ends every other connection while no query runs on the one of the write.
      const lost = store.write(async (tx) => {
        await tx.db.insertInto('settings').values({ key: 'never', value: '' }).execute();
        await administrator.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
        );
        await new Promise((resolve) => setTimeout(resolve, 200));
      });
      await expect(lost).rejects.toThrow();
      await expect.poll(() => put('after').then(() => 'written', String), { timeout: 10_000 }).toBe('written');
      const wanted = ['before', 'never', 'after'];
      const keys = await store.db.selectFrom('settings').select('key').where('key', 'in', wanted).execute();
      expect(keys.map(({ key }) => key).sort()).toEqual(['after', 'before']);
    } finally {
      await administrator.end();
      await store.close();
      await drop();
    }
  });
});
