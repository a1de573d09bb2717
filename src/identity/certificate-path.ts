import { certificateParts, readCertificate } from '../ca/x509/certificate.js';
import { cursorOver } from '../ca/x509/der.js';
import { checkSignature, takeSignatureAlgorithm } from '../ca/x509/signature.js';
import { clientAuth } from '../ca/x509/usages.js';
import type { CertificateFacts } from '../ca/x509/types.js';
import type { Bundle, Ca } from '../ca/types.js';
import { RotundaError } from '../errors.js';

/** A client certificate that an anchor of a ring's current bundle vouches for. */
export type VerifiedCertificate = {
  readonly facts: CertificateFacts;
  readonly ring: string;
  /** SKIs of the authorities above it, the anchor's last. */
  readonly authorities: readonly string[];
  /** The bundle's generation that it was verified against. */
  readonly generation: number;
  /** When the whole path is valid, both ends included, milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
};

export type PathVerifier = {
  /** Throws RotundaError 'unauthorized' with the reason as its cause. Validity is left to the caller, who knows the time. */
  verify(der: Buffer, chain: readonly Buffer[]): VerifiedCertificate;
};

type Anchor = { readonly ring: string; readonly generation: number; readonly facts: CertificateFacts };

const anyExtendedKeyUsage = '2.5.29.37.0';
/** More presented certificates than any path here can use. */
const longestChain = 4;

/** An 'unauthorized' error: callers see upstream's one word, the log the reason. */
export function unauthorized(reason: string, cause?: unknown): RotundaError {
  return new RotundaError('unauthorized', 'Unauthorized', { cause: new Error(reason, { cause }) });
}

/**
 * Verifies client certificates against the current bundles of `rings` (RFC 5280, 6.1, for what Rotunda's authorities
 * issue): the authority key identifier selects the anchor, whose subject must be the issuer and whose key must have
 * signed. One intermediate may lie between, the room that an anchor's path length leaves for a cross-certificate.
 */
export function createPathVerifier(ca: Pick<Ca, 'bundle'>, rings: readonly string[]): PathVerifier {
  let known: readonly Bundle[] = [];
  let bySki = new Map<string, readonly Anchor[]>();
  const anchorsOf = (ski: string | undefined): readonly Anchor[] => {
    if (ski === undefined) return [];
    const bundles = rings.map((ring) => ca.bundle(ring));
    if (bundles.length !== known.length || bundles.some((bundle, i) => bundle !== known[i])) {
      known = bundles;
      bySki = indexAnchors(bundles);
    }
    return bySki.get(ski) ?? [];
  };
  return {
    verify: (der, chain) => {
      const { anchor, above, ...path } = verifyPath(der, chain, (facts) => anchorsOf(facts.authorityKeyId));
      const authorities = above.map(({ subjectKeyId }) => subjectKeyId ?? '');
      return { ...path, ring: anchor.ring, authorities, generation: anchor.generation };
    },
  };
}

