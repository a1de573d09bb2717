import { holdersByName, insertEnrolled, insertMissingRings } from '../../store/queries/consumer-holders.js';
import type { WriteTx } from '../../store/types.js';
import { builtInClasses } from './built-in-classes.js';
import { ringsOfClass } from './classes.js';
import { consumerOf } from './identities.js';
import { registerJoiner } from './joining.js';
import { type ConsumersRoom, nowOf, record, service } from './room.js';
import type { HolderConsumer } from './types.js';

/**
 * Who holds a live certificate and is neither a node nor an etcd member: people, programs, control planes. Read outside a
 * write, because a large inventory takes a moment.
 */
export async function readHolders(room: ConsumersRoom): Promise<readonly HolderConsumer[]> {
  const { store, topology } = room;
  const found = new Map<string, HolderConsumer>();
  for (const row of await holdersByName(store.db, store.engine, nowOf(room))) {
    const held = { ring: row.ring, profile: row.profile, commonName: row.common_name, notAfter: row.not_after };
    const holder = consumerOf(held, topology);
    if (holder === undefined) continue;
    const name = `${holder.class}/${holder.name}`;
    const known = found.get(name);
    if (known === undefined || (known.expiresAt ?? Infinity) < (holder.expiresAt ?? Infinity)) found.set(name, holder);
  }
  return [...found.values()];
}

/**
 * Everybody who has joined, or holds a certificate, and is not registered: from before consumers were kept. Nothing is known
 * of what they have loaded, so that gates wait for each. Answers how many nodes and members there were.
 */
export async function registerEnrolled(
  room: ConsumersRoom,
  tx: WriteTx,
  holders: readonly HolderConsumer[],
): Promise<number> {
  const now = nowOf(room);
  const count = await insertEnrolled(tx.db, { now, by: service, revision: tx.nextRevision() });
  for (const holder of holders) await registerJoiner(room, tx, { ...holder, source: 'enrolled', joinerIn: [] });
  for (const { name } of builtInClasses)
    for (const role of ringsOfClass(room.topology, name) ?? [])
      await insertMissingRings(tx.db, { class: name, ...role });
  if (count > 0) {
    const detail = { count, holders: holders.length };
    await record(room, tx, { action: 'consumers.enrolled', name: '', actor: service, detail, now });
  }
  return count;
}
