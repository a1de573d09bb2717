import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import { ringRotation } from '../config/rotation.js';
import type { Context } from '../context.js';
import { ringsOfClass } from '../fleet/consumers/classes.js';
import { endConsumer } from '../store/queries/replicas.js';

/**
 * A replica that says nothing for as long is not there any more, and holds up no gate: a dozen reports missed, and four
 * leases of a leader. By the clock of whoever leads, which may be ahead of the replica's by the longest skew: it is waited
 * for that much longer. One that comes back after that goes by its old bundle until it has read what changed; it signs
 * nothing meanwhile, for the ledger refuses a decision of an earlier epoch.
 */
const goneAfterMs = 60_000;
/** The same is said again this often. */
const againAfterMs = 15_000;

export type Replica = {
  /** Says which bundles this process goes by. */
  report(): Promise<void>;
  /** It serves no more. */
  leave(): Promise<void>;
};

/**
 * This process as a consumer: it verifies client certificates of its rings by what it has loaded, and a rotation must not
 * go on while one replica goes by an earlier bundle. It knows that about itself for certain.
 */
export function createReplica(context: Context): Replica {
  const { ca, consumers, store, clock, config } = context;
  const name = store.engine === 'sqlite' ? 'this' : `${hostname()}-${randomUUID().slice(0, 8)}`;
  const consumer = `rotunda/${name}`;
  const startedAt = clock.now().getTime();
  const process = { id: randomUUID(), startedAt };
  const rings = ringsOfClass(config.topology, 'rotunda') ?? [];
  const goneAfter = goneAfterMs + Math.max(0, ...rings.map(({ ring }) => skewOf(context, ring)));
  let said: { readonly at: number; readonly generations: string } | undefined;
  return {
    report: async () => {
      const now = clock.now().getTime();
      const generations = rings.map(({ ring }) => ca.bundle(ring).generation).join();
      const age = said?.generations === generations ? now - said.at : undefined;
      if (age !== undefined && age >= 0 && age < againAfterMs) return;
      const expiresAt = now + goneAfter;
      await store.write((tx) =>
        consumers.registerJoiner(tx, {
          class: 'rotunda',
          name,
          rings,
          source: 'service',
          leaseMs: goneAfter,
          joinerIn: [],
          expiresAt,
        }),
      );
      for (const { ring, verifies } of rings) {
        if (!verifies) continue;
        const { generation } = ca.bundle(ring);
        await consumers.prove(undefined, { consumer, ring, generation, evidence: 'in-process', process, clean: true });
      }
      said = { at: now, generations };
    },
    leave: async () => {
      const expiresAt = clock.now().getTime();
      await store.write((tx) => endConsumer(tx.db, consumer, expiresAt));
    },
  };
}

function skewOf({ config }: Context, ring: string): number {
  return ringRotation(config.rotation, ring).timing.longestSkew;
}
