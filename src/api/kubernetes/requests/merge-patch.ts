type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386. What the patch touches comes out with sorted keys, as upstream writes it. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const base = isObject(target) ? target : {};
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return fromEntries(merged);
}

/** Own properties only, whatever the keys are called. */
function fromEntries(entries: Iterable<[string, unknown]>): Json {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** How a list of a request is patched strategically; every other list is replaced. */
const listRules: Readonly<Record<string, { readonly mergeKey?: string }>> = {
  'metadata.finalizers': {},
  'metadata.ownerReferences': { mergeKey: 'uid' },
};

/**
 * Kubernetes' strategic merge patch for a CertificateSigningRequest: maps merge, finalizers are a set, ownerReferences
 * merge by uid, everything else (conditions, usages) is replaced. `$patch: delete` and `$patch: replace` are known.
 */
export function strategicMergePatch(target: unknown, patch: unknown, path = ''): unknown {
  if (!isObject(patch)) return patch;
  if (patch['$patch'] === 'delete') return {};
  if (patch['$patch'] === 'replace') return without(patch, '$patch');
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys' || key.startsWith('$setElementOrder/')) continue;
    const deletion = '$deleteFromPrimitiveList/';
    if (key.startsWith(deletion)) {
      const field = key.slice(deletion.length);
      const remaining = listOf(merged.get(field)).filter((item) => !listOf(value).includes(item));
      merged.set(field, remaining);
      continue;
    }
    const at = path === '' ? key : `${path}.${key}`;
    if (value === null) merged.delete(key);
    else if (Array.isArray(value)) merged.set(key, mergeList(listOf(merged.get(key)), value, listRules[at]));
    else merged.set(key, strategicMergePatch(merged.get(key), value, at));
  }
  if (Array.isArray(patch['$retainKeys'])) {
    for (const key of [...merged.keys()]) if (!patch['$retainKeys'].includes(key)) merged.delete(key);
  }
  return fromEntries(merged);
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function mergeList(
  current: readonly unknown[],
  patch: readonly unknown[],
  rule: { readonly mergeKey?: string } | undefined,
): unknown[] {
  if (rule === undefined) return [...patch];
  const { mergeKey } = rule;
  if (mergeKey === undefined) return [...new Set([...current, ...patch])];
  const result = [...current];
  for (const item of patch) {
    if (!isObject(item)) continue;
    const index = result.findIndex((other) => isObject(other) && other[mergeKey] === item[mergeKey]);
    if (item['$patch'] === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index >= 0) result[index] = mergePatch(result[index], without(item, '$patch'));
    else result.push(without(item, '$patch'));
  }
  return result;
}

function without(value: Json, key: string): Json {
  return fromEntries(Object.entries(value).filter(([name]) => name !== key));
}
