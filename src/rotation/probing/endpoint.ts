import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

export type Endpoint = { readonly host: string; readonly port: number };

const hostPattern = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

/** Reads `host:port`; an IPv6 address stands in brackets. Undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = (bracketed ?? plain ?? '').toLowerCase();
  const port = Number(digits);
  if (!(port >= 1 && port <= 65_535)) return undefined;
  // An address with a zone is one of this machine's links.
  if (bracketed !== undefined) return isIP(host) === 6 && !host.includes('%') ? { host, port } : undefined;
  // All digits and dots is meant as an address, and is one or a mistake.
  if (/^[\d.]+$/.test(host) && isIP(host) !== 4) return undefined;
  return isIP(host) === 4 || hostPattern.test(host) ? { host, port } : undefined;
}

/** Nothing that verifies certificates is there: link-local (where clouds keep their metadata), multicast, unspecified. */
const forbidden = new BlockList();
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addSubnet('169.254.0.0', 16, 'ipv4');
forbidden.addSubnet('224.0.0.0', 4, 'ipv4');
forbidden.addAddress('255.255.255.255', 'ipv4');
forbidden.addAddress('::', 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addSubnet('ff00::', 8, 'ipv6');

/** Whether an IP address is one that a probe does not connect to, however an operator came to register it. */
export function isForbiddenAddress(address: string): boolean {
  return forbidden.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

export const forbiddenAddressCode = 'ERR_ADDRESS_FORBIDDEN';

export function forbiddenAddressError(host: string): Error {
  return Object.assign(new Error(`${host} is an address that is not probed`), { code: forbiddenAddressCode });
}

/** Resolves as the system does, and gives no address that is not to be probed: a name may point anywhere tomorrow. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  const all: LookupOptions & { readonly all: true } = { ...options, all: true };
  systemLookup(hostname, all, (error, addresses: LookupAddress[]) => {
    if (error !== null) {
      callback(error, '');
      return;
    }
    const allowed = addresses.filter(({ address }) => !isForbiddenAddress(address));
    const [first] = allowed;
    if (first === undefined) callback(forbiddenAddressError(hostname), '');
    else if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};
