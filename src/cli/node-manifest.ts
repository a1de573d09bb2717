import { isIP } from 'node:net';

/** A Kubernetes object, as far as its kind goes. */
export type Manifest = Readonly<Record<string, unknown>> & { readonly kind: string };

export function isManifest(value: unknown): value is Manifest {
  return isObject(value) && typeof value['kind'] === 'string' && 'metadata' in value;
}

export function isManifestList(value: unknown): value is { readonly items: readonly unknown[] } {
  return isObject(value) && Array.isArray(value['items']);
}

/**
 * What a Node object says about the machine. Of Kubernetes' own (`v1`), the addresses in its status (NodeAddress:
 * InternalIP, ExternalIP, Hostname, InternalDNS, ExternalDNS) and its labels; of Rotunda's (`rotunda.dev`), its spec and
 * labels. What has not the right type is left to the server to refuse.
 */
export function draftOfManifest(manifest: Manifest): unknown {
  const metadata = objectIn(manifest, 'metadata');
  const labels = metadata['labels'];
  const own = String(manifest['apiVersion']).startsWith('rotunda.dev/');
  const facts = own ? objectIn(manifest, 'spec') : namesOf(manifest, metadata['name']);
  const { addresses, dnsNames } = facts;
  return {
    name: metadata['name'],
    ...(addresses === undefined ? {} : { addresses }),
    ...(dnsNames === undefined ? {} : { dnsNames }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function namesOf(manifest: Manifest, ownName: unknown): Readonly<Record<string, unknown>> {
  const listed = objectIn(manifest, 'status')['addresses'];
  const addresses = new Set<string>();
  const dnsNames = new Set<string>();
  for (const entry of Array.isArray(listed) ? (listed as unknown[]) : []) {
    if (!isObject(entry)) continue;
    const { address } = entry;
    if (typeof address !== 'string' || address === '') continue;
    // A kubelet without a name reports an address as its Hostname.
    if (isIP(address) !== 0) addresses.add(address);
    else if (address.toLowerCase() !== ownName) dnsNames.add(address);
  }
  return { addresses: [...addresses], dnsNames: [...dnsNames] };
}

function objectIn(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const found = value[key];
  return isObject(found) ? found : {};
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
