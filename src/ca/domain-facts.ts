import type { Kysely } from 'kysely';

import { RotundaError } from '../errors.js';
import type { DomainFacts, DomainQuestion } from '../rotation/domain.js';
import type { AuthorityFact, AuthorityUse } from '../rotation/types.js';
import { countInFlight, countLiveLeaves, mostCounted, sampleLiveLeaves } from '../store/queries/authority-use.js';
import { findBundle } from '../store/queries/bundles.js';
import { findRing } from '../store/queries/rings.js';
import { certificatesOfRing, findAuthority, type RingCertificateRow } from '../store/queries/ring-changes.js';
import type { Schema } from '../store/schema.js';

const samples = 20;

/** Everything that the state machine asks of a ring, from the database and not from what this process remembers. */
export async function readDomainFacts(db: Kysely<Schema>, asked: DomainQuestion): Promise<DomainFacts> {
  const { ring: name, oldKey, newKey, now } = asked;
  const ring = await findRing(db, name);
  if (ring === undefined) throw new RotundaError('not-found', `there is no ring ${JSON.stringify(name)}`);
  const certificates = await certificatesOfRing(db, name);
  const bundle = await findBundle(db, name, ring.generation);
  const published = new Set(JSON.parse(bundle?.anchors ?? '[]') as string[]);
  const anchors = certificates.filter(({ fingerprint }) => published.has(fingerprint)).map(({ ski }) => ski);
  return {
    ring: {
      name,
      epoch: ring.epoch,
      generation: ring.generation,
      active: ring.active_ski,
      frozen: ring.frozen !== 0,
      anchors: [...new Set(anchors)],
    },
    old: await authorityFact(db, oldKey, certificates),
    new: await authorityFact(db, newKey, certificates),
    oldUse: await useOf(db, oldKey, now),
    newUse: oldKey === newKey ? nothing : await useOf(db, newKey, now),
  };
}

const nothing: AuthorityUse = { live: 0, liveIsExact: true, samples: [], inFlight: 0, latestNotAfter: undefined };

async function authorityFact(
  db: Kysely<Schema>,
  ski: string,
  certificates: readonly RingCertificateRow[],
): Promise<AuthorityFact | undefined> {
  const row = await findAuthority(db, ski);
  const own = certificates.filter(
    (certificate) => certificate.ski === ski && (certificate.kind === 'self-signed' || certificate.kind === 'reissued'),
  );
  const newest = own.at(-1);
  if (row === undefined || newest === undefined) return undefined;
  return {
    key: ski,
    state: row.state,
    tainted: row.tainted !== 0,
    hasKey: row.wrapped_key !== null,
    sealed: row.sealed !== 0,
    keyType: row.key_type,
    notBefore: newest.not_before,
    notAfter: newest.not_after,
  };
}

async function useOf(db: Kysely<Schema>, ski: string, now: number): Promise<AuthorityUse> {
  const live = await countLiveLeaves(db, ski, now);
  const inFlight = await countInFlight(db, ski);
  if (live === 0) return { ...nothing, inFlight };
  const rows = await sampleLiveLeaves(db, ski, now, samples);
  return {
    live: Math.min(live, mostCounted),
    liveIsExact: live <= mostCounted,
    inFlight,
    latestNotAfter: rows[0]?.not_after,
    samples: rows.map((row) => ({
      serial: row.serial,
      profile: row.profile,
      commonName: row.common_name,
      notAfter: row.not_after,
      replaced: row.superseded_by !== null,
    })),
  };
}