/** A certificate that an anchor vouches for, and the authorities on the way, the anchor last. */
export type VerifiedPath<A> = {
  readonly facts: CertificateFacts;
  readonly above: readonly CertificateFacts[];
  readonly anchor: A;
  /** When the whole path is valid, both ends included, milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
};

/**
 * The path from a client certificate to one of the anchors that `anchorsFor` knows for its issuer's certificate, directly
 * or through one presented intermediate. Throws RotundaError 'unauthorized' with the reason as its cause. Validity is left
 * to the caller, who knows the time.
 */
export function verifyPath<A extends { readonly facts: CertificateFacts }>(
  der: Buffer,
  chain: readonly Buffer[],
  anchorsFor: (facts: CertificateFacts) => readonly A[],
): VerifiedPath<A> {
  const facts = read(der);
  if (facts.isCa) throw unauthorized('a CA certificate is nobody');
  if (!facts.extendedKeyUsages.includes(clientAuth))
    throw unauthorized('the certificate is not for client authentication');
  const anchor = anchorAbove(facts, anchorsFor);
  if (anchor !== undefined) return verified(facts, [anchor.facts], anchor);
  for (const between of intermediates(chain)) {
    if (!isSignedBy(facts, between)) continue;
    const above = anchorAbove(between, anchorsFor);
    if (above !== undefined) return verified(facts, [between, above.facts], above);
  }
  throw unauthorized(
    `no current anchor has signed this certificate (authority key identifier ${facts.authorityKeyId ?? 'missing'})`,
  );
}

function indexAnchors(bundles: readonly Bundle[]): Map<string, readonly Anchor[]> {
  const index = new Map<string, readonly Anchor[]>();
  for (const { ring, generation, anchors } of bundles) {
    for (const facts of anchors) {
      if (facts.subjectKeyId === undefined) continue;
      index.set(facts.subjectKeyId, [...(index.get(facts.subjectKeyId) ?? []), { ring, generation, facts }]);
    }
  }
  return index;
}

function read(der: Buffer): CertificateFacts {
  try {
    return readCertificate(der);
  } catch (error) {
    if (error instanceof RotundaError) throw unauthorized('the certificate cannot be read', error);
    throw error;
  }
}

/** What else was presented and could lie on a path. Clients send what they like here, so what cannot be read is passed over. */
function intermediates(chain: readonly Buffer[]): readonly CertificateFacts[] {
  return chain.slice(0, longestChain).flatMap((der) => {
    try {
      const facts = readCertificate(der);
      return facts.isCa && facts.keyUsages.includes('keyCertSign') && mayIssueClients(facts) ? [facts] : [];
    } catch (error) {
      if (error instanceof RotundaError) return [];
      throw error;
    }
  });
}

function mayIssueClients({ extendedKeyUsages }: CertificateFacts): boolean {
  return (
    extendedKeyUsages.length === 0 ||
    extendedKeyUsages.includes(clientAuth) ||
    extendedKeyUsages.includes(anyExtendedKeyUsage)
  );
}

function anchorAbove<A extends { readonly facts: CertificateFacts }>(
  facts: CertificateFacts,
  anchorsFor: (facts: CertificateFacts) => readonly A[],
): A | undefined {
  const candidates = anchorsFor(facts).filter((anchor) => isSignedBy(facts, anchor.facts));
  // An authority may be published with several certificates (reissued): the one that is valid longest decides.
  return candidates.reduce<A | undefined>(
    (best, next) => (best === undefined || next.facts.notAfter > best.facts.notAfter ? next : best),
    undefined,
  );
}

function isSignedBy(facts: CertificateFacts, issuer: CertificateFacts): boolean {
  const { authorityKeyId } = facts;
  // Authorities of others may write no key identifiers; the signature is what counts.
  if (authorityKeyId !== undefined && issuer.subjectKeyId !== undefined && authorityKeyId !== issuer.subjectKeyId)
    return false;
  if (!facts.issuerDer.equals(issuer.subjectDer)) return false;
  try {
    const { tbs, signatureAlgorithm, signature } = certificateParts(facts.der);
    const algorithm = takeSignatureAlgorithm(cursorOver(signatureAlgorithm));
    if (algorithm.weak || algorithm.parametersFault) return false;
    checkSignature(algorithm, tbs, signature, { type: issuer.key.type, publicKey: issuer.publicKey });
    return true;
  } catch (error) {
    if (error instanceof RotundaError) return false;
    throw error;
  }
}

function verified<A>(facts: CertificateFacts, above: readonly CertificateFacts[], anchor: A): VerifiedPath<A> {
  const path = [facts, ...above];
  return {
    facts,
    above,
    anchor,
    notBefore: Math.max(...path.map((certificate) => certificate.notBefore)),
    notAfter: Math.min(...path.map((certificate) => certificate.notAfter)),
  };
}
