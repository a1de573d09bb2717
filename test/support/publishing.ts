import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import { createTrustDomain } from '../../src/ca/trust-domain.js';
import type { CaKeyType } from '../../src/ca/types.js';
import type { Context } from '../../src/context.js';
import type { DomainChange } from '../../src/rotation/domain.js';

/** Changes of rings as a rotation makes them, one at a time, without its gates. */
export type Publishing = {
  /** A new authority of the ring, not published yet; its SKI. */
  stage(ring: string, keyType?: CaKeyType): Promise<string>;
  /** One change, committed and taken over by this process; the ring's generation then. */
  change(change: Omit<DomainChange, 'epoch'>): Promise<number>;
  /** The present bundle and a new authority beside; its SKI and the new generation. */
  addAuthority(
    ring: string,
    options?: { readonly keyType?: CaKeyType; readonly raiseFloor?: boolean },
  ): Promise<{ readonly ski: string; readonly generation: number }>;
};

export function publishing({ ca, store, kek, clock, random, config: { rings } }: Context): Publishing {
  const keys = createDatabaseKeyStore(kek);
  const domain = createTrustDomain({ ca, store, keys, clock, random, rings });
  const stage: Publishing['stage'] = async (ring, keyType) => {
    const successor = await domain.successor(ring, {
      crossSign: false,
      sameKey: false,
      ...(keyType === undefined ? {} : { keyType }),
    });
    await store.write((tx) => successor.store(tx, clock.now().getTime()));
    await ca.reload();
    return successor.key;
  };
  const change: Publishing['change'] = async (wanted) => {
    const prepared = await domain.prepare({ ...wanted, epoch: ca.ring(wanted.ring).epoch });
    const applied = await store.write((tx) => prepared.apply(tx, clock.now().getTime()));
    if (!applied) throw new Error(`the ring ${wanted.ring} is in another epoch`);
    await ca.reload();
    return prepared.generation;
  };
  return {
    stage,
    change,
    addAuthority: async (ring, { keyType, raiseFloor = false } = {}) => {
      const ski = await stage(ring, keyType);
      const present = ca.bundle(ring).anchors.map(({ subjectKeyId = '' }) => subjectKeyId);
      const generation = await change({ ring, anchors: [...present, ski], raiseFloor, states: { [ski]: 'trusted' } });
      return { ski, generation };
    },
  };
}
