import { createHash, createHmac, X509Certificate } from 'node:crypto';

import { Agent, request } from 'undici';
import { parse } from 'yaml';

export const clusterInfoPath = '/api/v1/namespaces/kube-public/configmaps/cluster-info';

type ConfigMap = { readonly data?: Readonly<Record<string, string>> };
export type Discovered = { readonly server: string; readonly ca: string; readonly kubeconfig: string };

/** What `kubeadm join` would print. */
export class DiscoveryError extends Error {
  override readonly name = 'DiscoveryError';
}

/** The SHA-256 pin of a certificate's key, as kubeadm writes it. */
export function pinOf(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

export function certificatesOf(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/**
 * Finds a cluster as kubeadm's token discovery does (discovery/token.go): reads cluster-info from a server that it does
 * not know, believes it as far as the token's signature and the pins go, and reads it again from a server that the
 * bundle proves to be the right one. Once, where kubeadm would try again and again.
 */
export async function discover(
  endpoint: string,
  token: string,
  pins: readonly string[] = [],
  between?: () => Promise<void>,
): Promise<Discovered> {
  const [id = '', secret = ''] = token.split('.');
  const kubeconfig = verified(await fetchInfo(endpoint, { rejectUnauthorized: false }), id, secret);
  const { server, ca } = clusterOf(kubeconfig);
  if (pins.length === 0) return { server, ca, kubeconfig };
  const wanted = pins.map((pin) => pin.toLowerCase());
  if (!certificatesOf(ca).some((pem) => wanted.includes(pinOf(pem))))
    throw new DiscoveryError(
      'cluster CA found in cluster-info ConfigMap is invalid: none of the public keys is pinned',
    );
  await between?.();
  const again = verified(await fetchInfo(endpoint, { ca }), id, secret);
  if (again !== kubeconfig) throw new DiscoveryError('the second kubeconfig data differs from the first');
  return { server, ca, kubeconfig };
}

async function fetchInfo(
  endpoint: string,
  connect: { readonly rejectUnauthorized: false } | { readonly ca: string },
): Promise<ConfigMap> {
  const agent = new Agent({ connect });
  try {
    const answer = await request(`${endpoint}${clusterInfoPath}?timeout=10s`, {
      dispatcher: agent,
      headers: { accept: 'application/vnd.kubernetes.protobuf,application/json' },
    });
    const text = await answer.body.text();
    if (answer.statusCode === 200) return JSON.parse(text) as ConfigMap;
    throw new DiscoveryError((JSON.parse(text) as { message: string }).message);
  } finally {
    await agent.destroy();
  }
}

function verified({ data = {} }: ConfigMap, id: string, secret: string): string {
  const { kubeconfig } = data;
  const signature = data[`jws-kubeconfig-${id}`];
  if (kubeconfig === undefined) throw new DiscoveryError('there is no kubeconfig in cluster-info');
  if (signature === undefined) throw new DiscoveryError(`there is no JWS signed token in cluster-info for ${id}`);
  const header = Buffer.from(`{"alg":"HS256","kid":"${id}"}`).toString('base64url');
  const hmac = createHmac('sha256', secret).update(`${header}.${Buffer.from(kubeconfig).toString('base64url')}`);
  if (signature === `${header}..${hmac.digest('base64url')}`) return kubeconfig;
  throw new DiscoveryError(`failed to verify JWS signature of received cluster info object for ${id}`);
}

function clusterOf(kubeconfig: string): { readonly server: string; readonly ca: string } {
  type File = { clusters: { cluster: { server: string; 'certificate-authority-data': string } }[] };
  const { clusters } = parse(kubeconfig) as File;
  const [only, ...more] = clusters;
  if (only === undefined || more.length > 0) throw new DiscoveryError('expected exactly one cluster');
  const { server, 'certificate-authority-data': ca } = only.cluster;
  return { server, ca: Buffer.from(ca, 'base64').toString() };
}
