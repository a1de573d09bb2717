import { createHash } from 'node:crypto';

import type { Bundle, SignedManifest } from '../../ca/types.js';
import { manifestAlgorithm } from '../../ca/x509/manifest.js';
import { formatDistinguishedName } from '../../ca/x509/name.js';
import type { CertificateFacts } from '../../ca/x509/types.js';
import { encodePem } from '../../ca/x509/pem.js';
import { RotundaError } from '../../errors.js';
import { preferredType } from './accept.js';

/** In order of preference where the client has none. */
export const bundleMediaTypes = [
  'application/json',
  'application/pem-certificate-chain',
  'application/x-pem-file',
  'text/plain',
] as const;

type MediaType = (typeof bundleMediaTypes)[number];

/** One anchor as JSON. Times are RFC 3339, `ski` and `fingerprint` (SHA-256 of the DER) lower-case hex. */
export type AnchorBody = {
  readonly pem: string;
  readonly subject: string;
  readonly ski: string;
  readonly fingerprint: string;
  readonly notBefore: string;
  readonly notAfter: string;
};

export type BundleBody = {
  readonly ring: string;
  readonly generation: number;
  readonly digest: string;
  readonly anchors: readonly AnchorBody[];
  readonly manifest?: ManifestBody;
};

/** What the bundle says about itself, and how that is signed. */
export type ManifestBody = SignedManifest & { readonly algorithm?: string };

export type Representation = {
  readonly contentType: string;
  readonly body: string;
  /** Strong, quoted: another one for every other byte sequence. */
  readonly etag: string;
};

export type BundleAnswer = {
  readonly status: 200 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** A bundle never changes, so each of its representations is made once. */
const representations = new WeakMap<Bundle, Map<MediaType, Representation>>();

/** A bundle as JSON. */
export function bundleBody(bundle: Bundle): BundleBody {
  return {
    ring: bundle.ring,
    generation: bundle.generation,
    digest: bundle.digest,
    anchors: bundle.anchors.map(anchorBody),
    ...(bundle.manifest === undefined ? {} : { manifest: manifestBody(bundle.anchors, bundle.manifest) }),
  };
}

/** The algorithm goes with the signer's key, which nearly always is an anchor itself. */
function manifestBody(anchors: Bundle['anchors'], { text, signature, signedBy }: SignedManifest): ManifestBody {
  const signer = anchors.find(({ subjectKeyId }) => subjectKeyId === signedBy);
  const algorithm = signer === undefined ? undefined : manifestAlgorithm(signer.key.type);
  return { text, signature, signedBy, ...(algorithm === undefined ? {} : { algorithm }) };
}

function anchorBody(anchor: CertificateFacts): AnchorBody {
  return {
    pem: encodePem('CERTIFICATE', anchor.der),
    subject: formatDistinguishedName(anchor.subject),
    ski: anchor.subjectKeyId ?? '',
    fingerprint: anchor.fingerprint,
    notBefore: new Date(anchor.notBefore).toISOString(),
    notAfter: new Date(anchor.notAfter).toISOString(),
  };
}

/** The representation that an Accept header asks for: JSON, or PEM. Throws RotundaError 'not-acceptable'. */
export function bundleRepresentation(bundle: Bundle, accept: string | undefined): Representation {
  const type = preferredType(accept, bundleMediaTypes);
  if (type === undefined) {
    throw new RotundaError('not-acceptable', `a bundle can be had as ${bundleMediaTypes.join(', ')}`);
  }
  const made = representations.get(bundle) ?? new Map<MediaType, Representation>();
  representations.set(bundle, made);
  const representation = made.get(type) ?? represent(bundle, type);
  made.set(type, representation);
  return representation;
}

function represent(bundle: Bundle, type: MediaType): Representation {
  const body = type === 'application/json' ? JSON.stringify(bundleBody(bundle)) : bundle.pem;
  const hash = createHash('sha256').update(`${type}\n${body}`).digest('base64url');
  const charset = type === 'application/json' || type === 'text/plain' ? '; charset=utf-8' : '';
  return Object.freeze({ contentType: `${type}${charset}`, body, etag: `"${hash}"` });
}

/**
 * Whether an If-None-Match header names what the client would be sent. Weak comparison, as RFC 9110, 13.1.2 has it:
 * a cache on the way may have weakened the tag.
 */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/**
 * The whole answer to a GET of a bundle. The current one may be kept for a minute, and for a day when the service does
 * not answer, so that the fleet outlives an outage; one asked for by generation never changes.
 */
export function answerBundle(
  bundle: Bundle,
  request: {
    readonly accept?: string | undefined;
    readonly ifNoneMatch?: string | undefined;
    readonly byGeneration?: boolean;
  },
): BundleAnswer {
  const { contentType, body, etag } = bundleRepresentation(bundle, request.accept);
  const cacheControl =
    request.byGeneration === true ? 'public, max-age=31536000, immutable' : 'public, max-age=60, stale-if-error=86400';
  // Whoever takes PEM cannot see it in there.
  const generation = String(bundle.generation);
  const headers = { etag, 'cache-control': cacheControl, vary: 'Accept', 'rotunda-bundle-generation': generation };
  if (matchesEtag(request.ifNoneMatch, etag)) return { status: 304, headers, body: '' };
  return { status: 200, headers: { ...headers, 'content-type': contentType }, body };
}
