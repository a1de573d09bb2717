import { type Manifest, manifestKind } from './x509/manifest.js';
import type { CertificateFacts } from './x509/types.js';

export type ManifestContent = {
  readonly ring: string;
  readonly generation: number;
  readonly digest: string;
  /** In the order in which they are published. */
  readonly anchors: readonly Pick<CertificateFacts, 'subjectKeyId' | 'fingerprint' | 'notAfter'>[];
  /** SKIs of authorities whose key may be somebody else's too. */
  readonly tainted: readonly string[];
  /** The lowest generation that a joiner has to hold; 0 while any does. */
  readonly floor: number;
  /** Digest of the generation before. */
  readonly previous: string;
  /** Milliseconds. */
  readonly createdAt: number;
  readonly refreshSeconds: number;
};

/**
 * What is signed when a bundle is published: JSON without white space, its members in this order, so that equal content
 * is equal text. The signature is over its UTF-8 bytes, by `AuthorityKey.sign`; `verifyManifest` in ca/x509 checks it.
 */
export function bundleManifest(content: ManifestContent): string {
  const { ring, generation, digest, anchors, tainted, floor, previous, createdAt, refreshSeconds } = content;
  const manifest: Manifest = {
    kind: manifestKind,
    ring,
    generation,
    digest,
    anchors: anchors.map(({ subjectKeyId = '', fingerprint, notAfter }) => ({
      ski: subjectKeyId,
      fingerprint,
      notAfter: rfc3339(notAfter),
    })),
    tainted: [...tainted].sort(),
    joinFloor: floor,
    previous,
    createdAt: rfc3339(createdAt),
    refreshSeconds,
  };
  return JSON.stringify(manifest);
}

function rfc3339(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
