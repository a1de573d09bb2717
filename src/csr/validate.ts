import { knownUsages } from '../ca/x509/usages.js';
import type { FieldCause } from '../errors.js';
import { duplicate, invalidValue, notSupported, required, requireFew } from './causes.js';
import { requestInvalid } from './errors.js';
import { metadataCauses, pathNameCauses } from './metadata.js';
import type { ParsedCsr } from './parse.js';
import { signerNameCauses } from './signer-name.js';
import type { ObjectMeta, RequestSpec } from './types.js';

const shortestSeconds = 600;
const usages = new Set(knownUsages);
const supportedUsages = [...knownUsages].sort();

/**
 * Upstream's ValidateCertificateSigningRequestCreate: every broken rule in upstream's order and words. Throws
 * RotundaError 'invalid', 'too-large'.
 */
export function validateCreate(metadata: Partial<ObjectMeta>, spec: Partial<RequestSpec>, parsed: ParsedCsr): void {
  const name = metadata.name ?? '';
  const causes = metadataCauses(metadata);
  if ('fault' in parsed) causes.push(invalidValue('spec.request', spec.request ?? null, parsed.fault));
  causes.push(...usageCauses(spec.usages ?? []), ...signerNameCauses(spec.signerName ?? ''));
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < shortestSeconds) {
    const rule = 'may not specify a duration less than 600 seconds (10 minutes)';
    causes.push(invalidValue('spec.expirationSeconds', spec.expirationSeconds, rule));
  }
  if (causes.length > 0) throw requestInvalid(name, causes);
  const nameCauses = pathNameCauses(name);
  if (nameCauses.length > 0) throw requestInvalid(name, nameCauses);
}

function usageCauses(list: readonly string[]): FieldCause[] {
  if (list.length === 0) return [required('spec.usages')];
  requireFew('spec.usages', list.length);
  const causes: FieldCause[] = [];
  for (const [index, usage] of list.entries()) {
    if (!usages.has(usage)) causes.push(notSupported(`spec.usages[${String(index)}]`, usage, supportedUsages));
  }
  for (const [index, usage] of list.entries()) {
    if (list.indexOf(usage) < index) causes.push(duplicate(`spec.usages[${String(index)}]`, usage));
  }
  return causes;
}
