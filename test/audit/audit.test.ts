import { pino } from 'pino';
import { expect, test } from 'vitest';

import { createAudit } from '../../src/audit/audit.js';
import type { AuditEvent } from '../../src/audit/types.js';
import { describeEachStore } from '../support/stores.js';

const event = (name: string): AuditEvent => ({
  action: 'node.disabled',
  actor: 'admin',
  resource: 'nodes',
  name,
  outcome: 'ok',
  detail: { reason: 'lost', count: 2 },
  at: 1_764_000_000_000,
});

describeEachStore('the audit log', (open) => {
  test('has what was committed, in the database and in the log, and nothing of what was not', async () => {
    const store = await open();
    const lines: Record<string, unknown>[] = [];
    const logger = pino(
      { level: 'info' },
      { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    );
    const audit = createAudit({ logger });
    const failing = store.write(async (tx) => {
      await audit.record(tx, event('never'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(lines).toEqual([]);
    await store.write(async (tx) => {
      await audit.record(tx, event('n1'));
      expect(lines).toEqual([]);
    });
    const rows = await store.db.selectFrom('audit_events').selectAll().execute();
    expect(rows).toMatchObject([{ ...event('n1'), detail: '{"reason":"lost","count":2}' }]);
    expect(lines).toMatchObject([{ component: 'audit', msg: 'node.disabled', ...event('n1') }]);
  });

  test('a quiet logger costs nothing, and the database has the event all the same', async () => {
    const store = await open();
    const audit = createAudit({ logger: pino({ level: 'warn' }) });
    await store.write((tx) => audit.record(tx, event('n1')));
    expect(await store.db.selectFrom('audit_events').select('name').execute()).toEqual([{ name: 'n1' }]);
  });
});
