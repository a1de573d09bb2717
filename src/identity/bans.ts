import type { Clock } from '../clock.js';
import { deleteBan, insertBan, readBans } from '../store/queries/bans.js';
import type { Change, Store, WriteTx } from '../store/types.js';
import type { Ban, Bans } from './types.js';

/** The change log's name for bans, so that every replica hears of one as soon as it is durable. */
const resource = 'bans';

type Known = { readonly ban: Ban | undefined; readonly revision: number };
/** By ring, then by value: looked up on every request. */
type Index = Map<string, Map<string, Known>>;

/**
 * Bans in memory, written through. A change counts in this process when its transaction commits, and in the other
 * replicas when the change feed delivers it; each carries its revision, so that a late echo never undoes a newer one.
 */
export async function createBans(options: { store: Store; clock: Clock }): Promise<Bans> {
  const { store } = options;
  const index: Record<Ban['kind'], Index> = { serial: new Map(), identity: new Map() };
  const apply = (key: Pick<Ban, 'kind' | 'ring' | 'value'>, known: Known): void => {
    const ring = index[key.kind].get(key.ring) ?? new Map<string, Known>();
    index[key.kind].set(key.ring, ring);
    const before = ring.get(key.value);
    if (before === undefined || known.revision > before.revision) ring.set(key.value, known);
  };
  const publish = async (
    tx: WriteTx,
    type: 'ADDED' | 'DELETED',
    key: Pick<Ban, 'kind' | 'ring' | 'value'>,
    ban: Ban | undefined,
  ) => {
    const revision = tx.nextRevision();
    const object = JSON.stringify(ban ?? key);
    await tx.publish({
      revision,
      resource,
      name: `${key.kind}/${key.ring}/${key.value}`,
      type,
      object,
      previous: undefined,
    });
    tx.onCommit(() => {
      apply(key, { ban, revision });
    });
  };

  const after = await store.revision();
  for (const row of await readBans(store.db)) {
    const ban = {
      kind: row.kind,
      ring: row.ring,
      value: row.value,
      reason: row.reason,
      createdAt: row.created_at,
      createdBy: row.created_by,
    };
    apply(ban, { ban, revision: after });
  }
  await store.feed.subscribe({ resource, after }, (change) => {
    applyChange(change, apply);
  });

  return {
    isBanned: (ring, serial, commonName) =>
      index.serial.get(ring)?.get(serial)?.ban ?? index.identity.get(ring)?.get(commonName)?.ban,
    add: async (tx, ban) => {
      await insertBan(tx.db, {
        kind: ban.kind,
        ring: ban.ring,
        value: ban.value,
        reason: ban.reason,
        created_at: ban.createdAt,
        created_by: ban.createdBy,
      });
      await publish(tx, 'ADDED', ban, ban);
    },
    remove: async (tx, kind, ring, value) => {
      await deleteBan(tx.db, kind, ring, value);
      await publish(tx, 'DELETED', { kind, ring, value }, undefined);
    },
  };
}

function applyChange(change: Change, apply: (key: Ban, known: Known) => void): void {
  // Written by this module only, so its shape is known.
  const ban = JSON.parse(change.object) as Ban;
  apply(ban, { ban: change.type === 'DELETED' ? undefined : ban, revision: change.revision });
}
