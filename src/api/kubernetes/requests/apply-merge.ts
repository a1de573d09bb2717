import type { CertificateRequest, Condition, ManagedFieldsEntry, OwnerReference } from '../../../csr/types.js';
import { type FieldCause, RotundaError } from '../../../errors.js';
import { groupVersion } from '../kinds.js';
import {
  type FieldPath,
  fieldValues,
  fromFieldsV1,
  isEntryOf,
  joinPath,
  type Manager,
  managedEntry,
  reduced,
  sortEntries,
  splitPath,
} from '../managed-fields.js';

export type Application = {
  readonly current: CertificateRequest;
  readonly applied: CertificateRequest;
  readonly manager: Manager;
  readonly force: boolean;
  readonly time: string;
};

/** Who owns what an untracked object held before somebody first applied to it. */
const beforeFirstApply = 'before-first-apply';

/**
 * The object after a server-side apply, managedFields included: applied fields are set, fields that this manager applied
 * before and now leaves out go unless somebody else owns them. Throws 'conflict' when another manager owns a field with
 * another value, unless forced.
 */
export function applyTo({ current, applied, manager, force, time }: Application): CertificateRequest {
  const scope = manager.subresource === undefined ? 'metadata' : 'all';
  const wanted = fieldValues(applied, scope);
  for (const path of wanted.keys()) if (isFilledIn(path, applied)) wanted.delete(path);
  const existing = fieldValues(current, scope);
  const entries = entriesOf(current, time);
  const others = entries.filter((entry) => !isEntryOf(entry, manager));
  const contested = [...wanted]
    .filter(([path, value]) => value !== existing.get(path) && existing.has(path))
    .map(([path]) => path);
  const conflicts = conflictsOf(others, contested);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const kept = others.flatMap((entry) => reduced(entry, contested));
  const owned = new Set(kept.flatMap((entry) => [...fromFieldsV1(entry['fieldsV1'])]));
  const mine = entries.find((entry) => isEntryOf(entry, manager));
  const before = fromFieldsV1(mine?.['fieldsV1']);
  const dropped = new Set([...before].filter((path) => !wanted.has(path) && !owned.has(path)));
  const merged = merge(current, applied, dropped, scope);
  const unchanged =
    mine !== undefined &&
    sameSet(before, wanted) &&
    JSON.stringify(merged) === JSON.stringify(merge(current, current, new Set(), scope));
  const entry = unchanged ? [mine] : wanted.size === 0 ? [] : [managedEntry(manager, wanted.keys(), time)];
  const managedFields = sortEntries([...kept, ...entry]);
  const { managedFields: _before, ...metadata } = merged.metadata;
  return { ...merged, metadata: managedFields.length === 0 ? metadata : { ...metadata, managedFields } };
}

/** Times of a condition that were not applied: the server fills them in, nobody applied them. */
function isFilledIn(path: FieldPath, applied: CertificateRequest): boolean {
  const [, list, key, field] = splitPath(path);
  if (list !== 'f:conditions' || (field !== 'f:lastUpdateTime' && field !== 'f:lastTransitionTime')) return false;
  const condition = applied.status.conditions?.find(({ type }) => `k:${JSON.stringify({ type })}` === key);
  return condition?.[field === 'f:lastUpdateTime' ? 'lastUpdateTime' : 'lastTransitionTime'] === undefined;
}

function entriesOf(current: CertificateRequest, time: string): readonly ManagedFieldsEntry[] {
  const { managedFields } = current.metadata;
  if (managedFields !== undefined && managedFields.length > 0) return managedFields;
  const values = fieldValues(current, 'metadata');
  return values.size === 0 ? [] : [managedEntry({ name: beforeFirstApply, operation: 'Update' }, values.keys(), time)];
}

type Conflict = { readonly manager: string; readonly path: FieldPath };

function conflictsOf(others: readonly ManagedFieldsEntry[], contested: readonly FieldPath[]): Conflict[] {
  return others.flatMap((entry) => {
    const owned = fromFieldsV1(entry['fieldsV1']);
    const subresource =
      entry['subresource'] === undefined ? '' : ` with subresource ${JSON.stringify(entry['subresource'])}`;
    const manager = `${JSON.stringify(entry['manager'])}${subresource} using ${typeof entry['apiVersion'] === 'string' ? entry['apiVersion'] : groupVersion}`;
    return contested.filter((path) => owned.has(path)).map((path) => ({ manager, path }));
  });
}

