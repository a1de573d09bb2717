import { type FieldCause, invalid, RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import {
  type AttestationRow,
  findAttestation,
  insertAttestation,
  revokeAttestationRow,
} from '../../store/queries/attestations.js';
import { findConsumerRings, findRingBundle } from '../../store/queries/consumer-rings.js';
import { countOfClass, findConsumer } from '../../store/queries/consumers.js';
import { findKeySet } from '../../store/queries/key-sets.js';
import type { WriteTx } from '../../store/types.js';
import { cause, makeUid } from '../names.js';
import { publishedDigest, unknownRing } from './bundle-claims.js';
import { classesOf, type VerifyingClass, verifyingIn } from './classes.js';
import { checkLine, partsOf } from './names.js';
import { noSuchConsumer } from './records.js';
import { type ConsumersRoom, nowOf, record } from './room.js';
import type { Attestation, AttestationDraft } from './types.js';

export const attestationResource = 'attestations';
const shortestMs = 60_000;
/** A year: what a person has looked at is not true for ever. */
const longestMs = 365 * 86_400_000;

export function attestationOf(row: AttestationRow, now: number): Attestation {
  return {
    id: row.id,
    ring: row.ring,
    class: row.class ?? undefined,
    consumer: row.consumer ?? undefined,
    statement: row.statement,
    generation: row.generation ?? undefined,
    by: row.by,
    reason: row.reason,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
    state: row.revoked_at !== null ? 'revoked' : row.expires_at <= now ? 'expired' : 'live',
  };
}

/** A named person answers for what cannot be seen. Throws 'invalid', 'not-found', 'conflict'. */
export async function attest(
  room: ConsumersRoom,
  tx: WriteTx,
  draft: AttestationDraft,
  actor: Identity,
): Promise<Attestation> {
  checkShape(draft);
  const subject = await subjectOf(room, tx, draft);
  if (draft.statement === 'loaded') await checkLoaded(tx, draft, subject);
  const now = nowOf(room);
  if (draft.statement === 'absent') await checkAbsent(tx, draft, now);
  const row: AttestationRow = {
    id: makeUid(room.random),
    ring: draft.ring,
    class: draft.class ?? null,
    consumer: draft.consumer ?? null,
    statement: draft.statement,
    generation: draft.generation ?? null,
    by: actor.username,
    reason: draft.reason,
    created_at: now,
    expires_at: now + draft.ttlMs,
    revoked_at: null,
  };
  await insertAttestation(tx.db, row);
  await tell(room, tx, 'attestation.created', row, actor);
  return attestationOf(row, now);
}

function checkShape({ class: of, consumer, statement, generation, ttlMs, reason }: AttestationDraft): void {
  const causes: FieldCause[] = [...checkLine('reason', reason, 1, 1024)];
  const required = (field: string, message: string): void => {
    causes.push({ field, reason: 'FieldValueRequired', message: `Required value: ${message}` });
  };
  const forbidden = (field: string, message: string): void => {
    causes.push({ field, reason: 'FieldValueForbidden', message });
  };
  if (of === undefined && consumer === undefined) required('class', 'a class, or a consumer by name');
  if (of !== undefined && consumer !== undefined) forbidden('consumer', 'give a class or a consumer, not both');
  if (statement === 'absent' && consumer !== undefined)
    forbidden('consumer', 'a consumer that is registered is not absent: delete or quarantine it');
  if (statement === 'loaded' && generation === undefined) required('generation', 'which bundle is loaded');
  if (statement !== 'loaded' && generation !== undefined)
    forbidden('generation', `${statement} is not about a bundle's generation`);
  if (!Number.isSafeInteger(ttlMs) || ttlMs < shortestMs || ttlMs > longestMs)
    causes.push({
      field: 'ttlSeconds',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: an attestation holds for a minute at least and 365 days at most, and then ends',
    });
  if (causes.length > 0) throw invalid(causes, { resource: attestationResource, kind: 'Attestation' });
}

/** The class that it is about, as that verifies in the ring. */
async function subjectOf(
  { topology, minimums }: ConsumersRoom,
  tx: WriteTx,
  { ring, class: of, consumer }: AttestationDraft,
): Promise<VerifyingClass> {
  if ((await findRingBundle(tx.db, { ring, generation: 0 })) === undefined) throw invalid([unknownRing('ring', ring)]);
  if (consumer !== undefined) {
    if ((await findConsumer(tx.db, consumer)) === undefined) throw noSuchConsumer(consumer);
    const rings = await findConsumerRings(tx.db, consumer);
    if (!rings.some((row) => row.ring === ring && row.verifies === 1))
      throw invalid([cause('consumer', consumer, `it does not verify certificates of the ring ${ring}`)]);
    return verifyingIn(topology, ring, partsOf(consumer).class, minimums);
  }
  const expected = classesOf(topology, ring, { minimums, signingKeys: (await findKeySet(tx.db, ring)) !== undefined });
  const found = expected.find((known) => known.class === of);
  if (found !== undefined) return found;
  const names = expected.map((known) => known.class).join(', ');
  throw invalid([cause('class', of ?? '', `certificates of the ring ${ring} are verified by ${names}`)]);
}

async function checkLoaded(tx: WriteTx, draft: AttestationDraft, subject: VerifyingClass): Promise<void> {
  const { ring, generation = 0 } = draft;
  await publishedDigest(tx.db, { ring, generation, field: 'generation' });
  if (subject.accepted.includes('attestation')) return;
  throw new RotundaError(
    'invalid',
    `what the class ${subject.class} has loaded in the ring ${ring} is shown by ${subject.minimum}, not by a statement`,
    {
      causes: [
        {
          field: 'statement',
          reason: 'FieldValueForbidden',
          message: `needs ${subject.minimum}, or stronger evidence`,
        },
      ],
      hint: subject.remedy,
    },
  );
}

/** That there is none is no statement to make while there are some. */
async function checkAbsent(tx: WriteTx, { ring, class: of = '' }: AttestationDraft, now: number): Promise<void> {
  const count = await countOfClass(tx.db, ring, of, now);
  if (count === 0) return;
  throw new RotundaError('conflict', `${String(count)} consumers of the class ${of} verify certificates of ${ring}`, {
    hint: `rotunda consumer list --ring ${ring} --class ${of} shows them`,
  });
}

/** Throws 'not-found'. */
export async function revoke(room: ConsumersRoom, tx: WriteTx, id: string, actor: Identity): Promise<Attestation> {
  const row = await findAttestation(tx.db, id);
  if (row === undefined) throw noSuchAttestation(id);
  const now = nowOf(room);
  if (row.revoked_at !== null) return attestationOf(row, now);
  await revokeAttestationRow(tx.db, id, now);
  await tell(room, tx, 'attestation.revoked', row, actor);
  return attestationOf({ ...row, revoked_at: now }, now);
}

async function tell(
  room: ConsumersRoom,
  tx: WriteTx,
  action: string,
  row: AttestationRow,
  actor: Identity,
): Promise<void> {
  const { id, ring, class: of, consumer, statement, generation, reason, expires_at: expiresAt } = row;
  const detail = { ring, class: of, consumer, statement, generation, reason, expiresAt };
  const about = { resource: attestationResource, name: id, actor: actor.username, now: nowOf(room) };
  await record(room, tx, { action, ...about, detail });
  const revision = tx.nextRevision();
  const type = action === 'attestation.created' ? 'ADDED' : 'DELETED';
  const object = JSON.stringify({ id, ring, statement });
  await tx.publish({ revision, resource: attestationResource, name: id, type, object, previous: undefined });
}

export function noSuchAttestation(id: string): RotundaError {
  return new RotundaError('not-found', `there is no attestation ${JSON.stringify(id)}`, {
    object: { resource: attestationResource, kind: 'Attestation', name: id },
  });
}
