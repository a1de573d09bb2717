import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { isOutage, translateError } from './dialect.js';
import { openScratch, type Scratch, writeTx } from './scratch.js';
import type { Engine, WriteSession } from './session.js';
import type { Change, WriteTx } from './types.js';

/** What one commit brought. Revisions between `before` and `after` that no change carries belong to no watched object. */
export type Committed = { readonly before: number; readonly after: number; readonly changes: readonly Change[] };

export type GroupCommit = {
  readonly write: <T>(work: (tx: WriteTx) => Promise<T>) => Promise<T>;
  /** Refuses new writes and resolves when those that wait are through. */
  close(): Promise<void>;
};

type Options = {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly committed: (batch: Committed) => void;
};

type Job = {
  readonly work: (tx: WriteTx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
};

type Outcome = { readonly job: Job } & (
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }
);

/** Everything in the transaction has to be undone. */
function undone(cause?: unknown): Error {
  return new Error('a work failed after it had written', { cause });
}

/** Works per transaction: beyond this the fsync is spread thin enough, and one caller's wait stays short. */
const largestBatch = 64;

/** How long the first work of a batch waits at most while the event loop is busy with other things, milliseconds. */
const longestWaitMs = 25;
/** A turn of the event loop that took no longer had nothing to do, milliseconds. */
const idleTurnMs = 0.1;

/**
 * Runs many works, one after the other, in one transaction with one fsync. A batch begins when the event loop has nothing
 * else to do, is full, or has waited long enough: what a commit costs is shared by all that arrive meanwhile, and a single
 * caller does not wait. Those that arrive while a commit is under way form the next.
 */
export function createGroupCommit(options: Options): GroupCommit {
  const queue: Job[] = [];
  let scheduled = false;
  let closed = false;
  let idle: (() => void) | undefined;

  const run = async (): Promise<void> => {
    const jobs = queue.splice(0, largestBatch);
    await commitBatch(options, jobs);
    scheduled = queue.length > 0;
    if (scheduled) gather();
    else idle?.();
  };
  const gather = (): void => {
    let turn = performance.now();
    const deadline = turn + longestWaitMs;
    const look = (): void => {
      const now = performance.now();
      const idleTurn = now - turn < idleTurnMs;
      if (idleTurn || now >= deadline || queue.length >= largestBatch) {
        void run();
        return;
      }
      turn = now;
      setImmediate(look);
    };
    setImmediate(look);
  };
  return {
    write: <T>(work: (tx: WriteTx) => Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        if (closed) {
          reject(new RotundaError('unavailable', 'The store is closed'));
          return;
        }
        queue.push({ work, resolve: resolve as (value: unknown) => void, reject });
        if (scheduled) return;
        scheduled = true;
        gather();
      }),
    async close() {
      closed = true;
      if (scheduled) await new Promise<void>((resolve) => (idle = resolve));
    },
  };
}

/** Commits what the jobs do and settles every one of them. Never rejects. */
async function commitBatch(options: Options, jobs: readonly Job[]): Promise<void> {
  try {
    const batch = await attempt(options, jobs, 'together').catch((error: unknown) => {
      // Nothing was committed. Unless the database itself is away, one of the works is to blame: find it.
      if (isOutage(error)) throw error;
      return attempt(options, jobs, 'apart');
    });
    settle(options, batch);
  } catch (error) {
    const reason = translateError(error);
    for (const job of jobs) job.reject(reason);
  }
}

type Batch = {
  readonly outcomes: Outcome[];
  readonly effects: (() => void)[];
  readonly committed: Committed;
};

/**
 * One transaction over all jobs. `together` is the fast way: a work that fails before it wrote is left out, one that
 * fails later makes the whole attempt fail. `apart` puts a savepoint around each work and so can undo any of them alone.
 */
async function attempt(options: Options, jobs: readonly Job[], mode: 'together' | 'apart'): Promise<Batch> {
  return options.engine.transaction(async (db, session) => {
    const before = session.counter;
    const scratch = openScratch(options.clock);
    const tx = writeTx(db, session, scratch);
    const outcomes: Outcome[] = [];
    for (const job of jobs) {
      outcomes.push(
        await (mode === 'together' ? runTogether(job, tx, session, scratch) : runApart(job, tx, session, scratch)),
      );
    }
    session.commitAfter(scratch.flush(db));
    scratch.closed = true;
    scratch.changes.sort((a, b) => a.revision - b.revision);
    return {
      outcomes,
      effects: scratch.effects,
      committed: { before, after: session.counter, changes: scratch.changes },
    };
  });
}

async function runTogether(job: Job, tx: WriteTx, session: WriteSession, scratch: Scratch): Promise<Outcome> {
  const mark = scratch.mark(session);
  const writes = session.writes();
  try {
    const value = await job.work(tx);
    if (session.aborted()) throw undone();
    return { job, ok: true, value };
  } catch (error) {
    if (session.writes() !== writes || session.aborted()) throw undone(error);
    scratch.reset(session, mark);
    return { job, ok: false, error };
  }
}

async function runApart(job: Job, tx: WriteTx, session: WriteSession, scratch: Scratch): Promise<Outcome> {
  const mark = scratch.mark(session);
  await session.savepoint();
  try {
    const value = await job.work(tx);
    await scratch.flush(tx.db);
    await session.releaseSavepoint();
    return { job, ok: true, value };
  } catch (error) {
    scratch.reset(session, mark);
    await session.rollbackToSavepoint();
    return { job, ok: false, error };
  }
}

function settle(options: Options, batch: Batch): void {
  for (const effect of batch.effects) {
    try {
      effect();
    } catch (error) {
      options.logger.error({ err: error }, 'an effect after a commit failed');
    }
  }
  options.committed(batch.committed);
  for (const outcome of batch.outcomes) {
    if (outcome.ok) outcome.job.resolve(outcome.value);
    else outcome.job.reject(translateError(outcome.error));
  }
}
