import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';

const pollMs = 1000;
const connectMs = 5000;

export type ServingCertificate =
  { readonly problem: string } | { readonly notAfter: string; readonly names: readonly string[] };

/** What a service presents when it is asked for by `name`, verified as an API server would: against `ca`, by that name. */
export function servingCertificate(
  { host, port }: { readonly host: string; readonly port: number },
  name: string,
  ca: string,
): Promise<ServingCertificate> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, servername: name, ca, timeout: connectMs }, () => {
      const { valid_to: end, subjectaltname = '' } = socket.getPeerCertificate();
      resolve({ notAfter: new Date(end).toISOString(), names: subjectaltname.split(', ') });
      socket.end();
    });
    socket.on('error', (error: Error) => {
      resolve({ problem: error.message });
    });
    socket.on('timeout', () => {
      socket.destroy(new Error(`no answer in ${String(connectMs / 1000)} seconds`));
    });
  });
}

/** Asks until the name is there: the service gets a new certificate a moment after it was told. */
export async function awaitServingName(
  address: { readonly host: string; readonly port: number },
  name: string,
  ca: string,
  timeoutMs: number,
): Promise<ServingCertificate> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await servingCertificate(address, name, ca);
    if (!('problem' in seen) || performance.now() > deadline) return seen;
    await sleep(pollMs);
  }
}
