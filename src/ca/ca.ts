import type { Logger } from 'pino';

import type { Audit } from '../audit/types.js';
import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import { listRings } from '../store/queries/rings.js';
import type { Store } from '../store/types.js';
import { makeAuthority } from './authorities.js';
import { loadBundle } from './bundles.js';
import { createInventory } from './inventory.js';
import { createIssuing, serialNumber } from './issuing.js';
import { createDatabaseKeyStore } from './keys/key-store.js';
import type { KeyStore } from './keys/types.js';
import { createLedger } from './ledger.js';
import { missingRings, noteKeyTypes, settleKeyEncryptionKey, storeRings } from './rings.js';
import { createCanaries } from './canaries.js';
import { createRingChanges, followChanges, inTurn } from './ring-changes.js';
import type { Signer } from './signers.js';
import { loadState, type CaState } from './state.js';
import type { Ca, KeyEncryptionKey, Ring, RingConfig } from './types.js';

export type CaOptions = {
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly rings: readonly RingConfig[];
  /** The ring that may issue the reserved groups `rotunda:*`. Default `rotunda`. */
  readonly rotundaRing?: string;
  /** Where CA keys live. Default: in the database, under the key-encryption key. */
  readonly keys?: KeyStore;
  readonly logger: Logger;
};

/**
 * The rings of this service. The first start creates every configured ring, with one self-signed authority that signs
 * and bundle 1, in one transaction; later ones load what is there and create what the configuration has gained. Throws
 * RotundaError 'unavailable' for a key-encryption key that is not the database's, 'invalid' for a ring that the
 * configuration has lost.
 */
export async function createCa(options: CaOptions): Promise<Ca> {
  const { store, random, clock, logger } = options;
  const keys = options.keys ?? createDatabaseKeyStore(options.kek);
  await createMissing(options, keys);
  let state = await loadState(store, keys);
  noteKeyTypes(options.rings, state, logger);

  const changes = createRingChanges();
  const reload = inTurn(async () => {
    const before = state;
    state = await loadState(store, keys);
    changes.compare(before, state);
  });
  await followChanges(store, reload, logger);
  const ledger = createLedger({ store, clock });
  const find = <T>(map: ReadonlyMap<string, T>, ring: string): T => {
    const found = map.get(ring);
    if (found === undefined) throw new RotundaError('not-found', `there is no ring ${JSON.stringify(ring)}`);
    return found;
  };
  return Object.freeze({
    issuing: createIssuing({
      signer: (ring) => signerOf(find(state.rings, ring), state),
      ledger,
      random,
      clock,
      rotundaRing: options.rotundaRing ?? 'rotunda',
      onStale: () => {
        reload().catch((error: unknown) => {
          logger.error({ err: error }, 'the rings have changed and could not be read again');
        });
      },
    }),
    rings: () => [...state.rings.values()],
    ring: (name: string) => find(state.rings, name),
    authorities: (ring?: string) => authoritiesOf(state, ring),
    bundle: (ring: string) => find(state.bundles, ring),
    async bundleAt(ring: string, generation: number) {
      const current = find(state.bundles, ring);
      return current.generation === generation ? current : loadBundle(store.db, ring, generation);
    },
    certificates: createInventory(store),
    recover: () => ledger.recover(),
    reload,
    onChange: changes.listen,
    isTainted: (ski: string) => state.tainted.has(ski),
    canary: createCanaries({
      store,
      keys,
      clock,
      random,
      audit: options.audit,
      ledger,
      authorities: () => state.authorities,
      epoch: (ring) => find(state.rings, ring).epoch,
    }),
  });
}

function authoritiesOf(state: CaState, ring: string | undefined) {
  return ring === undefined ? state.authorities : state.authorities.filter((authority) => authority.ring === ring);
}

function signerOf(ring: Ring, state: CaState): Signer {
  const signer = ring.frozen ? undefined : state.signers.get(ring.name);
  if (signer !== undefined) return signer;
  throw new RotundaError(
    'unavailable',
    `nothing is signed for the ring ${ring.name} while its authority is being replaced`,
    {
      hint: `rotunda rotation explain shows how far that is`,
    },
  );
}

/** Keys are generated before the transaction, which holds all writers up. */
async function createMissing(
  { store, kek, clock, random, audit, rings, logger }: CaOptions,
  keys: KeyStore,
): Promise<void> {
  const existing = await store.write(async (tx) => {
    await settleKeyEncryptionKey(tx, kek);
    return listRings(tx.db);
  });
  const missing = missingRings(
    rings,
    existing.map((row) => row.name),
  );
  if (missing.length === 0) return;
  const now = clock.now().getTime();
  const made = await Promise.all(
    missing.map((ring) => makeAuthority(ring, 1, { keys, now, serial: serialNumber(random, now) })),
  );
  const stored = await store.write((tx) => storeRings(tx, made, { now, audit }));
  logger.info({ rings: stored }, stored.length > 0 ? 'rings created' : 'the rings were created by another replica');
}
