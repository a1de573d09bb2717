import type { Kysely } from 'kysely';

import { type FieldCause, invalid, RotundaError } from '../../errors.js';
import { findRingBundle } from '../../store/queries/consumer-rings.js';
import type { Schema } from '../../store/schema.js';
import { cause } from '../names.js';
import type { BundleClaim } from './report-types.js';

/**
 * Whoever says that it holds a generation must say which bundle that is: a generation that was published, with its digest.
 * Throws 'invalid' for a generation that there is not, 'conflict' with the right digest for another one.
 */
export async function checkClaim(
  db: Kysely<Schema>,
  claim: BundleClaim & { readonly ring: string; readonly field: string },
): Promise<void> {
  const { ring, generation, digest, field } = claim;
  const right = await publishedDigest(db, { ring, generation, field });
  if (right === digest) return;
  throw new RotundaError('conflict', `bundle ${String(generation)} of the ring ${ring} has the digest ${right}`, {
    hint: `what is there is another bundle: fetch /pki/v1/rings/${ring}/bundles/${String(generation)}`,
  });
}

/** The digest of a published generation. Throws 'invalid' when there is no such ring or generation. */
export async function publishedDigest(
  db: Kysely<Schema>,
  of: { readonly ring: string; readonly generation: number; readonly field: string },
): Promise<string> {
  const { ring, generation, field } = of;
  const found = await findRingBundle(db, { ring, generation });
  if (found === undefined) throw invalid([unknownRing(`${prefix(field)}ring`, ring)]);
  const { current, digest } = found;
  if (digest === null || generation > current) {
    const problem = `the ring ${ring} has published generations up to ${String(current)}, and not this one`;
    throw invalid([
      { field, reason: 'FieldValueInvalid', message: `Invalid value: ${String(generation)}: ${problem}` },
    ]);
  }
  return digest;
}

export function unknownRing(field: string, ring: string): FieldCause {
  return cause(field, ring, 'there is no such ring');
}

/** `rings[0].loaded.generation` as `rings[0].`: the ring stands beside the claim. */
function prefix(field: string): string {
  const at = field.indexOf('].');
  return at < 0 ? '' : field.slice(0, at + 2);
}
