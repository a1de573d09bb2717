import type { Clock } from '../clock.js';
import type { CleanStep, Fence } from '../csr/types.js';
import type { Consumers } from '../fleet/consumers/types.js';
import type { Store } from '../store/types.js';

/** How long a replica that is gone is still listed. */
const keptMs = 86_400_000;
const stepSize = 100;

type Options = { readonly store: Store; readonly clock: Clock; readonly consumers: Pick<Consumers, 'pruneReplicas'> };

/** Forgets replicas that have been gone for a day, in steps: where several share a database each start is another one. */
export function pruneReplicas({ store, clock, consumers }: Options) {
  return async (fence: Fence): Promise<CleanStep> => {
    const before = clock.now().getTime() - keptMs;
    const deleted = await store.write(async (tx) =>
      (await fence(tx)) ? consumers.pruneReplicas(tx, { before, limit: stepSize }) : 0,
    );
    return { deleted, more: deleted === stepSize };
  };
}