function conflictError(conflicts: readonly Conflict[]): RotundaError {
  const causes: FieldCause[] = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${manager}`,
    field: pathText(path),
  }));
  const [only] = conflicts;
  if (conflicts.length === 1 && only !== undefined) {
    return new RotundaError(
      'conflict',
      `Apply failed with 1 conflict: conflict with ${only.manager}: ${pathText(only.path)}`,
      { causes },
    );
  }
  const managers = [...new Set(conflicts.map(({ manager }) => manager))];
  const lines = managers.flatMap((manager) => [
    `conflicts with ${manager}:`,
    ...conflicts.filter((conflict) => conflict.manager === manager).map(({ path }) => `- ${pathText(path)}`),
  ]);
  return new RotundaError('conflict', `Apply failed with ${String(conflicts.length)} conflicts: ${lines.join('\n')}`, {
    causes,
  });
}

/** `.metadata.labels.a`, `.status.conditions[type="Approved"].reason`. */
function pathText(path: FieldPath): string {
  return splitPath(path)
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith('f:')) return `.${rest}`;
      if (element.startsWith('v:')) return `[=${rest}]`;
      const [key, value] = Object.entries(JSON.parse(rest) as Record<string, unknown>)[0] ?? ['', ''];
      return `[${key}=${JSON.stringify(value)}]`;
    })
    .join('');
}

function sameSet(set: ReadonlySet<FieldPath>, values: ReadonlyMap<FieldPath, string>): boolean {
  return set.size === values.size && [...set].every((path) => values.has(path));
}

function merge(
  current: CertificateRequest,
  applied: CertificateRequest,
  dropped: ReadonlySet<FieldPath>,
  scope: 'metadata' | 'all',
): CertificateRequest {
  const { labels, annotations, finalizers, ownerReferences, ...rest } = current.metadata;
  const from = applied.metadata;
  const metadata = {
    ...rest,
    ...present('labels', mergeMap(labels, from.labels, 'f:labels', dropped)),
    ...present('annotations', mergeMap(annotations, from.annotations, 'f:annotations', dropped)),
    ...present(
      'finalizers',
      mergeItems(
        finalizers,
        from.finalizers,
        (item) => `v:${JSON.stringify(item)}`,
        ['f:metadata', 'f:finalizers'],
        dropped,
      ),
    ),
    ...present(
      'ownerReferences',
      mergeItems<OwnerReference>(
        ownerReferences,
        from.ownerReferences,
        (item) => `k:${JSON.stringify({ uid: item['uid'] })}`,
        ['f:metadata', 'f:ownerReferences'],
        dropped,
      ),
    ),
  };
  if (scope === 'metadata') return { ...current, metadata };
  const { conditions, certificate } = current.status;
  const status = {
    ...present(
      'conditions',
      mergeItems<Condition>(
        conditions,
        applied.status.conditions,
        (item) => `k:${JSON.stringify({ type: item.type })}`,
        ['f:status', 'f:conditions'],
        dropped,
      ),
    ),
    ...present(
      'certificate',
      applied.status.certificate ?? (dropped.has(joinPath('f:status', 'f:certificate')) ? undefined : certificate),
    ),
  };
  return { ...current, metadata, status };
}

function present<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };
}

function mergeMap(
  current: Readonly<Record<string, string>> | undefined,
  applied: Readonly<Record<string, string>> | undefined,
  field: string,
  dropped: ReadonlySet<FieldPath>,
): Record<string, string> | undefined {
  const kept = Object.entries(current ?? {}).filter(([key]) => !dropped.has(joinPath('f:metadata', field, `f:${key}`)));
  const entries = [...new Map([...kept, ...Object.entries(applied ?? {})])];
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function mergeItems<T>(
  current: readonly T[] | undefined,
  applied: readonly T[] | undefined,
  key: (item: T) => string,
  path: readonly string[],
  dropped: ReadonlySet<FieldPath>,
): T[] | undefined {
  const items = new Map<string, T>();
  for (const item of current ?? []) if (!dropped.has(joinPath(...path, key(item)))) items.set(key(item), item);
  for (const item of applied ?? []) {
    const before = items.get(key(item));
    items.set(key(item), typeof item === 'object' && before !== undefined ? { ...before, ...item } : item);
  }
  return items.size === 0 ? undefined : [...items.values()];
}
