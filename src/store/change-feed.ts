import type { Kysely } from 'kysely';
import type { Logger } from 'pino';

import { RotundaError } from '../errors.js';
import type { Committed } from './group-commit.js';
import { changeFloor, currentRevision, listChanges } from './queries/changes.js';
import type { Schema } from './schema.js';
import type { Change, ChangeFeed } from './types.js';

type Listener = (change: Change) => void;

type Subscriber = {
  readonly resource: string;
  readonly name: string | undefined;
  readonly listener: Listener;
  position: number;
};

/** Changes kept in memory: a watch that begins where a list just ended is served without a query. */
const remembered = 4_000;
/** Rows per query of a replay. */
const pageSize = 500;
/** Between attempts to read the log while the database is away. */
const retryMs = 500;

export type Feed = ChangeFeed & {
  /** A batch of this process was committed. */
  readonly committed: (batch: Committed) => void;
  /** Somebody has committed up to `revision`: read what is missing. */
  advance(revision: number): void;
  close(): void;
};

/** Starts where the database is now. */
export async function createFeed(options: { db: Kysely<Schema>; logger: Logger }): Promise<Feed> {
  const { db, logger } = options;
  const subscribers = createIndex();
  const memory = createMemory(await currentRevision(db));
  let wanted = memory.newest();
  let pumping = false;
  const life = { closed: false };

  const deliver = (changes: readonly Change[], upTo: number): void => {
    memory.append(changes, upTo);
    for (const change of changes) {
      for (const subscriber of subscribers.of(change)) hand(subscriber, change, logger);
    }
  };
  /** Reads the log up to what is wanted. Commits become visible in the order of their revisions, so no row can be late. */
  const pump = async (): Promise<void> => {
    pumping = true;
    while (!life.closed && memory.newest() < wanted) {
      try {
        const upTo = wanted;
        const changes = await listChanges(db, { after: memory.newest(), upTo, limit: pageSize });
        deliver(changes, changes.length < pageSize ? upTo : (changes.at(-1)?.revision ?? upTo));
      } catch (error) {
        logger.warn({ err: error }, 'the change log cannot be read; trying again');
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
    }
    pumping = false;
  };
  const advance = (revision: number): void => {
    if (revision > wanted) wanted = revision;
    if (!pumping && memory.newest() < wanted) void pump();
  };
  return {
    current: memory.newest,
    advance,
    committed(batch) {
      if (!pumping && memory.newest() === batch.before) {
        wanted = Math.max(wanted, batch.after);
        deliver(batch.changes, batch.after);
      }
      advance(batch.after);
    },
    async subscribe({ resource, name, after }, listener) {
      const subscriber: Subscriber = { resource, name, listener, position: after };
      await replay(db, memory, subscriber, logger, subscribers.add);
      return {
        close: () => {
          subscribers.remove(subscriber);
        },
      };
    },
    close() {
      life.closed = true;
    },
  };
}

/**
 * Hands the subscriber everything up to what is delivered, then lets it go live. The last look at the memory and
 * `goLive` happen in one turn, so that no delivery comes between them.
 */
async function replay(
  db: Kysely<Schema>,
  memory: Memory,
  subscriber: Subscriber,
  logger: Logger,
  goLive: (subscriber: Subscriber) => void,
): Promise<void> {
  for (;;) {
    const recent = memory.since(subscriber.position);
    if (recent !== undefined) {
      for (const change of recent) if (matches(subscriber, change)) hand(subscriber, change, logger);
      goLive(subscriber);
      return;
    }
    const { resource, name, position } = subscriber;
    const upTo = memory.newest();
    const scope = name === undefined ? { resource } : { resource, name };
    const changes = await listChanges(db, { after: position, upTo, limit: pageSize, ...scope });
    // Read after the page: had pruning taken anything of it, the floor would tell.
    if ((await changeFloor(db)) > position) {
      throw new RotundaError(
        'expired',
        `The history of changes no longer reaches back to revision ${String(position)}`,
      );
    }
    for (const change of changes) hand(subscriber, change, logger);
    if (changes.length < pageSize) subscriber.position = Math.max(subscriber.position, upTo);
  }
}

function hand(subscriber: Subscriber, change: Change, logger: Logger): void {
  if (change.revision <= subscriber.position) return;
  subscriber.position = change.revision;
  try {
    subscriber.listener(change);
  } catch (error) {
    logger.error({ err: error, resource: change.resource }, 'a subscriber of changes failed');
  }
}

function matches(subscriber: Subscriber, change: Change): boolean {
  return subscriber.resource === change.resource && (subscriber.name === undefined || subscriber.name === change.name);
}

type Memory = {
  readonly newest: () => number;
  append(changes: readonly Change[], upTo: number): void;
  /** All changes above `revision`, or undefined when memory does not reach back to it. */
  since(revision: number): readonly Change[] | undefined;
};

function createMemory(start: number): Memory {
  let changes: Change[] = [];
  let reachesBackTo = start;
  let newest = start;
  return {
    newest: () => newest,
    append(more, upTo) {
      changes.push(...more);
      newest = upTo;
      if (changes.length <= 2 * remembered) return;
      const dropped = changes.length - remembered;
      reachesBackTo = changes[dropped - 1]?.revision ?? reachesBackTo;
      changes = changes.slice(dropped);
    },
    since(revision) {
      if (revision < reachesBackTo) return undefined;
      const first = changes.findLastIndex((change) => change.revision <= revision) + 1;
      return changes.slice(first);
    },
  };
}

type SubscriberIndex = {
  readonly add: (subscriber: Subscriber) => void;
  remove(subscriber: Subscriber): void;
  of(change: Change): Iterable<Subscriber>;
};

/** Finds the subscribers of a change by its object, so that thousands who wait for others cost nothing. */
function createIndex(): SubscriberIndex {
  const sets = new Map<string, Set<Subscriber>>();
  const key = (resource: string, name: string | undefined): string =>
    name === undefined ? resource : `${resource}\0${name}`;
  return {
    add(subscriber) {
      const at = key(subscriber.resource, subscriber.name);
      const set = sets.get(at);
      if (set === undefined) sets.set(at, new Set([subscriber]));
      else set.add(subscriber);
    },
    remove(subscriber) {
      const at = key(subscriber.resource, subscriber.name);
      const set = sets.get(at);
      set?.delete(subscriber);
      if (set?.size === 0) sets.delete(at);
    },
    *of(change) {
      // Copies: a listener may close its subscription, or another's.
      for (const at of [change.resource, key(change.resource, change.name)]) {
        const set = sets.get(at);
        if (set !== undefined) yield* [...set];
      }
    },
  };
}
