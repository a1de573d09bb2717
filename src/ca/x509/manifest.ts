import { createHash, verify } from 'node:crypto';

import { RotundaError } from '../../errors.js';
import type { Bundle } from '../types.js';
import type { CertificateFacts, KeyType } from './types.js';

/** What a manifest says. SKIs and fingerprints are lower-case hex, times RFC 3339. */
export type Manifest = {
  readonly kind: typeof manifestKind;
  readonly ring: string;
  readonly generation: number;
  readonly digest: string;
  /** In the order in which they are published. */
  readonly anchors: readonly { readonly ski: string; readonly fingerprint: string; readonly notAfter: string }[];
  /** SKIs of authorities whose key may be somebody else's too. */
  readonly tainted: readonly string[];
  /** The lowest generation that a joiner has to hold; 0 where any does. */
  readonly joinFloor: number;
  /** Digest of the generation before. */
  readonly previous: string;
  readonly createdAt: string;
  /** How often to look for another one, where nobody tells. */
  readonly refreshSeconds: number;
};

/** Also keeps a manifest apart from anything else that a CA key signs: a certificate begins with 0x30, this with `{`. */
export const manifestKind = 'rotunda.dev/v1 BundleManifest';

type Anchor = Pick<CertificateFacts, 'der' | 'fingerprint'>;

/** A bundle as its reader has it. */
export type ClaimedBundle = Pick<Bundle, 'ring' | 'generation' | 'digest' | 'manifest'> & {
  readonly anchors: readonly Anchor[];
};

/**
 * Names a set of anchors: `sha256:<hex>` over their DER, sorted by fingerprint and concatenated. The order in which they
 * are published does not count, every byte of each does.
 */
export function anchorsDigest(anchors: readonly Anchor[]): string {
  const hash = createHash('sha256');
  const sorted = [...anchors].sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
  for (const anchor of sorted) hash.update(anchor.der);
  return `sha256:${hash.digest('hex')}`;
}

const schemes = {
  'ec-p256': { algorithm: 'ecdsa-sha256', hash: 'sha256' },
  'ec-p384': { algorithm: 'ecdsa-sha384', hash: 'sha384' },
  rsa: { algorithm: 'rsa-sha256', hash: 'sha256' },
  ed25519: { algorithm: 'ed25519', hash: null },
} as const;

/** How a key signs manifests: `ecdsa-sha256` (DER), `ecdsa-sha384`, `rsa-sha256` (PKCS #1 v1.5), `ed25519`; undefined where it signs none. */
export function manifestAlgorithm(type: KeyType): string | undefined {
  return schemeOf(type)?.algorithm;
}

function schemeOf(type: KeyType): (typeof schemes)[keyof typeof schemes] | undefined {
  return type === 'ec-p224' || type === 'ec-p521' ? undefined : schemes[type];
}

/**
 * Checks that a bundle is what an authority has signed: that the signature over the manifest's text is of that
 * authority's key, that the manifest names this very ring, generation and set of anchors, and that the authority is not
 * tainted by its own word. What the authority is worth is for the caller to know. Throws RotundaError 'invalid'.
 */
export function verifyManifest(
  bundle: ClaimedBundle,
  authority: Pick<CertificateFacts, 'subjectKeyId' | 'key' | 'publicKey' | 'isCa'>,
): Manifest {
  const { ring, generation, manifest: signed } = bundle;
  const refuse = (why: string): RotundaError =>
    new RotundaError('invalid', `bundle ${String(generation)} of the ring ${ring} is not to be believed: ${why}`);
  if (signed === undefined) throw refuse('it has no manifest');
  if (!authority.isCa || authority.subjectKeyId !== signed.signedBy)
    throw refuse(`its manifest is signed by ${signed.signedBy}, which is another authority`);
  const scheme = schemeOf(authority.key.type);
  if (scheme === undefined) throw refuse(`a key of the type ${authority.key.type} signs no manifests`);
  const signature = Buffer.from(signed.signature, 'base64');
  if (!holds(scheme.hash, Buffer.from(signed.text, 'utf8'), authority.publicKey, signature))
    throw refuse('the signature of its manifest is wrong');
  const manifest = readManifest(signed.text);
  if (manifest === undefined) throw refuse('its manifest cannot be read');
  const fault = contradiction(manifest, bundle);
  if (fault !== undefined) throw refuse(fault);
  if (manifest.tainted.includes(signed.signedBy))
    throw refuse('its manifest is signed by an authority that is tainted');
  return manifest;
}

function holds(hash: string | null, signed: Buffer, key: CertificateFacts['publicKey'], signature: Buffer): boolean {
  try {
    return verify(hash, signed, key, signature);
  } catch {
    // OpenSSL throws for some malformed signatures where it answers false for others.
    return false;
  }
}

function contradiction(manifest: Manifest, bundle: ClaimedBundle): string | undefined {
  if (manifest.ring !== bundle.ring) return `its manifest is for the ring ${JSON.stringify(manifest.ring)}`;
  if (manifest.generation !== bundle.generation) return `its manifest is for generation ${String(manifest.generation)}`;
  const found = anchorsDigest(bundle.anchors);
  if (found !== bundle.digest) return 'its digest is not that of its anchors';
  if (found !== manifest.digest) return 'its anchors are not those of its manifest';
  const listed = manifest.anchors.map(({ fingerprint }) => fingerprint).join();
  if (listed !== bundle.anchors.map(({ fingerprint }) => fingerprint).join())
    return 'its anchors are not in the order of its manifest';
  return undefined;
}

/** Undefined for what is no manifest. */
function readManifest(text: string): Manifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value['kind'] !== manifestKind) return undefined;
  const { ring, generation, digest, anchors, tainted, joinFloor, previous, createdAt, refreshSeconds } = value;
  const texts = [ring, digest, previous, createdAt].every((field) => typeof field === 'string');
  const numbers = [generation, joinFloor, refreshSeconds].every((field) => Number.isSafeInteger(field));
  if (!texts || !numbers || !isListOf(tainted, (item) => typeof item === 'string')) return undefined;
  return isListOf(anchors, isAnchor) ? (value as Manifest) : undefined;
}

function isAnchor(item: unknown): boolean {
  return isRecord(item) && ['ski', 'fingerprint', 'notAfter'].every((field) => typeof item[field] === 'string');
}

function isListOf(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(is);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
