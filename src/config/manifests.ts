import { readFileSync } from 'node:fs';
import path from 'node:path';

import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

import { isJoinConfig, joinConfigCauses, systemNamespace } from '../config-maps/join-config.js';
import type { ConfigMapDraft } from '../config-maps/types.js';
import { type FieldCause, invalid } from '../errors.js';

const texts = z.record(z.string(), z.string());
/** What else `kubectl get -o yaml` writes there is another cluster's. */
const configMapSchema = z.object({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata: z.object({
    name: z.string(),
    namespace: z.string().default(systemNamespace),
    labels: texts.default({}),
  }),
  data: texts.default({}),
});
const listSchema = z.object({ kind: z.enum(['List', 'ConfigMapList']), items: z.array(z.unknown()) });

/**
 * The ConfigMaps of manifest files: single objects, several documents, or a List as `kubectl get -o yaml` writes it. Throws
 * 'invalid' that names the file and what is wrong with it.
 */
export function readConfigMaps(files: readonly string[]): readonly ConfigMapDraft[] {
  const found: ConfigMapDraft[] = [];
  for (const [index, file] of files.entries()) {
    const field = `kubernetes.configMaps[${String(index)}]`;
    const fail = (problem: string): never => {
      throw invalid([{ field, reason: 'FieldValueInvalid', message: `${JSON.stringify(file)}: ${problem}` }]);
    };
    for (const value of objectsOf(read(file, fail), fail)) {
      const draft = draftOf(value, fail);
      const twice = found.some(({ name }) => name === draft.name);
      if (twice) fail(`the ConfigMap ${draft.name} is there twice`);
      found.push(draft);
    }
  }
  return found;
}

type Fail = (problem: string) => never;

function read(file: string, fail: Fail): string {
  try {
    return readFileSync(path.resolve(file), 'utf8');
  } catch (error) {
    return fail(`cannot be read: ${(error as Error).message}`);
  }
}

function objectsOf(text: string, fail: Fail): unknown[] {
  const documents = parseAllDocuments(text, { logLevel: 'silent' });
  const values = documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) fail(`is not YAML: ${error.message.split('\n', 1)[0] ?? ''}`);
    const value: unknown = document.toJS({ maxAliasCount: 50 });
    return value === null || value === undefined ? [] : [value];
  });
  if (values.length === 0) fail('holds no ConfigMap');
  return values.flatMap((value) => {
    const list = listSchema.safeParse(value);
    return list.success ? list.data.items : [value];
  });
}

function draftOf(value: unknown, fail: Fail): ConfigMapDraft {
  const parsed = configMapSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return fail(`must hold ConfigMaps of apiVersion v1: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const { metadata, data } = parsed.data;
  const draft: ConfigMapDraft = { ...metadata, annotations: {}, data };
  if (!isJoinConfig(draft))
    fail(
      `the ConfigMap ${draft.namespace}/${draft.name} is not served; only kubeadm-config and kubelet-config of kube-system are`,
    );
  const causes = joinConfigCauses(draft);
  if (causes.length > 0) fail(`${draft.name}: ${causes.map(textOf).join(', ')}`);
  return draft;
}

function textOf({ field, message }: FieldCause): string {
  return `${field ?? ''}: ${message}`;
}
