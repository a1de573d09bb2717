import { randomUUID } from 'node:crypto';

import type { Clock } from '../clock.js';
import { findLease, putLease } from './queries/leases.js';
import type { Store, WriteTx } from './types.js';

/** The right to do something that one replica at a time does. */
export type Lease = {
  /** Takes or renews it; undefined while another replica has it. */
  take(): Promise<Held | undefined>;
  /** Gives it back, so that another replica need not wait for its end. */
  release(): Promise<void>;
};

export type Held = {
  readonly epoch: number;
  /** The latest time that any holder saw before this one, milliseconds; undefined when there was none. */
  readonly seenAt: number | undefined;
};

type Options = { readonly store: Store; readonly clock: Clock; readonly name: string; readonly ttlMs: number };

/**
 * A lease kept in the database, so that it needs no connection of its own. A holder that died is succeeded once the
 * lease ends; clocks that differ can only make that sooner, and `holds` in every write of a holder keeps one that was
 * succeeded from writing.
 */
export function createLease({ store, clock, name, ttlMs }: Options): Lease {
  // One process at a time has a SQLite store: what a crashed one held is this one's.
  const holder = store.engine === 'sqlite' ? 'this-process' : randomUUID();
  return {
    take: () =>
      store.write(async ({ db }) => {
        const now = clock.now().getTime();
        const row = await findLease(db, name);
        if (row !== undefined && row.holder !== holder && row.expires_at > now && row.expires_at <= now + ttlMs)
          return undefined;
        const epoch = row === undefined ? 1 : row.holder === holder ? row.epoch : row.epoch + 1;
        await putLease(db, { name, holder, epoch, expires_at: now + ttlMs, seen_at: now });
        return { epoch, seenAt: row?.seen_at };
      }),
    release: () =>
      store.write(async ({ db }) => {
        const row = await findLease(db, name);
        if (row?.holder === holder) await putLease(db, { ...row, expires_at: 0 });
      }),
  };
}

/** Whether the lease is still the one of this epoch, as this transaction sees it. */
export async function holds(tx: WriteTx, name: string, epoch: number): Promise<boolean> {
  return (await findLease(tx.db, name))?.epoch === epoch;
}
