import { z } from 'zod';

import { decodePem } from '../ca/x509/pem.js';
import { readCertificate } from '../ca/x509/certificate.js';
import { type ClaimedBundle, type Manifest, verifyManifest } from '../ca/x509/manifest.js';
import type { CertificateFacts } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';
import { readText } from '../kubeconfig.js';
import { type Client, pathOf } from './client.js';
import { type Failure, localFailure, remoteFailure } from './failure.js';

const bundleSchema = z.object({
  ring: z.string(),
  generation: z.number().int().min(0),
  digest: z.string(),
  anchors: z.array(z.object({ pem: z.string() })).min(1),
  manifest: z.object({ text: z.string(), signature: z.string(), signedBy: z.string() }).optional(),
});

/** A bundle in JSON, with its anchors read. */
export type ReadBundle = Omit<ClaimedBundle, 'anchors'> & { readonly anchors: readonly CertificateFacts[] };

/** A bundle that somebody who is trusted has signed. */
export type Believed = { readonly manifest: Manifest; readonly signer: CertificateFacts };

/** How many generations may lie between what is held and what is published. */
const mostSteps = 64;

/** The bundle that a text is. Throws a local failure. */
export function parseBundle(text: string, what: string): ReadBundle {
  const unreadable = (cause: unknown): Failure =>
    localFailure(`${what} is not a bundle in JSON`, { cause, hints: ['rotunda bundle get RING -o json gives one'] });
  try {
    const { anchors, manifest, ...rest } = bundleSchema.parse(JSON.parse(text));
    const read = anchors.map(({ pem }) =>
      readCertificate(decodePem(pem, { label: 'CERTIFICATE', mode: 'strict', field: 'certificate' })),
    );
    return { ...rest, anchors: read, manifest };
  } catch (error) {
    throw unreadable(error);
  }
}

/** The authorities in a file with PEM. Throws a local failure. */
export function readAnchors(file: string): readonly CertificateFacts[] {
  const blocks = readText(file).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0)
      return blocks.map((pem) =>
        readCertificate(decodePem(pem, { label: 'CERTIFICATE', mode: 'strict', field: 'certificate' })),
      );
  } catch (error) {
    throw localFailure(`${file} holds a certificate that cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw localFailure(`${file} holds no certificates`, { hints: ['give the CA file that is in use now, in PEM'] });
}

/**
 * What a bundle's manifest says, and which of the anchors has signed it; undefined where none of them has. Throws a
 * failure for a signature, or a bundle, that is not what it says.
 */
export function believedBy(bundle: ReadBundle, anchors: readonly CertificateFacts[]): Believed | undefined {
  const signer = anchors.find(({ subjectKeyId }) => subjectKeyId === bundle.manifest?.signedBy);
  if (signer === undefined) return undefined;
  try {
    return { manifest: verifyManifest(bundle, signer), signer };
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    throw remoteFailure(error.message, {
      cause: error,
      hints: ['keep the CA file that is in use, and ask who runs the service'],
    });
  }
}

/** Throws a remote failure for a bundle whose manifest none of the anchors has signed. */
export function unbelieved({ ring, generation, manifest }: ReadBundle): Failure {
  const what = `bundle ${String(generation)} of the ring ${ring}`;
  if (manifest === undefined)
    return remoteFailure(`${what} has no manifest`, {
      hints: ['it was published before manifests were signed: compare its digest with what the service shows'],
    });
  return remoteFailure(`${what} is signed by the authority ${manifest.signedBy}, which is none of those at hand`, {
    hints: ['an authority whose key was stolen is replaced by one that only the service itself can vouch for'],
  });
}

/**
 * Believes a bundle by way of the generations before it: each is signed by an authority of the one before, so that
 * whoever holds an old one can follow. One without a manifest is believed where it has no anchor that is not at hand.
 * Resolves to who may vouch for the next one. Throws a failure where nothing leads from the anchors to the bundle.
 */
export async function believe(
  client: Client,
  bundle: ReadBundle,
  anchors: readonly CertificateFacts[],
): Promise<readonly CertificateFacts[]> {
  const direct = believedBy(bundle, anchors);
  if (direct !== undefined) return vouching(bundle, direct);
  const { ring, generation, manifest } = bundle;
  if (manifest === undefined) {
    const held = new Set(anchors.map(({ fingerprint }) => fingerprint));
    if (bundle.anchors.every(({ fingerprint }) => held.has(fingerprint))) return bundle.anchors;
    throw unbelieved(bundle);
  }
  const steps = [bundle];
  for (let at = generation - 1; at >= 1 && steps.length <= mostSteps; at -= 1) {
    const { text } = await client.send('GET', `/rings${pathOf(ring)}/bundles${pathOf(String(at))}`);
    const earlier = parseBundle(text, `bundle ${String(at)} of the ring ${ring}`);
    if (earlier.ring !== ring || earlier.generation !== at || earlier.manifest === undefined) break;
    steps.unshift(earlier);
    if (believedBy(earlier, anchors) !== undefined) return follow(steps, anchors);
  }
  throw unbelieved(bundle);
}

/** Each of the bundles by an authority of the one before, the first by the anchors. */
function follow(steps: readonly ReadBundle[], anchors: readonly CertificateFacts[]): readonly CertificateFacts[] {
  let trusted = anchors;
  let digest: string | undefined;
  for (const step of steps) {
    const believed = believedBy(step, trusted);
    if (believed === undefined || (digest !== undefined && believed.manifest.previous !== digest))
      throw unbelieved(step);
    trusted = vouching(step, believed);
    ({ digest } = step);
  }
  return trusted;
}

/** Whoever has a stolen key can sign what he likes: such an anchor vouches for nothing more. */
function vouching({ anchors }: ReadBundle, { manifest }: Believed): readonly CertificateFacts[] {
  return anchors.filter(({ subjectKeyId = '' }) => !manifest.tainted.includes(subjectKeyId));
}
