import { parseDocument } from 'yaml';

import type { FieldCause } from '../errors.js';
import type { ConfigMapDraft, ConfigMapKey } from './types.js';

export const systemNamespace = 'kube-system';

/** What `kubeadm join` reads besides cluster-info: the key, and what must be in it. */
const documents: Readonly<Record<string, { readonly key: string; readonly kind: string; readonly group: string }>> = {
  'kubeadm-config': { key: 'ClusterConfiguration', kind: 'ClusterConfiguration', group: 'kubeadm.k8s.io' },
  'kubelet-config': { key: 'kubelet', kind: 'KubeletConfiguration', group: 'kubelet.config.k8s.io' },
};

/** As upstream bounds a ConfigMap: the bytes of all its values. */
const mostBytes = 1_048_576;

/** Whether a ConfigMap may come from configuration or from an administrator. */
export function isJoinConfig({ namespace, name }: ConfigMapKey): boolean {
  return namespace === systemNamespace && Object.hasOwn(documents, name);
}

/** What is wrong with the data of one of the two: a node that joins with it would stop halfway. */
export function joinConfigCauses({ name, data }: Pick<ConfigMapDraft, 'name' | 'data'>): FieldCause[] {
  const wanted = documents[name];
  if (wanted === undefined) return [];
  const size = Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (size > mostBytes)
    return [
      { field: 'data', reason: 'FieldValueTooLong', message: `Too long: may not be more than ${mostBytes} bytes` },
    ];
  const field = `data[${wanted.key}]`;
  const text = data[wanted.key];
  if (text === undefined) {
    const message = `Required value: kubeadm join reads a ${wanted.kind} there`;
    return [{ field, reason: 'FieldValueRequired', message }];
  }
  const problem = problemOf(text, wanted);
  return problem === undefined ? [] : [{ field, reason: 'FieldValueInvalid', message: `Invalid value: ${problem}` }];
}

function problemOf(text: string, wanted: { readonly kind: string; readonly group: string }): string | undefined {
  const document = parseDocument(text, { logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) return `is not YAML: ${error.message.split('\n', 1)[0] ?? ''}`;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 });
  } catch {
    return 'has too many aliases';
  }
  const { kind, apiVersion } = (value ?? {}) as { readonly kind?: unknown; readonly apiVersion?: unknown };
  const fits = kind === wanted.kind && typeof apiVersion === 'string' && apiVersion.startsWith(`${wanted.group}/`);
  return fits ? undefined : `must be a ${wanted.kind} with the apiVersion ${wanted.group}/<version>`;
}
