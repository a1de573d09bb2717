import type { ClusterClient, ClusterObject } from './client.js';

export const authenticationNamespace = 'kube-system';
export const authenticationConfigMap = 'extension-apiserver-authentication';
export const authenticationPath = `/api/v1/namespaces/${authenticationNamespace}/configmaps/${authenticationConfigMap}`;

export type ConfigMap = ClusterObject & { readonly data?: Readonly<Record<string, string>> };

/** How the API server says who it is to the services behind it: what it publishes for them. */
export type PublishedFrontProxy = {
  /** PEM of `--requestheader-client-ca-file`; undefined: the API server forwards without saying who asks. */
  readonly clientCa: string | undefined;
  /** Common names that its certificate may have; empty means any, of everybody whom that CA ever certified. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
};

/** Reads what `kube-system/extension-apiserver-authentication` says; a list that is no JSON list counts as empty. */
export function readFrontProxy(map: ConfigMap | undefined): PublishedFrontProxy {
  const data = map?.data ?? {};
  const clientCa = data['requestheader-client-ca-file'];
  return {
    clientCa: clientCa === undefined || clientCa.trim() === '' ? undefined : clientCa,
    allowedNames: listOf(data['requestheader-allowed-names']),
    usernameHeaders: listOf(data['requestheader-username-headers']),
    uidHeaders: listOf(data['requestheader-uid-headers']),
    groupHeaders: listOf(data['requestheader-group-headers']),
    extraHeaderPrefixes: listOf(data['requestheader-extra-headers-prefix']),
  };
}

/** What the API server publishes now. */
export async function publishedFrontProxy(client: ClusterClient): Promise<PublishedFrontProxy> {
  return readFrontProxy(await client.get<ConfigMap>(authenticationPath));
}

function listOf(text: string | undefined): string[] {
  if (text === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}
