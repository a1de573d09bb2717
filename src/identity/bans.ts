import { type BanRow, deleteBan, insertBan, readBans } from '../store/queries/bans.js';
import type { Change, Store, WriteTx } from '../store/types.js';
import type { Ban, Bans } from './types.js';

/** The change log's name for bans, so that every replica hears of one as soon as it is durable. */
const resource = 'bans';

type Key = Pick<Ban, 'kind' | 'ring' | 'value'>;
/** `ban` is undefined where one was lifted. */
type Known = { readonly ban: Ban | undefined; readonly revision: number };
type Memory = {
  readonly find: (key: Key) => Ban | undefined;
  readonly apply: (key: Key, known: Known) => void;
  /** Drops what is only known to be lifted: changes arrive in order, so no older one can follow. */
  readonly forget: (key: Key, revision: number) => void;
};

/**
 * Bans in memory, written through. A change counts in this process when its transaction commits, and in the other
 * replicas when the change feed delivers it; each carries its revision, so that a late echo never undoes a newer one.
 */
export async function createBans(options: { store: Store }): Promise<Bans> {
  const { store } = options;
  const memory = createMemory();
  const after = await store.revision();
  for (const row of await readBans(store.db)) {
    const ban = banOf(row);
    memory.apply(ban, { ban, revision: after });
  }
  await store.feed.subscribe({ resource, after }, (change) => {
    // Written by this module only, so its shape is known.
    const ban = JSON.parse(change.object) as Ban;
    const lifted = change.type === 'DELETED';
    if (lifted && ban.kind === 'serial') return;
    memory.apply(ban, { ban: lifted ? undefined : ban, revision: change.revision });
    if (lifted) memory.forget(ban, change.revision);
  });
  return {
    isBanned: (ring, serial, commonName) =>
      memory.find({ kind: 'serial', ring, value: serial }) ??
      memory.find({ kind: 'identity', ring, value: commonName }),
    add: async (tx, ban) => {
      await insertBan(tx.db, rowOf(ban));
      await publish(tx, memory, 'ADDED', ban, ban);
    },
    remove: async (tx, kind, ring, value) => {
      await deleteBan(tx.db, kind, ring, value);
      await publish(tx, memory, 'DELETED', { kind, ring, value }, undefined);
    },
  };
}

/** By kind, ring and value: looked up on every request. */
function createMemory(): Memory {
  const index: Record<Ban['kind'], Map<string, Map<string, Known>>> = { serial: new Map(), identity: new Map() };
  return {
    find: ({ kind, ring, value }) => index[kind].get(ring)?.get(value)?.ban,
    apply: ({ kind, ring, value }, known) => {
      const ofRing = index[kind].get(ring) ?? new Map<string, Known>();
      index[kind].set(ring, ofRing);
      const before = ofRing.get(value);
      if (before === undefined || known.revision > before.revision) ofRing.set(value, known);
    },
    forget: ({ kind, ring, value }, revision) => {
      const known = index[kind].get(ring)?.get(value);
      if (known !== undefined && known.ban === undefined && known.revision <= revision)
        index[kind].get(ring)?.delete(value);
    },
  };
}

async function publish(
  tx: WriteTx,
  memory: Memory,
  type: Change['type'],
  key: Key,
  ban: Ban | undefined,
): Promise<void> {
  const revision = tx.nextRevision();
  const name = `${key.kind}/${key.ring}/${key.value}`;
  await tx.publish({ revision, resource, name, type, object: JSON.stringify(ban ?? key), previous: undefined });
  // See Bans.remove.
  if (ban === undefined && key.kind === 'serial') return;
  tx.onCommit(() => {
    memory.apply(key, { ban, revision });
  });
}

function banOf(row: BanRow): Ban {
  const { kind, ring, value, reason, created_at: createdAt, created_by: createdBy } = row;
  return { kind, ring, value, reason, createdAt, createdBy };
}

function rowOf(ban: Ban): BanRow {
  const { kind, ring, value, reason, createdAt, createdBy } = ban;
  return { kind, ring, value, reason, created_at: createdAt, created_by: createdBy };
}
