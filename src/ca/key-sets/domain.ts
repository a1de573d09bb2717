import type { Kysely } from 'kysely';

import { invalid, RotundaError } from '../../errors.js';
import type { DomainChange, DomainFacts, DomainQuestion, PreparedChange, TrustDomain } from '../../rotation/domain.js';
import type { AuthorityFact } from '../../rotation/types.js';
import { insertBundle } from '../../store/queries/bundles.js';
import {
  changeKeySet,
  changeSigningKey,
  findKeySet,
  insertSigningKey,
  listSigningKeys,
  type SigningKeyRow,
} from '../../store/queries/key-sets.js';
import { ringChanges } from '../../store/queries/ring-changes.js';
import type { Schema } from '../../store/schema.js';
import type { Store, WriteTx } from '../../store/types.js';
import { keyBundle, readKeySet, refuseKnownKey, signingKeyRow } from './key-sets.js';
import { readSigningKey } from './signing-key.js';

const nothing = { live: 0, liveIsExact: true, samples: [], inFlight: 0, latestNotAfter: undefined };

/** Rings of signing keys, as a rotation changes them: published before use, retired after the last token. */
export function createKeySetDomain({ store }: { readonly store: Store }): TrustDomain {
  return Object.freeze({
    successor: async (ring: string, { publicKey }: Parameters<TrustDomain['successor']>[1]) => {
      await readKeySet(store.db, ring);
      if (publicKey === undefined)
        throw invalid([
          {
            field: 'publicKey',
            reason: 'FieldValueRequired',
            message: 'the next key is born where it signs: send its public half, PEM',
          },
        ]);
      const key = readSigningKey(publicKey, 'publicKey');
      await refuseKnownKey(store.db, key.kid);
      return {
        key: key.kid,
        crossSigned: false,
        store: async (tx: WriteTx, now: number) => insertSigningKey(tx.db, signingKeyRow(ring, key, 'staged', now)),
      };
    },
    prepare: (change: DomainChange) => prepare(store, change),
    facts: readFacts,
    reload: () => Promise.resolve(),
  });
}

async function prepare(store: Store, change: DomainChange): Promise<PreparedChange> {
  const { ring, epoch } = change;
  const current = await readKeySet(store.db, ring);
  const generation = current.generation + (change.anchors === undefined ? 0 : 1);
  return {
    generation,
    apply: async (tx, now) => {
      const signer = change.signer === undefined ? {} : { active_key: change.signer };
      if (!(await changeKeySet(tx.db, { ring, epoch }, { epoch: epoch + 1, generation, ...signer }))) return false;
      if (change.anchors !== undefined) await publish(tx, { ring, generation, kids: change.anchors, now });
      for (const [kid, state] of Object.entries(change.states ?? {}))
        await changeSigningKey(tx.db, kid, { state, ...timesOf(state, now) });
      if (change.destroy !== undefined) await changeSigningKey(tx.db, change.destroy, { state: 'destroyed' });
      const revision = tx.nextRevision();
      const object = JSON.stringify({ name: ring, generation, metadata: { resourceVersion: String(revision) } });
      await tx.publish({ revision, resource: ringChanges, name: ring, type: 'MODIFIED', object, previous: undefined });
      return true;
    },
  };
}

async function publish(
  tx: WriteTx,
  { ring, generation, kids, now }: { ring: string; generation: number; kids: readonly string[]; now: number },
): Promise<void> {
  const rows = await listSigningKeys(tx.db, ring);
  const keys = kids.map((kid) => {
    const row = rows.find((key) => key.kid === kid);
    if (row === undefined) throw new RotundaError('internal', `there is no key ${kid} in the ring ${ring}`);
    return { kid, jwk: JSON.parse(row.jwk) as Record<string, unknown> };
  });
  await insertBundle(tx.db, keyBundle(ring, generation, keys, now));
}

function timesOf(state: AuthorityFact['state'], now: number) {
  if (state === 'active') return { activated_at: now };
  return state === 'draining' ? { deactivated_at: now } : {};
}

async function readFacts(db: Kysely<Schema>, { ring, oldKey, newKey }: DomainQuestion): Promise<DomainFacts> {
  const set = await readKeySet(db, ring);
  const row = await findKeySet(db, ring);
  const rows = await listSigningKeys(db, ring);
  return {
    ring: {
      ...{ name: ring, epoch: row?.epoch ?? 0, generation: set.generation, active: set.active, frozen: false },
      anchors: set.keys.map(({ kid }) => kid),
    },
    old: factOf(rows, oldKey),
    new: factOf(rows, newKey),
    oldUse: nothing,
    newUse: nothing,
  };
}

function factOf(rows: readonly SigningKeyRow[], kid: string): AuthorityFact | undefined {
  const row = rows.find((key) => key.kid === kid);
  if (row === undefined) return undefined;
  return {
    ...{ key: kid, state: row.state, tainted: row.tainted !== 0, hasKey: false, sealed: false, keyType: 'ec-p256' },
    ...{ notBefore: 0, notAfter: Number.MAX_SAFE_INTEGER },
  };
}
