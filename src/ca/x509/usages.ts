import { RotundaError } from '../../errors.js';
import type { KeyUsage } from './types.js';

/** Kubernetes' usage names that stand for key usages; `signing` is the digital signature. */
const keyUsageNames: Readonly<Record<string, KeyUsage>> = {
  signing: 'digitalSignature',
  'digital signature': 'digitalSignature',
  'content commitment': 'nonRepudiation',
  'key encipherment': 'keyEncipherment',
  'key agreement': 'keyAgreement',
  'data encipherment': 'dataEncipherment',
  'cert sign': 'keyCertSign',
  'crl sign': 'cRLSign',
  'encipher only': 'encipherOnly',
  'decipher only': 'decipherOnly',
};

/** Kubernetes' usage names that stand for extended key usages. */
const extendedKeyUsageNames: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
};

export const serverAuth = '1.3.6.1.5.5.7.3.1';
export const clientAuth = '1.3.6.1.5.5.7.3.2';

/** The order in which upstream's signer writes them: that of Go's x509.ExtKeyUsage. */
const extendedKeyUsageOrder = [...new Set(Object.values(extendedKeyUsageNames))];

/** All usage names of certificates.k8s.io/v1, case-sensitive. */
export const knownUsages: readonly string[] = [...Object.keys(keyUsageNames), ...Object.keys(extendedKeyUsageNames)];

export type ResolvedUsages = { readonly keyUsages: readonly KeyUsage[]; readonly extendedKeyUsages: readonly string[] };

const resolved = new Map<string, ResolvedUsages>();
const MAX_REMEMBERED = 256;

/**
 * Usage names as upstream's signer translates them: each at most once, extended key usages (dotted OIDs) in its order.
 * Throws `invalid` for a name that is not known.
 */
export function resolveUsages(usages: readonly string[]): ResolvedUsages {
  const key = usages.join('\n');
  const known = resolved.get(key);
  if (known !== undefined) return known;
  const keyUsages = new Set<KeyUsage>();
  const extended = new Set<string>();
  for (const usage of usages) {
    const keyUsage = Object.hasOwn(keyUsageNames, usage) ? keyUsageNames[usage] : undefined;
    const extendedUsage = Object.hasOwn(extendedKeyUsageNames, usage) ? extendedKeyUsageNames[usage] : undefined;
    if (keyUsage !== undefined) keyUsages.add(keyUsage);
    else if (extendedUsage !== undefined) extended.add(extendedUsage);
    else throw new RotundaError('invalid', `unrecognized usage ${JSON.stringify(usage)}`);
  }
  const result = { keyUsages: [...keyUsages], extendedKeyUsages: extendedKeyUsageOrder.filter((o) => extended.has(o)) };
  if (resolved.size < MAX_REMEMBERED) resolved.set(key, result);
  return result;
}
