import type { ProblemSink } from './csr-problems.js';
import { attributeOids, formatDistinguishedName, type ReadName } from './name.js';
import { hasControlCharacters } from './text.js';
import type { NameAttribute } from './types.js';

/**
 * RFC 5280's upper bounds (64 for a common name) are too short for Kubernetes, where `system:node:` and a node's name
 * may come to 265 characters; upstream has none at all.
 */
const MAX_VALUE_LENGTH = 320;
const MAX_ATTRIBUTES = 32;

/** What in a subject never goes into a certificate. */
export function judgeSubject({ attributes, faults }: ReadName, sink: ProblemSink): void {
  if (attributes.length + faults.length > MAX_ATTRIBUTES) {
    sink.add('subject', 'subject-attributes', `the subject has more than ${MAX_ATTRIBUTES} attributes`);
  }
  for (const fault of faults) sink.add('subject', 'subject-attribute', fault);
  for (const attribute of attributes) {
    const fault = attributeFault(attribute);
    if (fault === undefined) continue;
    const shown = formatDistinguishedName([{ oid: attribute.oid, value: attribute.value.slice(0, 80) }]);
    sink.add('subject', 'subject-value', `the attribute ${shown} ${fault}`);
  }
}

function attributeFault({ oid, value }: NameAttribute): string | undefined {
  if (value === '') return 'is empty';
  if (value.length > MAX_VALUE_LENGTH) return `is longer than ${MAX_VALUE_LENGTH} characters`;
  if (hasControlCharacters(value)) return 'has a control character';
  return oid === attributeOids.country && !/^[A-Za-z]{2}$/.test(value)
    ? 'is not a country code of two letters'
    : undefined;
}
