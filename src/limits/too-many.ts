import { RotundaError } from '../errors.js';

/** A 429 that says when to come again: whole seconds, as Retry-After has them. */
export function tooMany(message: string, waitMs: number, hint?: string): RotundaError {
  return new RotundaError('too-many-requests', message, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
    ...(hint === undefined ? {} : { hint }),
  });
}
