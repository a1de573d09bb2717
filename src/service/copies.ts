import { caBundleCopy, type CopiedRing, readClientCaCopy } from '../attach/client-ca-copy.js';
import type { Context } from '../context.js';
import { copyPhases } from '../rotation/planning/restarts.js';
import type { CopyFact, Rotation } from '../rotation/types.js';

/** Generations that a copy may be of. */
const mostBundles = 8;
type Parts = Pick<Context, 'ca' | 'attachment' | 'config'>;

/**
 * Reads back what others keep of a ring's bundle: what API servers publish of their client CAs, which they only ever add
 * to, and the bundle by which the API server verifies this service.
 */
export async function readCopies(parts: Parts, rotation: Rotation): Promise<readonly CopyFact[]> {
  if (!copyPhases.includes(rotation.state)) return [];
  const { topology } = parts.config;
  const { ring } = rotation;
  const copied = await copiedRing(parts, rotation);
  const client = parts.attachment.client();
  const facts: CopyFact[] = [];
  if (ring === topology.kubernetesClient) facts.push(await readClientCaCopy(client, 'client-ca-file', copied));
  if (ring === topology.frontProxy) facts.push(await readClientCaCopy(client, 'requestheader-client-ca-file', copied));
  if (ring === topology.kubernetesServer) {
    const sink = caBundleCopy((await parts.attachment.status()).sink, copied);
    if (sink !== undefined) facts.push(sink);
  }
  return facts;
}

async function copiedRing({ ca }: Parts, { ring, oldKey }: Rotation): Promise<CopiedRing> {
  const current = ca.bundle(ring);
  const earlier = Array.from(
    { length: Math.min(mostBundles, current.generation) - 1 },
    (_, i) => current.generation - 1 - i,
  );
  const bundles = [current, ...(await Promise.all(earlier.map((generation) => ca.bundleAt(ring, generation))))];
  return { authorities: ca.authorities(ring), bundles, old: oldKey };
}
