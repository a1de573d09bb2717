import { createHmac } from 'node:crypto';

import { stringify } from 'yaml';

export type ClusterInfoOptions = {
  /** `https://host:port` of the API server. */
  readonly server: string;
  /** The anchors of its serving certificate. */
  readonly bundlePem: string;
  readonly signers: readonly { readonly id: string; readonly secret: string }[];
};

/**
 * The data of `kube-public/cluster-info`: a kubeconfig that says where the API server is and whom to trust, and one
 * signature of it for each token, so that whoever holds a token can tell that it is genuine. The same input gives the
 * same bytes: kubeadm reads it twice and compares.
 */
export function clusterInfoData({ server, bundlePem, signers }: ClusterInfoOptions): Record<string, string> {
  const kubeconfig = stringify(
    {
      apiVersion: 'v1',
      clusters: [
        { cluster: { 'certificate-authority-data': Buffer.from(bundlePem).toString('base64'), server }, name: '' },
      ],
      contexts: null,
      'current-context': '',
      kind: 'Config',
      preferences: {},
      users: null,
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
  const sorted = [...signers].sort((a, b) => (a.id < b.id ? -1 : 1));
  const signatures = sorted.map(({ id, secret }): [string, string] => [
    `jws-kubeconfig-${id}`,
    detachedJws(kubeconfig, id, secret),
  ]);
  return Object.fromEntries([...signatures, ['kubeconfig', kubeconfig]]);
}

/**
 * A compact JWS (RFC 7515, HS256) without its payload, as cluster-bootstrap's token/jws makes it. Verifiers make it again
 * and compare the text, so the header has to be exactly these bytes.
 */
export function detachedJws(content: string, id: string, secret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url');
  const payload = Buffer.from(content).toString('base64url');
  const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  return `${header}..${signature}`;
}
