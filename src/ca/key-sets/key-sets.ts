import { createHash, type JsonWebKey } from 'node:crypto';

import type { Kysely } from 'kysely';

import type { Audit } from '../../audit/types.js';
import type { Clock } from '../../clock.js';
import { invalid, RotundaError } from '../../errors.js';
import { findBundle, insertBundle } from '../../store/queries/bundles.js';
import {
  findKeySet,
  findSigningKey,
  insertKeySet,
  insertSigningKey,
  listKeySets,
  listSigningKeys,
  type SigningKeyRow,
} from '../../store/queries/key-sets.js';
import { findRing } from '../../store/queries/rings.js';
import type { Schema } from '../../store/schema.js';
import type { Store, WriteTx } from '../../store/types.js';
import { readSigningKey, type SigningKey } from './signing-key.js';

export type PublishedKey = SigningKey & {
  readonly state: SigningKeyRow['state'];
  readonly createdAt: number;
};

/** A ring of signing keys as it is published: who verifies tokens believes each of these. */
export type KeySet = {
  readonly ring: string;
  readonly generation: number;
  readonly digest: string;
  readonly active: string;
  readonly keys: readonly PublishedKey[];
};

export type KeySets = {
  /** Begins a ring with the key that is in use now. Throws 'already-exists', 'invalid'. */
  create(ring: string, publicKey: string, actor: string): Promise<KeySet>;
  list(): Promise<readonly KeySet[]>;
  /** Throws 'not-found'. */
  get(ring: string): Promise<KeySet>;
};

type Parts = { readonly store: Store; readonly clock: Clock; readonly audit: Audit };

/**
 * Rings of keys that sign tokens, such as the cluster's service-account keys. The private halves are born and stay where
 * they sign; here is what is published, and how it changes.
 */
export function createKeySets({ store, clock, audit }: Parts): KeySets {
  return Object.freeze({
    create: async (ring: string, publicKey: string, actor: string) => {
      const key = readSigningKey(publicKey, 'publicKey');
      await store.write(async (tx) => {
        const now = clock.now().getTime();
        await refuseTaken(tx, ring);
        await refuseKnownKey(tx.db, key.kid);
        await insertKeySet(tx.db, { ring, generation: 1, epoch: 1, active_key: key.kid, created_at: now });
        await insertSigningKey(tx.db, signingKeyRow(ring, key, 'active', now));
        await insertBundle(tx.db, keyBundle(ring, 1, [key], now));
        const detail = { kid: key.kid, algorithm: key.algorithm };
        await audit.record(tx, {
          action: 'keyset.created',
          actor,
          resource: 'keysets',
          name: ring,
          outcome: 'ok',
          detail,
          at: now,
        });
      });
      return readKeySet(store.db, ring);
    },
    list: async () => Promise.all((await listKeySets(store.db)).map(({ ring }) => readKeySet(store.db, ring))),
    get: (ring: string) => readKeySet(store.db, ring),
  });
}

async function refuseTaken({ db }: WriteTx, ring: string): Promise<void> {
  if ((await findRing(db, ring)) === undefined && (await findKeySet(db, ring)) === undefined) return;
  throw new RotundaError('already-exists', `there is a ring ${JSON.stringify(ring)} already`, {
    hint: 'its next key comes with rotunda rotation start',
  });
}

/** A key signs for one ring: tokens name it, and nothing else tells whose they are. Throws RotundaError 'invalid'. */
export async function refuseKnownKey(db: Kysely<Schema>, kid: string): Promise<void> {
  const known = await findSigningKey(db, kid);
  if (known === undefined) return;
  throw invalid([
    {
      field: 'publicKey',
      reason: 'FieldValueDuplicate',
      message: `the ring ${known.ring} has had the key ${kid} already`,
      hint: 'make another key pair, and send its public half',
    },
  ]);
}

/** The set as the database has it. Throws RotundaError 'not-found'. */
export async function readKeySet(db: Kysely<Schema>, ring: string): Promise<KeySet> {
  const row = await findKeySet(db, ring);
  const bundle = row && (await findBundle(db, ring, row.generation));
  if (row === undefined || bundle === undefined)
    throw new RotundaError('not-found', `there is no ring of signing keys ${JSON.stringify(ring)}`, {
      hint: 'rotunda keyset list shows them',
    });
  const published = JSON.parse(bundle.anchors) as string[];
  const rows = await listSigningKeys(db, ring);
  const keys = published.flatMap((kid) => rows.filter((key) => key.kid === kid).map(toPublished));
  return { ring, generation: row.generation, digest: bundle.digest, active: row.active_key, keys };
}

function toPublished(row: SigningKeyRow): PublishedKey {
  return {
    kid: row.kid,
    algorithm: row.algorithm as SigningKey['algorithm'],
    jwk: JSON.parse(row.jwk) as JsonWebKey,
    state: row.state,
    createdAt: row.created_at,
  };
}

export function signingKeyRow(
  ring: string,
  { kid, algorithm, jwk }: SigningKey,
  state: SigningKeyRow['state'],
  now: number,
): SigningKeyRow {
  const activatedAt = state === 'active' ? now : null;
  return {
    ...{ kid, ring, algorithm, jwk: JSON.stringify(jwk), state, tainted: 0 },
    ...{ created_at: now, activated_at: activatedAt, deactivated_at: null },
  };
}

/** A generation of the set: named by what it holds, whatever the order. */
export function keyBundle(
  ring: string,
  generation: number,
  keys: readonly Pick<SigningKey, 'kid' | 'jwk'>[],
  now: number,
) {
  const hash = createHash('sha256');
  for (const { kid, jwk } of [...keys].sort((a, b) => (a.kid < b.kid ? -1 : 1))) hash.update(kid + JSON.stringify(jwk));
  const anchors = JSON.stringify(keys.map(({ kid }) => kid));
  return { ring, generation, digest: `sha256:${hash.digest('hex')}`, anchors, created_at: now };
}
