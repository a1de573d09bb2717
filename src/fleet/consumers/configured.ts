import type { ConsumerRingRow } from '../../store/queries/consumer-rings.js';
import { namesOfSource } from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { ringsOfClass } from './classes.js';
import { fullName } from './names.js';
import { readDraft } from './drafts.js';
import { register, removeConsumer } from './registering.js';
import { type ConsumersRoom, mustFind, service } from './room.js';
import type { ConfiguredConsumer, ConsumerDraft, RingRole } from './types.js';

/**
 * Registers what the configuration lists. What it listed before and lists no more is dropped; what came to be otherwise,
 * and is only described by it, stays.
 */
export async function syncConfigured(
  room: ConsumersRoom,
  tx: WriteTx,
  configured: readonly ConfiguredConsumer[],
): Promise<void> {
  const listed = new Set(configured.map(fullName));
  for (const one of configured)
    await register(room, tx, readDraft(draftOf(room, one)), { actor: service, source: 'configuration' });
  for (const name of await namesOfSource(tx.db, 'configuration'))
    if (!listed.has(name)) await removeConsumer(room, tx, (await mustFind(tx.db, name)).row, service);
}

function draftOf({ topology }: ConsumersRoom, one: ConfiguredConsumer): ConsumerDraft {
  const { class: of, name, node, endpoints, software, rings } = one;
  return {
    ...{ class: of, name, endpoints },
    ...(node !== undefined && { node }),
    ...(software !== undefined && { software }),
    ...(rings !== undefined && { rings: rolesOf(rings, ringsOfClass(topology, of) ?? []) }),
  };
}

/** Verifies what is listed; what its class presents it presents. */
function rolesOf(rings: readonly ConsumerRingRow['ring'][], ofClass: readonly RingRole[]): RingRole[] {
  const presented = new Set(ofClass.filter(({ presents }) => presents).map(({ ring }) => ring));
  return [...new Set([...rings, ...presented])].map((ring) => ({
    ring,
    verifies: rings.includes(ring),
    presents: presented.has(ring),
  }));
}
