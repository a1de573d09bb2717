import { createHash, X509Certificate } from 'node:crypto';

import { Agent, request } from 'undici';

import { explainNetworkError } from './explain.js';
import { remoteFailure } from './failure.js';

/**
 * The anchors of a ring's public bundle whose key has this pin (`sha256:<hex of SPKI>`), PEM. The bundle is fetched
 * without trusting the connection and without a credential, then believed only as far as the pin goes; every later call
 * verifies the server against what is returned here.
 */
export async function pinnedAnchors(server: string, pin: string, ring: string, timeoutMs: number): Promise<string> {
  const pem = await fetchUnverified(server, `/pki/v1/rings/${encodeURIComponent(ring)}/bundle`, timeoutMs);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
  const trusted = blocks.filter((block) => pinOf(block) === pin);
  if (trusted.length > 0) return trusted.join('');
  throw remoteFailure(`no authority of the ring ${ring} at ${server} has the pin ${pin}`, {
    hints: [
      'compare with the pin that the service printed when it started',
      'a server whose certificate is from another ring needs --pin-ring NAME',
    ],
  });
}

async function fetchUnverified(server: string, path: string, timeoutMs: number): Promise<string> {
  const agent = new Agent({
    connect: { rejectUnauthorized: false, timeout: Math.min(timeoutMs, 10_000) },
    headersTimeout: timeoutMs,
  });
  try {
    const answer = await request(`${server}${path}`, {
      dispatcher: agent,
      headers: { accept: 'application/pem-certificate-chain' },
    });
    const text = await answer.body.text();
    if (answer.statusCode === 200) return text;
    throw remoteFailure(`${server} has no bundle at ${path} (${answer.statusCode})`, {
      hints: ['is this the address of a Rotunda service?'],
    });
  } catch (error) {
    throw explainNetworkError(error, server);
  } finally {
    await agent.destroy();
  }
}

function pinOf(pem: string): string | undefined {
  try {
    const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
    return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
  } catch {
    return undefined;
  }
}
