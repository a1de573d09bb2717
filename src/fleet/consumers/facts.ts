import type { Kysely } from 'kysely';

import type { Topology } from '../../config/types.js';
import type { VerifierClassFact, VerifierFact } from '../../rotation/types.js';
import { type AttestationRow, liveAttestations } from '../../store/queries/attestations.js';
import { readVerifierRows, type VerifierRow } from '../../store/queries/consumer-rings.js';
import { findKeySet } from '../../store/queries/key-sets.js';
import type { Schema } from '../../store/schema.js';
import { classesOf, type Minimums, type VerifyingClass, verifyingIn } from './classes.js';
import { partsOf } from './names.js';
import type { VerifierFacts } from './types.js';

export type FactsQuery = {
  readonly ring: string;
  readonly topology: Topology;
  /** Milliseconds. */
  readonly now: number;
  /** By class, where another evidence is demanded than the class's own. */
  readonly minimumByClass?: Minimums;
};

/** Attestations that may be about consumers of one class, and by name. */
type Attested = {
  readonly ofClass: AttestationRow | undefined;
  readonly streamsEnded: number | undefined;
};

/**
 * What gates go by: everybody who verifies certificates of the ring, and each class that should. As many queries for many
 * consumers as for one.
 */
export async function readVerifiers(db: Kysely<Schema>, query: FactsQuery): Promise<VerifierFacts> {
  const { ring, topology, now, minimumByClass = {} } = query;
  const [rows, attestations, keySet] = await Promise.all([
    readVerifierRows(db, { ring, now }),
    liveAttestations(db, { ring, now }),
    findKeySet(db, ring),
  ]);
  const expected = classesOf(topology, ring, { minimums: minimumByClass, signingKeys: keySet !== undefined });
  const classes = new Map(expected.map((known) => [known.class, known]));
  const registered = new Map<string, number>();
  for (const { name } of rows) {
    const of = partsOf(name).class;
    if (!classes.has(of)) classes.set(of, verifyingIn(topology, ring, of, minimumByClass));
    registered.set(of, (registered.get(of) ?? 0) + 1);
  }
  const attested = new Map([...classes.values()].map((known) => [known.class, attestedOf(known, attestations)]));
  const named = byConsumer(attestations);
  const algorithms = new Map<string, readonly string[]>();
  const verifiers = rows.map((row) => {
    const of = partsOf(row.name).class;
    const known = classes.get(of) ?? verifyingIn(topology, ring, of, minimumByClass);
    return verifierOf(row, { known, ofClass: attested.get(of), own: named.get(row.name), algorithms });
  });
  return {
    verifiers,
    classes: [...classes.values()].map((known) =>
      classFact(known, registered.get(known.class) ?? 0, attested.get(known.class)),
    ),
  };
}

function byConsumer(attestations: readonly AttestationRow[]): ReadonlyMap<string, readonly AttestationRow[]> {
  const named = new Map<string, AttestationRow[]>();
  for (const row of attestations) {
    if (row.consumer === null) continue;
    const known = named.get(row.consumer);
    if (known === undefined) named.set(row.consumer, [row]);
    else known.push(row);
  }
  return named;
}

/** The newest word counts; that something is loaded only where the class may be attested. */
function attestedOf(known: VerifyingClass, attestations: readonly AttestationRow[]): Attested {
  const about = attestations.filter((row) => row.class === known.class);
  const loads = known.accepted.includes('attestation');
  return {
    ofClass: about.findLast(({ statement }) => statement === 'absent' || (statement === 'loaded' && loads)),
    streamsEnded: about.findLast(({ statement }) => statement === 'streams-ended')?.created_at,
  };
}

function classFact(known: VerifyingClass, registered: number, attested: Attested | undefined): VerifierClassFact {
  const row = attested?.ofClass;
  return {
    class: known.class,
    description: known.description,
    minimum: known.minimum,
    registered,
    attestation:
      row === undefined || row.statement === 'streams-ended'
        ? undefined
        : {
            id: row.id,
            statement: row.statement,
            generation: row.generation ?? 0,
            by: row.by,
            expiresAt: row.expires_at,
          },
    streams: known.streams,
    streamsEndedAt: attested?.streamsEnded,
    remedy: known.remedy,
  };
}

type Judging = {
  readonly known: VerifyingClass;
  readonly ofClass: Attested | undefined;
  readonly own: readonly AttestationRow[] | undefined;
  /** The same few lists again and again: each is parsed once. */
  readonly algorithms: Map<string, readonly string[]>;
};

function verifierOf(row: VerifierRow, judging: Judging): VerifierFact {
  const { known } = judging;
  const evidence = row.evidence ?? undefined;
  const counts = evidence !== undefined && row.present === 1 && known.accepted.includes(evidence);
  const loaded = counts ? row.loaded : 0;
  const attested = attestedFact(row, loaded, judging);
  return {
    name: row.name,
    class: known.class,
    loaded: attested?.generation ?? loaded,
    evidence: attested === undefined ? evidence : 'attestation',
    acknowledgedAt: attested?.created_at ?? row.acknowledgedAt ?? undefined,
    clean: attested !== undefined || row.clean === 1,
    joiner: attested === undefined && row.joiner === 1,
    silentSince: row.silentSince ?? undefined,
    clockSkewMs: row.clockSkewMs ?? undefined,
    algorithms: algorithmsOf(row.algorithms, judging.algorithms),
    streamsSince: streamsOf(row, judging),
  };
}

/**
 * What a person attested, where that says more than what was seen. Not for who joined since, nor against what the consumer
 * itself has shown since.
 */
function attestedFact(row: VerifierRow, loaded: number, { known, ofClass, own }: Judging): AttestationRow | undefined {
  if (own === undefined && ofClass?.ofClass === undefined) return undefined;
  if (!known.accepted.includes('attestation')) return undefined;
  const mine = own?.findLast(({ statement }) => statement === 'loaded');
  const found = mine ?? ofClass?.ofClass;
  if (found?.statement !== 'loaded' || (found.generation ?? 0) <= loaded) return undefined;
  return found.created_at < row.registeredAt || found.created_at < (row.acknowledgedAt ?? 0) ? undefined : found;
}

function algorithmsOf(text: string, parsed: Map<string, readonly string[]>): readonly string[] {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const list = JSON.parse(text) as string[];
  parsed.set(text, list);
  return list;
}

/** No connection is older than its process; where neither is known, nor is a person's word, nothing is. */
function streamsOf({ began, streamsSince }: VerifierRow, { own }: Judging): number | undefined {
  const ended = own?.findLast(({ statement }) => statement === 'streams-ended')?.created_at;
  const since = Math.max(began ?? 0, streamsSince ?? 0, ended ?? 0);
  return since > 0 ? since : undefined;
}
