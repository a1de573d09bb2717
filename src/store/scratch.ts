import type { Insertable } from 'kysely';

import type { Clock } from '../clock.js';
import { insertAuditEvents } from './queries/audit-events.js';
import { insertChanges } from './queries/changes.js';
import type { Schema } from './schema.js';
import type { WriteSession } from './session.js';
import type { Change, WriteTx } from './types.js';

type Mark = { readonly counter: number; readonly changes: number; readonly events: number; readonly effects: number };

/** What the works of one batch have asked for beside their own statements. */
export type Scratch = {
  readonly changes: Change[];
  readonly events: Insertable<Schema['audit_events']>[];
  readonly effects: (() => void)[];
  closed: boolean;
  mark(session: WriteSession): Mark;
  reset(session: WriteSession, mark: Mark): void;
  /** Inserts the changes and audit events that are not inserted yet. */
  flush(db: WriteTx['db']): Promise<void>;
};

export function openScratch(clock: Clock): Scratch {
  let changesDone = 0;
  let eventsDone = 0;
  const scratch: Scratch = {
    changes: [],
    events: [],
    effects: [],
    closed: false,
    mark: (session) => ({
      counter: session.counter,
      changes: scratch.changes.length,
      events: scratch.events.length,
      effects: scratch.effects.length,
    }),
    reset(session, mark) {
      session.counter = mark.counter;
      scratch.changes.length = mark.changes;
      scratch.events.length = mark.events;
      scratch.effects.length = mark.effects;
      changesDone = Math.min(changesDone, mark.changes);
      eventsDone = Math.min(eventsDone, mark.events);
    },
    async flush(db) {
      const createdAt = clock.now().getTime();
      const changes = scratch.changes
        .slice(changesDone)
        .map((change) => ({ ...change, previous: change.previous ?? null, created_at: createdAt }));
      const events = scratch.events.slice(eventsDone);
      changesDone = scratch.changes.length;
      eventsDone = scratch.events.length;
      await Promise.all([insertChanges(db, changes), insertAuditEvents(db, events)]);
    },
  };
  return scratch;
}

/** What one work is given. */
export function writeTx(db: WriteTx['db'], session: WriteSession, scratch: Scratch): WriteTx {
  const open = (): Scratch => {
    if (scratch.closed) throw new Error('a write was used after it ended');
    return scratch;
  };
  return {
    db,
    nextRevision() {
      open();
      session.counter += 1;
      return session.counter;
    },
    publish(change) {
      open().changes.push(change);
      return Promise.resolve();
    },
    appendAudit(event) {
      open().events.push(event);
    },
    onCommit(effect) {
      open().effects.push(effect);
    },
  };
}
