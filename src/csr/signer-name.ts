import type { FieldCause } from '../errors.js';
import { invalidValue, required, tooLong } from './causes.js';
import { labelMessages, subdomainMessages } from './syntax.js';

const field = 'spec.signerName';
const longestDomain = 253;
const longestPath = 63 + 1 + 253;
const shape = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
/** Sound names that were seen; requests come with the same few over and over. */
const sound = new Set<string>();
const mostRemembered = 1000;

/** Upstream's ValidateSignerName: one `/`, a domain of two labels or more, a path that is a subdomain. */
export function signerNameCauses(signerName: string): FieldCause[] {
  if (sound.has(signerName)) return [];
  const causes = check(signerName);
  if (causes.length === 0 && sound.size < mostRemembered) sound.add(signerName);
  return causes;
}

function check(signerName: string): FieldCause[] {
  if (signerName === '') return [required(field)];
  if (signerName === 'kubernetes.io/legacy-unknown') {
    return [invalidValue(field, signerName, 'the legacy signerName is not allowed via this API version')];
  }
  const segments = signerName.split('/');
  const [domain, path] = segments;
  if (segments.length !== 2 || domain === undefined || path === undefined)
    return [invalidValue(field, signerName, shape)];
  const causes: FieldCause[] = [];
  const labels = domain.split('.');
  for (const label of labels) {
    for (const message of labelMessages(label)) {
      causes.push(invalidValue(field, domain, `validating label ${JSON.stringify(label)}: ${message}`));
    }
  }
  if (labels.length < 2)
    causes.push(invalidValue(field, domain, 'should be a domain with at least two segments separated by dots'));
  for (const message of subdomainMessages(path)) {
    causes.push(invalidValue(field, path, `validating label ${JSON.stringify(path)}: ${message}`));
  }
  if (Buffer.byteLength(signerName) > longestDomain + 1 + longestPath)
    causes.push(tooLong(field, longestDomain + 1 + longestPath));
  return causes;
}
