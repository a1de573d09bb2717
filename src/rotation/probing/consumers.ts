import type { Kysely } from 'kysely';

import type { Clock } from '../../clock.js';
import type { Topology } from '../../config/types.js';
import { verifyingIn } from '../../fleet/consumers/classes.js';
import { listProbedConsumers } from '../../store/queries/probes.js';
import type { Store } from '../../store/types.js';
import type { Schema } from '../../store/schema.js';
import type { Facts } from '../types.js';
import { canBeAsked } from './coverage.js';
import type { ProbedConsumer } from './prober.js';

export type ConsumerSourceOptions = { readonly store: Store; readonly clock: Clock; readonly topology: Topology };

/** Where verifiers of a ring can be asked anything about its authorities: what the gates demand an answer of. */
export async function endpointsToAsk(
  db: Kysely<Schema>,
  { ring, now, topology }: { readonly ring: string; readonly now: number; readonly topology: Topology },
): Promise<Facts['endpoints']> {
  const rows = await listProbedConsumers(db, { ring, now });
  return rows
    .filter((row) => row.verifies === 1 && canBeAsked(row.class, verifyingIn(topology, ring, row.class).purposes))
    .flatMap(({ name, endpoints }) =>
      (JSON.parse(endpoints) as string[]).map((endpoint) => ({ consumer: name, endpoint })),
    );
}

/** The registered consumers of a ring that have endpoints. Only operators and the configuration give them any. */
export function probedConsumers({
  store,
  clock,
  topology,
}: ConsumerSourceOptions): (ring: string) => Promise<readonly ProbedConsumer[]> {
  return async (ring) => {
    const rows = await listProbedConsumers(store.db, { ring, now: clock.now().getTime() });
    return rows.map((row) => ({
      name: row.name,
      class: row.class,
      endpoints: JSON.parse(row.endpoints) as string[],
      process: row.process ?? undefined,
      software: row.software,
      verifies: row.verifies === 1 ? verifyingIn(topology, ring, row.class).purposes : undefined,
    }));
  };
}
