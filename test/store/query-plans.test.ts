import { type Kysely, sql } from 'kysely';
import { expect, test } from 'vitest';

import type { Schema } from '../../src/store/schema.js';
import { describeEachStore } from '../support/stores.js';

/** How the engine would run a statement, as text. */
async function planOf(db: Kysely<Schema>, engine: string, statement: string): Promise<string> {
  if (engine === 'sqlite') {
    const { rows } = await sql<{ detail: string }>`explain query plan ${sql.raw(statement)}`.execute(db);
    return rows.map(({ detail }) => detail).join('\n');
  }
  const { rows } = await sql<Record<string, string>>`explain ${sql.raw(statement)}`.execute(db);
  return rows.map((row) => row['QUERY PLAN'] ?? '').join('\n');
}

describeEachStore('what the cleaner reads', (open) => {
  test('comes from its index, whatever there is', async () => {
    const store = await open();
    const object = JSON.stringify({ filler: 'x'.repeat(1000) });
    await store.write(async ({ db }) => {
      for (let page = 0; page < 40; page += 1) {
        const rows = Array.from({ length: 100 }, (_, index) => ({
          ...{ name: `r-${String(page * 100 + index)}`, uid: 'u', revision: 1, signer_name: 's', username: 'u' },
          ...{ state: 'issued' as const, held: 0, requester: '{}', created_at: 0, updated_at: 0 },
          ...{ clean_after: 1000 + page * 100 + index, object },
        }));
        await db.insertInto('requests').values(rows).execute();
      }
    });
    await store.write(async ({ db }) => {
      await sql`analyze`.execute(db);
    });
    const due = 'select name, object from requests where clean_after <= 1010 order by clean_after limit 50';
    const undated = 'select name, object from requests where clean_after is null limit 50';
    for (const statement of [due, undated]) {
      const plan = await planOf(store.db, store.engine, statement);
      expect(plan).toContain('requests_by_clean_after');
      expect(plan).not.toMatch(/Seq Scan|SCAN requests|Sort|TEMP B-TREE/);
    }
  });
});
