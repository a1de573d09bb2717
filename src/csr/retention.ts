import { X509Certificate } from 'node:crypto';

import type { RequestRow } from '../store/queries/requests.js';
import { stateOf } from './object.js';
import type { CertificateRequest } from './types.js';

/** How long requests are kept, milliseconds, by what became of them. Certificates stay in the inventory. */
export type Retention = {
  /** Since the approval; an issued request goes with its certificate's expiry at the latest. */
  readonly issued: number;
  /** Denied or failed, since then. */
  readonly denied: number;
  /** Neither approved nor denied, held ones too, since they were made. */
  readonly pending: number;
  /** Approved and not issued, since the approval. */
  readonly approved: number;
  /** What is kept of a deleted request, for trying another policy on it, since it was made. */
  readonly past: number;
};

type Times = Pick<RequestRow, 'created_at' | 'updated_at'>;

const hourMs = 3_600_000;

/**
 * kube-controller-manager's times (pkg/controller/certificates/cleaner). Upstream keeps what was approved and never
 * issued for ever; here it goes after a day.
 */
export const upstreamRetention: Retention = {
  issued: hourMs,
  denied: hourMs,
  pending: 24 * hourMs,
  approved: 24 * hourMs,
  past: 30 * 24 * hourMs,
};

/** From when on a request that is stored at `now` with this outcome may be deleted. */
export function cleanAfterNow(
  retention: Retention,
  state: RequestRow['state'],
  now: number,
  notAfter: number | undefined,
): number {
  const after = now + retention[state === 'failed' ? 'denied' : state];
  return notAfter === undefined ? after : Math.min(after, notAfter);
}

/**
 * From when on a stored request may be deleted. As upstream it counts from the decisive condition's lastUpdateTime, but
 * a time that lies after the request was last written is somebody's invention and does not count.
 */
export function cleanAfter(retention: Retention, request: CertificateRequest, row: Times): number {
  const state = stateOf(request);
  const since = (type: string): number => updateTime(request, type, row.updated_at) ?? row.created_at;
  switch (state) {
    case 'failed':
      return since('Failed') + retention.denied;
    case 'denied':
      return since('Denied') + retention.denied;
    case 'issued':
      return issuedUntil(retention, request, row);
    case 'approved':
      return since('Approved') + retention.approved;
    case 'pending':
      // Conditions that decide nothing: somebody is at it, and it counts from the last that was heard of it.
      return Math.max(row.created_at, latestUpdate(request, row.updated_at)) + retention.pending;
  }
}

/** A certificate without an approval is no answer: clients ignore it, and it waits like any other. */
function issuedUntil(retention: Retention, request: CertificateRequest, row: Times): number {
  const approved = updateTime(request, 'Approved', row.updated_at);
  if (approved === undefined) return row.created_at + retention.pending;
  return Math.min(approved + retention.issued, expiryOf(request) ?? Number.POSITIVE_INFINITY);
}

function updateTime(request: CertificateRequest, type: string, latest: number): number | undefined {
  const condition = (request.status.conditions ?? []).find((one) => one.type === type);
  if (condition === undefined) return undefined;
  const time = Date.parse(condition.lastUpdateTime ?? '');
  return Number.isNaN(time) ? undefined : Math.min(time, latest);
}

function latestUpdate(request: CertificateRequest, latest: number): number {
  const times = (request.status.conditions ?? []).map(({ type }) => updateTime(request, type, latest) ?? 0);
  return Math.max(0, ...times);
}

/** Of the first certificate; undefined where another signer put something there that is none. */
function expiryOf({ status }: CertificateRequest): number | undefined {
  const pem = Buffer.from(status.certificate ?? '', 'base64').toString('latin1');
  try {
    const time = Date.parse(new X509Certificate(pem).validTo);
    return Number.isNaN(time) ? undefined : time;
  } catch {
    return undefined;
  }
}
