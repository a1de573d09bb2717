import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { pino } from 'pino';

import { configFrom } from '../src/config/load.js';
import { type Context, createContext } from '../src/context.js';
import { offers } from '../src/rotation/reducer.js';
import type { Rotation } from '../src/rotation/types.js';
import type { Row } from './report.js';

const ring = 'kubernetes';
const rowsAtOnce = 20_000;

/** How long one look at a rotation takes: all facts read and all gates evaluated. */
export async function benchGates(size: { consumers: number; leaves: number }): Promise<Row[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-bench-'));
  const config = configFrom({ apiVersion: 'rotunda.dev/v1alpha1', dataDir, rotation: { automatic: false } });
  const context = await createContext(config, { logger: pino({ level: 'silent' }) });
  try {
    await fill(context, size);
    const rotation = await context.rotations.start(
      { ring, kind: 'planned', policy: 'manual', crossSign: true, options: {}, reason: 'bench' },
      'bench',
    );
    const rows: Row[] = [];
    for (const state of ['trusting', 'issuing', 'distrusting'] as const) {
      const at = { at: 0, generation: 1 };
      rows.push(await measure(context, { ...rotation, state, marks: { [state]: at, trusting: at } }));
    }
    return rows;
  } finally {
    await context.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measure({ rotations }: Context, rotation: Rotation): Promise<Row> {
  const times: number[] = [];
  for (let i = 0; i < 12; i += 1) {
    const started = performance.now();
    offers(rotation, await rotations.facts(rotation));
    if (i >= 2) times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return {
    what: `facts and gates in ${rotation.state}, median`,
    value: times[5] ?? Number.NaN,
    unit: 'ms',
    aim: 'under 50',
  };
}

/** Consumers that have all loaded something, and as many leaves of the authority that is to go as a large fleet has had. */
async function fill({ store, ca }: Context, size: { consumers: number; leaves: number }): Promise<void> {
  const { ski } = ca.ring(ring).active;
  const now = Date.now();
  const series = (from: number, to: number): string =>
    `with recursive n(i) as (select ${String(from)} union all select i + 1 from n where i + 1 < ${String(to)})`;
  const { sql } = await import('kysely');
  for (let from = 0; from < size.leaves; from += rowsAtOnce) {
    const to = Math.min(size.leaves, from + rowsAtOnce);
    await store.write(async ({ db }) => {
      await sql`${sql.raw(series(from, to))} insert into ledger (serial, ring, ski, epoch, profile, subject, names, key_id,
        not_before, not_after, requester, state, created_at)
        select printf('40%030x', i), ${ring}, ${ski}, 1, 'kubernetes.io/kube-apiserver-client-kubelet', 'CN=n', '[]', 'k',
        ${now}, ${now + 2_592_000_000} + i, 'r', 'issued', ${now} from n`.execute(db);
      await sql`${sql.raw(series(from, to))} insert into certificates (serial, ring, ski, profile, subject, common_name, node,
        key_id, fingerprint, not_before, not_after, der, requester, issued_at)
        select printf('40%030x', i), ${ring}, ${ski}, 'kubernetes.io/kube-apiserver-client-kubelet', 'CN=n',
        'system:node:n' || (i % 10000), 'n' || (i % 10000), 'k', 'f' || i, ${now}, ${now + 2_592_000_000} + i, x'00', 'r',
        ${now} from n`.execute(db);
    });
  }
  await store.write(async ({ db }) => {
    await sql`${sql.raw(series(0, size.consumers))} insert into consumers (name, class, node, source, state, process,
      process_started_at, last_seen_at, lease_ms, software, endpoints, algorithms, created_at, created_by, revision)
      select 'kubelet/n' || i, 'kubelet', 'n' || i, 'issued', 'live', 'p' || i, ${now}, ${now}, 86400000, '', '[]', '[]', ${now},
      'bench', 1 from n`.execute(db);
    await sql`${sql.raw(series(0, size.consumers))} insert into consumer_rings (ring, consumer, verifies, presents, joiner,
      delivered, loaded, evidence, clean, process, acknowledged_at, detail)
      select ${ring}, 'kubelet/n' || i, 1, 1, 0, 1, 1, 'restart', 1, 'p' || i, ${now}, '{}' from n`.execute(db);
  });
}
