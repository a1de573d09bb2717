import type { Bundle } from './ca/types.js';

/**
 * What can go wrong, by stable code. `status` is the HTTP status on every surface; `reason` is the
 * Kubernetes `Status.reason` that belongs to it. Clients match on the code, people read the message.
 */
export const errorCatalogue = {
  'bad-request': { status: 400, reason: 'BadRequest', title: 'The request cannot be read' },
  unauthorized: { status: 401, reason: 'Unauthorized', title: 'The credential is missing or not valid' },
  forbidden: { status: 403, reason: 'Forbidden', title: 'The caller may not do this' },
  denied: { status: 403, reason: 'Forbidden', title: 'The certificate request was denied' },
  'not-found': { status: 404, reason: 'NotFound', title: 'There is no such object' },
  'method-not-allowed': { status: 405, reason: 'MethodNotAllowed', title: 'The resource does not have this method' },
  'not-acceptable': { status: 406, reason: 'NotAcceptable', title: 'No acceptable representation' },
  'already-exists': { status: 409, reason: 'AlreadyExists', title: 'The object exists already' },
  conflict: { status: 409, reason: 'Conflict', title: 'The object has changed in the meantime' },
  'stale-bundle': { status: 409, reason: 'Conflict', title: 'The caller holds another bundle than joining takes' },
  expired: { status: 410, reason: 'Expired', title: 'The requested history is no longer kept' },
  'too-large': { status: 413, reason: 'RequestEntityTooLarge', title: 'The body is too large' },
  'unsupported-media-type': {
    status: 415,
    reason: 'UnsupportedMediaType',
    title: 'The body has a type that is not understood',
  },
  invalid: { status: 422, reason: 'Invalid', title: 'A field breaks a rule' },
  'too-many-requests': { status: 429, reason: 'TooManyRequests', title: 'Too many requests' },
  internal: { status: 500, reason: 'InternalError', title: 'Something went wrong on the server' },
  unavailable: { status: 503, reason: 'ServiceUnavailable', title: 'The service cannot do this now' },
  timeout: { status: 504, reason: 'Timeout', title: 'The answer did not come in time' },
} as const;

export type ErrorCode = keyof typeof errorCatalogue;

/** Kubernetes' cause reasons, used on every surface to say which kind of rule a field broke. */
export type CauseReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueDuplicate'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldManagerConflict'
  | 'ResourceVersionTooLarge';

/** One field that broke one rule. `message` is the text without the field, as upstream prints it in a cause. */
export type FieldCause = {
  readonly field?: string;
  readonly reason: CauseReason;
  readonly message: string;
  /** What the caller can do about this field, one sentence. */
  readonly hint?: string;
};

export type ErrorDetails = {
  readonly causes?: readonly FieldCause[];
  /** What the caller can do about it, one sentence. */
  readonly hint?: string;
  readonly retryAfterSeconds?: number;
  /** Where a list can be gone on with all the same, for Kubernetes' Status. */
  readonly continue?: string;
  /** The object that the error is about, where there is one. */
  readonly object?: {
    readonly group?: string;
    readonly resource?: string;
    readonly kind?: string;
    readonly name?: string;
    readonly uid?: string;
  };
  /** What the caller has to hold, where it holds something else. */
  readonly bundle?: Bundle;
  readonly cause?: unknown;
};

/** The one error of the domain. Anything else that is thrown is a defect and answered as `internal`, its detail in the log only. */
export class RotundaError extends Error {
  override readonly name = 'RotundaError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }
}

/** A 422 with one cause per broken field rule; the message lists them as upstream does. */
export function invalid(causes: readonly FieldCause[], object?: ErrorDetails['object']): RotundaError {
  const text = causes.map((c) => (c.field === undefined ? c.message : `${c.field}: ${c.message}`));
  return new RotundaError('invalid', text.length === 1 ? (text[0] ?? '') : `[${text.join(', ')}]`, {
    causes,
    ...(object === undefined ? {} : { object }),
  });
}

/**
 * What a failed connection comes down to, with its code where it has one. Connecting to several addresses at once fails with
 * one error for all; the first is as good as any.
 */
export function rootCause(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return rootCause(error.errors[0]);
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error ? String(error.code) : '';
  return code === '' && error.cause !== undefined ? rootCause(error.cause) : { code, message: error.message };
}
