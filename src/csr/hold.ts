import { copyOf, hasKeys } from './object.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, Decision } from './types.js';

export const holdReason = 'rotunda.dev/hold-reason';
export const retryAt = 'rotunda.dev/retry-at';

const minuteMs = 60_000;
const longestWaitMs = 60 * minuteMs;

/** When a held request is looked at again unless facts change before: as long again as it has waited, a minute to an hour. */
export function nextLook(createdAt: number, now: number): number {
  return now + Math.min(longestWaitMs, Math.max(minuteMs, now - createdAt));
}

/**
 * A hold adds no condition, which clients and cleaners would take for a decision: two annotations say why and until
 * when. Returns the request unchanged when it waits for a person (`at` undefined).
 */
export function withHold(request: CertificateRequest, decision: Decision, at: number | undefined): CertificateRequest {
  if (at === undefined) return request;
  const copy = copyOf(request);
  copy.metadata.annotations = { ...copy.metadata.annotations, [holdReason]: decision.message, [retryAt]: rfc3339(at) };
  return copy;
}

/** Without the annotations of a hold, once it is decided. */
export function withoutHold(request: CertificateRequest): CertificateRequest {
  const annotations = request.metadata.annotations;
  if (annotations === undefined || !(holdReason in annotations || retryAt in annotations)) return request;
  const copy = copyOf(request);
  const { [holdReason]: _reason, [retryAt]: _at, ...rest } = annotations;
  if (hasKeys(rest)) copy.metadata.annotations = rest;
  else delete copy.metadata.annotations;
  return copy;
}
