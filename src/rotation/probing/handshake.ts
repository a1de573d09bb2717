import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

import type { ClientCertificate } from './types.js';

/** In the order of the wire, related to each other or not. Node gives it once: asking takes it out of the session. */
export function presentedBy(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate)
    chain.push(next.raw);
  return chain;
}

/** Without what may stand behind it: a cross-certificate would let an old anchor accept it. */
export function leafOf({ certificatePem }: ClientCertificate): string {
  return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(certificatePem)?.[0] ?? certificatePem;
}

/** That of the leaf; empty where it is none that can be found again in an answer. */
export function commonNameOf(given: ClientCertificate): string {
  return /(?:^|\n)CN=([A-Za-z0-9._-]+)$/.exec(new X509Certificate(leafOf(given)).subject)?.[1] ?? '';
}
