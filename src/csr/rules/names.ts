import ipaddr from 'ipaddr.js';

import type { AltName } from '../../ca/x509/types.js';

export type Enrolled = { readonly dnsNames: readonly string[]; readonly addresses: readonly string[] };

const loopback: Enrolled = { dnsNames: ['localhost'], addresses: ['127.0.0.1', '::1'] };

/** The names that are not among what is enrolled. DNS names compare without case, addresses by value. */
export function namesBeyond(names: readonly AltName[], enrolled: Enrolled, ownName: string): AltName[] {
  return names.filter((name) => !isWithin(name, enrolled, ownName));
}

/** Names of the machine itself as seen from itself: nobody else can be reached by them. */
export function isLoopback(name: AltName): boolean {
  return isWithin(name, loopback, 'localhost');
}

export function describeNames(names: readonly AltName[]): string {
  return names
    .map((name) => `${name.kind === 'dns' ? 'DNS' : name.kind === 'ip' ? 'IP' : name.kind} ${name.value}`)
    .join(', ');
}

function isWithin(name: AltName, enrolled: Enrolled, ownName: string): boolean {
  if (name.kind === 'dns') {
    const value = name.value.toLowerCase();
    return value === ownName.toLowerCase() || enrolled.dnsNames.some((dns) => dns.toLowerCase() === value);
  }
  if (name.kind !== 'ip') return false;
  return (
    enrolled.addresses.includes(name.value) || enrolled.addresses.some((address) => sameAddress(address, name.value))
  );
}

function sameAddress(a: string, b: string): boolean {
  if (!ipaddr.isValid(a) || !ipaddr.isValid(b)) return false;
  return ipaddr.parse(a).toNormalizedString() === ipaddr.parse(b).toNormalizedString();
}
