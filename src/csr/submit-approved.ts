import type { IssuedCertificate, PreparedCertificate } from '../ca/types.js';
import { insertRequest, type RequestRow } from '../store/queries/requests.js';
import type { WriteTx } from '../store/types.js';
import { recordDecision } from './decision-record.js';
import { requestExists } from './errors.js';
import { recordDiscard, recordIssuance, withCertificate } from './issue.js';
import { copyOf, textOf } from './object.js';
import { type Parts, resource } from './parts.js';
import { intend, type Plan } from './plan.js';
import { isRequesterBanned } from './requester.js';
import type { CertificateRequest } from './types.js';

/** A new request that its rules approve, with its certificate prepared. */
export type Approved = {
  readonly request: CertificateRequest;
  readonly plan: Plan;
  readonly prepared: PreparedCertificate;
  /** Of performance.now(). */
  readonly started: number;
  /** The row for the request in a state, at a revision. */
  readonly row: (state: 'pending' | 'issued', object: { text: string; revision: number }) => RequestRow;
};

export type Answered = {
  /** The request as created, pending. */
  readonly request: CertificateRequest;
  readonly text: string;
  readonly final: { readonly request: CertificateRequest; readonly text: string };
  readonly issued: IssuedCertificate | undefined;
};

/**
 * The way of a certificate that is decided at once: the ledger's row and the claim are durable, then the signature, then
 * everything else in one write. The request appears as created and as issued, in two changes of one commit, as it would
 * if another process had issued it. When it cannot be signed or stored it is kept pending, and looked at again later.
 *
 * Throws 'forbidden' when the claim is refused, 'conflict' when the ring signs with another key by now, both before
 * anything is written; 'already-exists' when the name was taken meanwhile.
 */
export async function submitApproved(parts: Parts, approved: Approved): Promise<Answered> {
  const { plan, prepared } = approved;
  await parts.store.write((tx) => intend(parts, tx, { plan, prepared, request: approved.request }));
  const issued = await signed(parts, approved);
  try {
    return await parts.store.write((tx) => storeWith(parts, tx, approved, issued));
  } catch (error) {
    if (issued === undefined || isTaken(error)) throw error;
    parts.logger.error({ err: error, serial: prepared.serial }, 'an issued certificate could not be stored');
    return parts.store.write((tx) => storeWith(parts, tx, approved, undefined));
  }
}

async function signed(parts: Parts, { prepared, request }: Approved): Promise<IssuedCertificate | undefined> {
  try {
    return await parts.ca.issuing.sign(prepared);
  } catch (error) {
    const { name } = request.metadata;
    parts.logger.error({ err: error, request: name, serial: prepared.serial }, 'a certificate could not be signed');
    return undefined;
  }
}

async function storeWith(
  parts: Parts,
  tx: WriteTx,
  approved: Approved,
  issued: IssuedCertificate | undefined,
): Promise<Answered> {
  const { plan, request: asked } = approved;
  const { identity, now } = plan.facts;
  const { name } = asked.metadata;
  const banned = issued !== undefined && (await isRequesterBanned(tx, identity));
  const given = banned ? undefined : issued;
  const revision = tx.nextRevision();
  const request = copyOf(asked);
  const text = textOf(request, revision);
  const last = given === undefined ? { request, text, revision } : finished(tx, approved, given);
  if (!(await insertRequest(tx.db, approved.row(given === undefined ? 'pending' : 'issued', last))))
    throw requestExists(name, false);
  await tx.publish({ revision, resource, name, type: 'ADDED', object: text, previous: undefined });
  await recordDecision(parts, tx, { identity, name, plan, request, now });
  const work = { request, prepared: approved.prepared, plan };
  if (given !== undefined) {
    await parts.ca.issuing.record(tx, given);
    const { text: object, revision: after } = last;
    await tx.publish({ revision: after, resource, name, type: 'MODIFIED', object, previous: undefined });
    await recordIssuance(parts, tx, work, now);
  } else if (banned) {
    await recordDiscard(parts, tx, work, { now, why: 'who asked for it was banned in the meantime' });
  }
  return { request, text, final: last, issued: given };
}

function finished(
  tx: WriteTx,
  { plan, request }: Approved,
  issued: IssuedCertificate,
): { request: CertificateRequest; text: string; revision: number } {
  const revision = tx.nextRevision();
  const final = withCertificate(plan, request, issued, plan.facts.now);
  return { request: final, text: textOf(final, revision), revision };
}

function isTaken(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'already-exists';
}
