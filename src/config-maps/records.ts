import type { ConfigMapRow } from '../store/queries/config-maps.js';
import type { ConfigMap, ConfigMapContent } from './types.js';

/** The namespaces that every Kubernetes cluster begins with. */
export const initialNamespaces: readonly string[] = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

/** The same text for the same content, whatever the order of its keys. */
export function contentText({ labels, annotations, data }: ConfigMapContent): string {
  return JSON.stringify({ labels: sorted(labels), annotations: sorted(annotations), data: sorted(data) });
}

function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function configMapOf(row: ConfigMapRow): ConfigMap {
  const { namespace, name, uid, revision, created_at: createdAt, content } = row;
  return { namespace, name, uid, revision, createdAt, ...(JSON.parse(content) as ConfigMapContent) };
}
