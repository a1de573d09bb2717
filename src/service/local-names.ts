import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

import type { AltName } from '../ca/x509/types.js';

const hostPattern = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

/**
 * The names that the serving certificate carries: what is configured, the host name, localhost, and every address of
 * this machine but link-local ones, which are not unique. Sorted, without repeats.
 */
export function servingNames(configured: readonly string[]): AltName[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map((entry) => entry.address)
    .filter((address) => !address.toLowerCase().startsWith('fe80:'));
  const all = [...configured, hostname().toLowerCase(), 'localhost', '127.0.0.1', '::1', ...addresses];
  const names = new Map<string, AltName>();
  for (const text of all) {
    const name = toAltName(text);
    if (name !== undefined) names.set(`${name.kind}:${name.value}`, name);
  }
  return [...names.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
}

function toAltName(text: string): AltName | undefined {
  if (isIP(text) !== 0) return { kind: 'ip', value: ipaddr.process(text).toString() };
  return hostPattern.test(text) ? { kind: 'dns', value: text } : undefined;
}
