import ipaddr from 'ipaddr.js';

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex');

/** Canonical text of 4 or 16 octets: dotted decimal, RFC 5952. */
export function ipText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.');
  return new ipaddr.IPv6([...octets]).toRFC5952String();
}

/** An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`): verifiers disagree which of the two it is. */
export function isMappedIpv4(octets: Buffer): boolean {
  return octets.length === 16 && octets.subarray(0, 12).equals(mappedPrefix);
}

/** Octets of canonical address text; undefined for anything else, a mapped address included. */
export function ipOctets(text: string): Buffer | undefined {
  if (!ipaddr.isValid(text)) return undefined;
  const octets = Buffer.from(ipaddr.parse(text).toByteArray());
  return !isMappedIpv4(octets) && ipText(octets) === text ? octets : undefined;
}
