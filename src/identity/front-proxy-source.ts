import type { Ca } from '../ca/types.js';
import { readCertificate } from '../ca/x509/certificate.js';
import { decodePem } from '../ca/x509/pem.js';
import type { CertificateFacts } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';

/** The names of the headers that say who calls, as kube-apiserver's `--requestheader-*-headers` flags name them. */
export type HeaderNames = {
  /** The first of them that has a value counts. */
  readonly username: readonly string[];
  readonly uid: readonly string[];
  /** The values of all of them, one group each. */
  readonly group: readonly string[];
  /** What follows the prefix is the key, percent-encoded. */
  readonly extraPrefix: readonly string[];
};

/** Whose request headers are believed: certificates of one of `cas` with one of `allowedNames` as their common name. */
export type FrontProxyTrust = {
  /** For messages: where this comes from. */
  readonly origin: string;
  readonly cas: readonly CertificateFacts[];
  /** Never empty: an empty list, which upstream reads as any name, trusts nobody here. */
  readonly allowedNames: readonly string[];
  readonly headerNames: HeaderNames;
};

/** One place that says who is a front proxy. */
export type FrontProxySource = {
  /**
   * What is known now, undefined when that is nothing. Called on the way of requests: it must answer from memory, and with
   * the same object until something changes.
   */
  current(): FrontProxyTrust | undefined;
};

/** kube-apiserver's own names, which `kubeadm` configures too. */
export const standardHeaderNames: HeaderNames = Object.freeze({
  username: Object.freeze(['X-Remote-User']),
  uid: Object.freeze(['X-Remote-Uid']),
  group: Object.freeze(['X-Remote-Group']),
  extraPrefix: Object.freeze(['X-Remote-Extra-']),
});

/** The front-proxy ring of this service: its current bundle. */
export function ringSource(
  ca: Pick<Ca, 'bundle' | 'isTainted'>,
  { ring, allowedNames, headerNames }: { ring: string } & Pick<FrontProxyTrust, 'allowedNames' | 'headerNames'>,
): FrontProxySource {
  let known: FrontProxyTrust | undefined;
  let published: readonly CertificateFacts[] | undefined;
  return {
    current: () => {
      const { anchors } = ca.bundle(ring);
      if (known === undefined || published !== anchors) {
        published = anchors;
        // Whoever has a tainted authority's key could be any proxy.
        const cas = anchors.filter(({ subjectKeyId }) => !ca.isTainted(subjectKeyId ?? ''));
        known = { origin: `ring ${ring}`, cas, allowedNames, headerNames };
      }
      return known;
    },
  };
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * The CA certificates of a PEM bundle, in order; text around them does not matter. Throws RotundaError 'invalid' when
 * there is none, when one cannot be read, or when one is no CA.
 */
export function readCaBundle(pem: string, field: string): readonly CertificateFacts[] {
  const fault = (message: string): RotundaError =>
    new RotundaError('invalid', `${field}: ${message}`, {
      causes: [{ field, reason: 'FieldValueInvalid', message }],
    });
  const blocks = pem.match(certificateBlock) ?? [];
  if (blocks.length === 0) throw fault('holds no PEM block CERTIFICATE');
  return blocks.map((block, index) => {
    let facts: CertificateFacts;
    try {
      facts = readCertificate(decodePem(block, { label: 'CERTIFICATE', mode: 'strict', field }));
    } catch (error) {
      if (!(error instanceof RotundaError)) throw error;
      throw fault(`certificate ${String(index + 1)} cannot be read: ${error.message}`);
    }
    if (!facts.isCa) throw fault(`certificate ${String(index + 1)} is no CA certificate`);
    return facts;
  });
}
