import { type ErrorDetails, RotundaError } from '../../../errors.js';
import type { ResourceKind } from './types.js';

type ObjectRef = NonNullable<ErrorDetails['object']>;

/** How errors name an object: by resource, or in broken rules and delete preconditions by kind. */
export function refOf({ group, resource, kind }: ResourceKind, name: string): ObjectRef {
  return { group, resource, kind, name };
}

export function objectNotFound(kind: ResourceKind, name: string): RotundaError {
  return new RotundaError('not-found', `there is no ${kind.singular} ${JSON.stringify(name)}`, {
    object: refOf(kind, name),
  });
}

const ofObjects = new Set(['not-found', 'already-exists', 'forbidden', 'invalid', 'conflict']);

/**
 * Runs `work`, and names the object in what it throws: rooms speak of tokens or nodes, and clients asked for Secrets. Errors
 * that say that they are about nothing, or about options, stay.
 */
export async function about<T>(kind: ResourceKind, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RotundaError) || !ofObjects.has(error.code)) throw error;
    const { object } = error.details;
    if (object !== undefined && object.resource === undefined) throw error;
    throw new RotundaError(error.code, error.message, { ...error.details, object: refOf(kind, name) });
  }
}
