import type { Insertable, Kysely, Transaction } from 'kysely';

import type { Schema } from './schema.js';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change of one watched object, in commit order. `object` and `previous` are JSON texts as in requests.object. */
export type Change = {
  readonly revision: number;
  readonly resource: string;
  readonly name: string;
  readonly type: ChangeType;
  readonly object: string;
  readonly previous: string | undefined;
};

/** What a write can use. All writers are serialised (one counter row), so read-check-write inside it has no race. */
export type WriteTx = {
  readonly db: Transaction<Schema>;
  /** Takes the next resourceVersion. */
  readonly nextRevision: () => number;
  /** Appends to the change log and, once committed, to the feed. Its revision comes from nextRevision. */
  readonly publish: (change: Change) => Promise<void>;
  /** Appends to the audit log. Nothing in a write reads that, so its rows are inserted together at the batch's end. */
  readonly appendAudit: (event: Insertable<Schema['audit_events']>) => void;
  /** Runs after the commit is durable, never when it fails. */
  readonly onCommit: (effect: () => void) => void;
};

export type Subscription = { close(): void };

/** The change log as it grows: every commit's changes, in order, once. */
export type ChangeFeed = {
  /**
   * Calls `listener` for each change with a revision above `after`, first from the log, then live, without a gap or a
   * repeat. With `name`, only that object's changes. Throws RotundaError 'expired' when the log no longer reaches back to `after`.
   */
  readonly subscribe: (
    options: { resource: string; name?: string; after: number },
    listener: (change: Change) => void,
  ) => Promise<Subscription>;
  /** The revision up to which everything has been delivered to subscribers. */
  readonly current: () => number;
};

export type Store = {
  readonly engine: 'sqlite' | 'postgres';
  /** For reads. Writing through it skips the group commit and is wrong. */
  readonly db: Kysely<Schema>;
  readonly feed: ChangeFeed;
  /**
   * Runs `work` in the next group commit and resolves when that is durable (one fsync for all that wait). `work` may run
   * more than once and must have no effect but its queries. When it throws before it wrote anything, only its own caller
   * sees the error; when it had written, its writes are undone.
   */
  readonly write: <T>(work: (tx: WriteTx) => Promise<T>) => Promise<T>;
  /** The newest committed revision. */
  revision(): Promise<number>;
  /** Resolves when the database answers; rejects otherwise. For /readyz. */
  ping(): Promise<void>;
  close(): Promise<void>;
};
