import { type FieldCause, RotundaError } from '../errors.js';

/** Causes in the words of upstream's field errors; `value` is printed as Go would print it. */
export function required(field: string, detail = ''): FieldCause {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function invalidValue(field: string, value: unknown, detail: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${detail}` };
}

export function duplicate(field: string, value: string): FieldCause {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}` };
}

export function notSupported(field: string, value: string, supported: readonly string[]): FieldCause {
  const values = supported.map((v) => JSON.stringify(v)).join(', ');
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`,
  };
}

export function forbidden(field: string, detail: string): FieldCause {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

export function tooLong(field: string, bytes: number): FieldCause {
  return { field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${String(bytes)} bytes` };
}

/** More than any sound object has. */
const mostEntries = 1000;

/**
 * Bounds what is looked at entry by entry: each may break rules and each broken rule is told, so that an answer could
 * be a hundred times as long as its request. Throws RotundaError 'too-large'.
 */
export function requireFew(field: string, count: number): void {
  if (count <= mostEntries) return;
  throw new RotundaError(
    'too-large',
    `${field}: must have at most ${String(mostEntries)} entries, not ${String(count)}`,
  );
}
