import type { Profile } from '../csr/types.js';
import { invalid } from '../errors.js';
import { configFrom } from './load.js';
import { policyFields } from './policy-fields.js';
import type { Config } from './types.js';

/** What of a configuration decides about requests. */
export type Policy = {
  readonly profiles: readonly Profile[];
  readonly nodeApproval: Config['nodeApproval'];
};

/**
 * The policy of an object in the configuration file's format. Reads neither files nor the environment: fields other
 * than `policyFields` are passed over. Throws RotundaError 'invalid' for what a start would refuse.
 */
export function policyFrom(raw: Readonly<Record<string, unknown>>): Policy {
  const { apiVersion } = raw;
  if (apiVersion === undefined)
    throw invalid([{ field: 'apiVersion', reason: 'FieldValueRequired', message: 'must be rotunda.dev/v1alpha1' }]);
  const fields = policyFields.filter((field) => raw[field] !== undefined).map((field) => [field, raw[field]] as const);
  const { profiles, nodeApproval } = configFrom({ apiVersion, ...Object.fromEntries(fields) }, {});
  return { profiles, nodeApproval };
}
