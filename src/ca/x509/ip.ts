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

const dotted = /^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/;

/** Octets of canonical address text; undefined for anything else, a mapped address included. */
export function ipOctets(text: string): Buffer | undefined {
  if (!text.includes(':')) return ipv4Octets(text);
  if (!ipaddr.isValid(text)) return undefined;
  const octets = Buffer.from(ipaddr.parse(text).toByteArray());
  return !isMappedIpv4(octets) && ipText(octets) === text ? octets : undefined;
}

function ipv4Octets(text: string): Buffer | undefined {
  if (!dotted.test(text)) return undefined;
  const octets = Buffer.allocUnsafe(4);
  for (const [index, part] of text.split('.').entries()) {
    const value = Number(part);
    if (value > 255) return undefined;
    octets[index] = value;
  }
  return octets;
}
