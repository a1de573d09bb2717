import { applyPatch, type Operation, Pointer } from 'rfc6902';

import { RotundaError } from '../../../errors.js';

const mostOperations = 10_000;
/** `copy` can double a value with every step; upstream bounds it by the size of a body. */
const mostCopied = 3 * 1024 * 1024;
const unsafe = /(^|\/)(__proto__|constructor|prototype)(\/|$)/;

function rejected(cause?: unknown): RotundaError {
  return new RotundaError('invalid', 'the server rejected our request due to an error in our request', {
    object: {},
    cause,
  });
}

/**
 * RFC 6902 on a copy of `target`. Throws 'invalid' with upstream's words when an operation cannot be applied,
 * 'too-large' for too many of them.
 */
export function jsonPatch(target: unknown, patch: readonly unknown[]): unknown {
  if (patch.length > mostOperations) {
    throw new RotundaError(
      'too-large',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${String(mostOperations)}, got ${String(patch.length)}`,
    );
  }
  const document = structuredClone(target);
  let copied = 0;
  for (const operation of patch) {
    if (!isOperation(operation)) throw rejected();
    if (operation.op === 'copy') {
      copied += JSON.stringify(Pointer.fromJSON(operation.from).get(document) ?? null).length;
      if (copied > mostCopied) throw rejected();
    }
    const [problem] = attempt(document, operation);
    if (problem !== null && problem !== undefined) throw rejected(problem);
  }
  return document;
}

function attempt(document: unknown, operation: Operation): readonly (Error | null)[] {
  try {
    return applyPatch(document, [operation]);
  } catch (error) {
    throw rejected(error);
  }
}

function isOperation(value: unknown): value is Operation {
  if (typeof value !== 'object' || value === null) return false;
  const { op, path, from } = value as Record<string, unknown>;
  const sound = (pointer: unknown): boolean =>
    typeof pointer === 'string' && /^(\/|$)/.test(pointer) && !unsafe.test(pointer);
  // Nothing good comes of replacing the whole document, and the library would not see it.
  if (typeof op !== 'string' || !sound(path) || path === '') return false;
  if (op === 'move' || op === 'copy') return sound(from);
  return op === 'remove' || op === 'add' || op === 'replace' || op === 'test';
}
