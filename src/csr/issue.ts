import type { IssuedCertificate, PreparedCertificate } from '../ca/types.js';
import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';
import { changeRequest, findRequest } from '../store/queries/requests.js';
import { withoutHold } from './hold.js';
import { hasCondition } from './conditions.js';
import { copyOf, parseObject, textOf, withCondition } from './object.js';
import { type Parts, record, resource, service } from './parts.js';
import type { Plan } from './plan.js';
import { isRequesterBanned } from './requester.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, Decision } from './types.js';

export type Settled = {
  readonly request: CertificateRequest;
  readonly text: string;
  readonly issued: IssuedCertificate | undefined;
  readonly decision: Decision | undefined;
};

/** A request whose intent is durable. */
export type Work = {
  readonly request: CertificateRequest;
  /** Of the stored object that `request` is. */
  readonly revision: number;
  readonly prepared: PreparedCertificate;
  readonly plan: Plan;
  /** Of performance.now(). */
  readonly started: number;
  /** Who approved by hand; undefined when the rules did. */
  readonly by: Identity | undefined;
};

type Outcome = { readonly request: CertificateRequest; readonly text: string } | undefined;

/**
 * Signs and stores. Never rejects: what went wrong is in the log, the request stays as it is, and a later look at it
 * starts again with another serial; the ledger keeps the one that may have been signed.
 */
export async function issue(parts: Parts, work: Work, before: Settled): Promise<Settled> {
  const { uid, name } = work.request.metadata;
  parts.busy.add(uid);
  try {
    const issued = await parts.ca.issuing.sign(work.prepared);
    const outcome = await parts.store.write((tx) => recordIssued(parts, tx, work, issued));
    if (outcome === undefined) return before;
    measureIssued(parts, work);
    return { ...outcome, issued, decision: work.plan.decision };
  } catch (error) {
    parts.logger.error(
      { err: error, request: name, serial: work.prepared.serial },
      'a certificate could not be issued',
    );
    return before;
  } finally {
    parts.busy.delete(uid);
    parts.again.delete(uid);
  }
}

/** Counts one issued certificate. */
export function measureIssued(
  parts: Parts,
  { plan, prepared, by, started }: Pick<Work, 'plan' | 'prepared' | 'by' | 'started'>,
): void {
  parts.renewals?.issued(prepared.order);
  const { signerName, ring } = plan.profile;
  if (by === undefined) parts.metrics.requestDecided(signerName, 'approved');
  parts.metrics.certificateIssued(signerName, ring);
  parts.metrics.issueSeconds(signerName, (performance.now() - started) / 1000);
}

/** The one write after the signature: inventory, request, change, audit. The request is read only if somebody changed it. */
async function recordIssued(parts: Parts, tx: WriteTx, work: Work, issued: IssuedCertificate): Promise<Outcome> {
  const revision = tx.nextRevision();
  const now = parts.clock.now().getTime();
  const { name, uid } = work.request.metadata;
  if (work.by === undefined && (await isRequesterBanned(tx, work.plan.facts.identity))) {
    await recordDiscard(parts, tx, work, { now, why: 'who asked for it was banned in the meantime' });
    return undefined;
  }
  let request = withCertificate(work.plan, work.request, issued, now);
  let text = textOf(request, revision);
  const row = {
    name,
    revision,
    state: 'issued',
    held: 0,
    retry_at: null,
    serial: work.prepared.serial,
    updated_at: now,
  } as const;
  if (!(await changeRequest(tx.db, { ...row, object: text }, work.revision))) {
    const current = await findRequest(tx.db, name);
    const object = current?.uid === uid ? parseObject(current.object) : undefined;
    if (current === undefined || object === undefined || !isIssuable(object, work)) {
      await recordDiscard(parts, tx, work, { now, why: 'the request was deleted, denied or answered in the meantime' });
      return undefined;
    }
    request = withCertificate(work.plan, object, issued, now);
    text = textOf(request, revision);
    await changeRequest(tx.db, { ...row, object: text }, current.revision);
  }
  await parts.ca.issuing.record(tx, issued);
  await tx.publish({ revision, resource, name, type: 'MODIFIED', object: text, previous: undefined });
  await recordIssuance(parts, tx, work, now);
  return { request, text };
}

/** The request approved, where it was not yet, and with its certificate. */
export function withCertificate(
  plan: Plan,
  request: CertificateRequest,
  issued: IssuedCertificate,
  now: number,
): CertificateRequest {
  const open = withoutHold(request);
  const { reason, message } = plan.decision;
  const approved = hasCondition(open, 'Approved')
    ? copyOf(open)
    : withCondition(open, { type: 'Approved', reason, message }, rfc3339(now));
  approved.status.certificate = Buffer.from(issued.chainPem).toString('base64');
  return approved;
}

/** Whether the certificate may still be given: nobody denied, failed or answered the request in the meantime. */
function isIssuable(request: CertificateRequest, work: Work): boolean {
  if (request.status.certificate !== undefined || hasCondition(request, 'Denied') || hasCondition(request, 'Failed'))
    return false;
  return work.by === undefined || hasCondition(request, 'Approved');
}

/** Signed, and not given to anybody: the ledger keeps it as intended, and the record says why. */
export function recordDiscard(
  parts: Parts,
  tx: WriteTx,
  work: Pick<Work, 'request' | 'prepared'>,
  { now, why }: { now: number; why: string },
): Promise<void> {
  const detail = { serial: work.prepared.serial, why };
  return record(parts, tx, {
    action: 'certificate.discarded',
    actor: service,
    name: work.request.metadata.name,
    outcome: 'failed',
    detail,
    at: now,
  });
}

/** The event for a certificate that is in the inventory now. */
export function recordIssuance(
  parts: Parts,
  tx: WriteTx,
  work: Pick<Work, 'request' | 'prepared' | 'plan'>,
  now: number,
): Promise<void> {
  const { order, serial } = work.prepared;
  return record(parts, tx, {
    action: 'certificate.issued',
    actor: service,
    name: work.request.metadata.name,
    outcome: 'ok',
    detail: {
      serial,
      profile: order.profile,
      ring: order.ring,
      commonName: order.commonName,
      notAfter: rfc3339(order.notAfter),
      ...(work.plan.truncated === undefined ? {} : { truncated: work.plan.truncated }),
    },
    at: now,
  });
}
