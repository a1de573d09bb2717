import { PostgresAdapter, sql } from 'kysely';

import type { Store, WriteTx } from '../../../src/store/types.js';

/** Where a process ends: at its `after`th write from now, before that is committed or right after it is durable. */
export type Crash = { readonly after: number; readonly durable: boolean };

export type Faults = {
  /** Resolves when the crash has come; from then on no write of this store is ever answered. */
  arm(crash: Crash): Promise<void>;
  disarm(): void;
  /** Writes that were begun so far. */
  writes(): number;
  /** Which of them, by number, left something changed. A write also reads what belongs together. */
  changes(): readonly number[];
};

/**
 * Lets a store die as its process would: who waits for the write never hears of it, and nothing that it would have done
 * afterwards happens. Wraps in place, because every room holds the store itself.
 */
export function withFaults(store: Store): Faults {
  const { write } = store;
  let count = 0;
  let dead = false;
  let armed: { readonly at: number; readonly durable: boolean; readonly crashed: () => void } | undefined;
  const changed: number[] = [];
  const watched: Store['write'] = (work) => {
    const number = count;
    return write(async (tx) => {
      const before = await marked(tx);
      const answer = await work(tx);
      if ((await marked(tx)) !== before) changed.push(number);
      return answer;
    });
  };
  const never = new Promise<never>(() => undefined);
  const faulty: Store['write'] = async (work) => {
    if (dead) return never;
    count += 1;
    if (armed?.at !== count) return watched(work);
    const { durable, crashed } = armed;
    dead = true;
    // What was queued before it is committed with it, or before it.
    await write(async (tx) => (durable ? work(tx) : undefined)).catch(() => undefined);
    crashed();
    return never;
  };
  Object.assign(store, { write: faulty });
  return {
    arm: ({ after, durable }) =>
      new Promise<void>((resolve) => {
        armed = { at: count + after, durable, crashed: resolve };
      }),
    disarm: () => {
      armed = undefined;
    },
    writes: () => count,
    changes: () => changed,
  };
}

/** Another text after anything was written. */
async function marked({ db }: WriteTx): Promise<string> {
  const isPostgres = db.getExecutor().adapter instanceof PostgresAdapter;
  const question = isPostgres
    ? sql<{
        mark: string | number;
      }>`select sum(n_tup_ins + n_tup_upd + n_tup_del) as mark from pg_stat_xact_user_tables`
    : sql<{ mark: string | number }>`select total_changes() as mark`;
  const { rows } = await question.execute(db);
  return String(rows[0]?.mark ?? '');
}
