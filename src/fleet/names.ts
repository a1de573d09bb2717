import { isIP, isIPv4 } from 'node:net';

import ipaddr from 'ipaddr.js';

import type { Random } from '../clock.js';
import type { FieldCause } from '../errors.js';

/** A value in its canonical text, or the rule that it breaks. */
export type Checked = { readonly value: string } | { readonly problem: string };

const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const subdomainPattern = new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`);
const labelPattern = new RegExp(`^${label}$`);
const memberPattern = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

const subdomainRule =
  'must be a lowercase RFC 1123 subdomain: labels of at most 63 letters, digits and "-", separated by ".", 253 characters in all';

/** A node's name as Kubernetes has it: an RFC 1123 subdomain, lower case. */
export function checkNodeName(text: string): Checked {
  return subdomainPattern.test(text) ? { value: text } : { problem: subdomainRule };
}

/** A cluster's name: one RFC 1123 label, because it becomes part of paths and user names. */
export function checkClusterName(text: string): Checked {
  if (labelPattern.test(text)) return { value: text };
  return { problem: 'must be a lowercase RFC 1123 label: at most 63 letters, digits and "-"' };
}

/** An etcd member's name. etcd takes any text; this is what is safe in paths, user names and certificates. */
export function checkMemberName(text: string): Checked {
  if (memberPattern.test(text)) return { value: text };
  return {
    problem: 'must be at most 63 letters, digits, "-", "_" and ".", starting and ending with a letter or digit',
  };
}

/**
 * A DNS name in lower case. Wildcards are refused, because enrolment says which machine answers; so is text that is an
 * IP address, which belongs among the addresses.
 */
export function checkDnsName(text: string): Checked {
  const lower = text.toLowerCase();
  if (isIP(lower) !== 0) return { problem: 'is an IP address, not a DNS name' };
  return subdomainPattern.test(lower) ? { value: lower } : { problem: `${subdomainRule}; wildcards are not allowed` };
}

/**
 * An IP address in canonical text: dotted decimal, or RFC 5952 for IPv6. Zones, prefixes (CIDR), IPv4-mapped IPv6 and
 * the unspecified address are refused: as a subjectAltName each would name another address, or every one.
 */
export function checkAddress(text: string): Checked {
  if (text.includes('/')) return { problem: 'must be one address, not a network' };
  if (text.includes('%')) return { problem: 'must be without a zone' };
  if (isIP(text) === 0) return { problem: 'must be an IPv4 or IPv6 address' };
  if (isIPv4(text)) return text === '0.0.0.0' ? { problem: 'must not be the unspecified address' } : { value: text };
  const address = ipaddr.IPv6.parse(text);
  if (address.isIPv4MappedAddress())
    return { problem: 'must not be an IPv4-mapped IPv6 address; use the IPv4 address' };
  const value = address.toRFC5952String();
  return value === '::' ? { problem: 'must not be the unspecified address' } : { value };
}

/** Checks a list, drops repeats, and sorts it, so that the same facts are always the same text. */
export function checkList(
  field: string,
  texts: readonly string[],
  check: (text: string) => Checked,
  longest = 64,
): { values: readonly string[]; causes: readonly FieldCause[] } {
  if (texts.length > longest) {
    return {
      values: [],
      causes: [{ field, reason: 'FieldValueTooLong', message: `must have at most ${longest} entries` }],
    };
  }
  const values = new Set<string>();
  const causes: FieldCause[] = [];
  texts.forEach((text, index) => {
    const checked = check(text);
    if ('value' in checked) values.add(checked.value);
    else causes.push(cause(`${field}[${index}]`, text, checked.problem));
  });
  return { values: [...values].sort(), causes };
}

/** An invalid value as upstream words it. */
export function cause(field: string, value: string, problem: string): FieldCause {
  const shown = value.length > 300 ? `${value.slice(0, 300)}…` : value;
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(shown)}: ${problem}` };
}

const labelKeyPattern = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Labels by Kubernetes' rule for keys and values. */
export function checkLabels(field: string, labels: Readonly<Record<string, string>>): readonly FieldCause[] {
  const causes: FieldCause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    if (!labelKeyPattern.test(key))
      causes.push(cause(field, key, 'must be a qualified name, with an optional DNS prefix and "/"'));
    if (!labelValuePattern.test(value))
      causes.push(cause(`${field}.${key}`, value, 'must be at most 63 letters, digits, "-", "_" and "."'));
  }
  return causes;
}

/** A version 4 UUID (RFC 9562) from the injected randomness. */
export function makeUid(random: Random): string {
  const bytes = random.bytes(16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
