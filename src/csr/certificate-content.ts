import { X509Certificate } from 'node:crypto';

/** Bytes; many times the longest chain. It also bounds how long looking for blocks takes. */
const longest = 64 * 1024;
const block = /^-----BEGIN ([^\n]*?)-----[ \t\r]*\n([\s\S]*?)-----END \1-----/gm;

/**
 * What is wrong with a certificate that a signer stores through the status endpoint, in upstream's words; undefined
 * when nothing is. Text around blocks is allowed, other blocks and headers are not. That it matches the request is not
 * checked, as upstream does not.
 */
export function certificateContentFault(base64: string): string | undefined {
  const text = Buffer.from(base64, 'base64').toString('latin1');
  if (text.length > longest) return `must be at most ${String(longest)} bytes`;
  let certificates = 0;
  for (const match of text.matchAll(block)) {
    const label = match[1] ?? '';
    const body = match[2] ?? '';
    if (label !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(label)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    const fault = derFault(Buffer.from(body, 'base64'));
    if (fault !== undefined) return fault;
    certificates += 1;
  }
  return certificates === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined;
}

function derFault(der: Buffer): string | undefined {
  if (der.length === 0) return 'found CERTIFICATE PEM block containing 0 certificates';
  try {
    new X509Certificate(der);
    return undefined;
  } catch {
    return 'x509: malformed certificate';
  }
}
