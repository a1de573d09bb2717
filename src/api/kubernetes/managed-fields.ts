import type { CertificateRequest, ManagedFieldsEntry, ObjectMeta } from '../../csr/types.js';
import { groupVersion } from './kinds.js';

/** One tracked field as its path; elements as in FieldsV1: `f:name`, `k:{"type":"X"}`, `v:"x"`. */
export type FieldPath = string;

export type Manager = { readonly name: string; readonly operation: 'Apply' | 'Update'; readonly subresource?: string };

type Part = Pick<CertificateRequest, 'status'> & { readonly metadata: Partial<ObjectMeta> };

const separator = '\u0000';
const container = '{}';

export function joinPath(...elements: string[]): FieldPath {
  return elements.join(separator);
}

export function splitPath(path: FieldPath): string[] {
  return path.split(separator);
}

/** The tracked fields of an object with their values: metadata that clients own, and the status. */
export function fieldValues(object: Part, scope: 'metadata' | 'all'): Map<FieldPath, string> {
  const values = new Map<FieldPath, string>();
  const { metadata, status } = object;
  if (metadata.generateName !== undefined) values.set(joinPath('f:metadata', 'f:generateName'), metadata.generateName);
  addMap(values, 'f:labels', metadata.labels);
  addMap(values, 'f:annotations', metadata.annotations);
  addList(values, ['f:metadata', 'f:finalizers'], metadata.finalizers, (item) => `v:${JSON.stringify(item)}`);
  addList(
    values,
    ['f:metadata', 'f:ownerReferences'],
    metadata.ownerReferences,
    (item) => `k:${JSON.stringify({ uid: item['uid'] })}`,
  );
  if (scope === 'metadata') return values;
  if (status.certificate !== undefined) values.set(joinPath('f:status', 'f:certificate'), status.certificate);
  addList(
    values,
    ['f:status', 'f:conditions'],
    status.conditions,
    (item) => `k:${JSON.stringify({ type: item.type })}`,
  );
  for (const condition of status.conditions ?? []) {
    const key = ['f:status', 'f:conditions', `k:${JSON.stringify({ type: condition.type })}`];
    values.set(joinPath(...key), container);
    // Times that are missing are filled in by the server on behalf of who sets the condition.
    for (const [field, value] of Object.entries({ lastTransitionTime: '', lastUpdateTime: '', ...condition }))
      values.set(joinPath(...key, `f:${field}`), value);
  }
  return values;
}

function addMap(
  values: Map<FieldPath, string>,
  field: string,
  map: Readonly<Record<string, string>> | undefined,
): void {
  if (map === undefined) return;
  values.set(joinPath('f:metadata', field), container);
  for (const [key, value] of Object.entries(map)) values.set(joinPath('f:metadata', field, `f:${key}`), value);
}

function addList<T>(
  values: Map<FieldPath, string>,
  path: readonly string[],
  items: readonly T[] | undefined,
  key: (item: T) => string,
): void {
  if (items === undefined || items.length === 0) return;
  values.set(joinPath(...path), container);
  for (const item of items) values.set(joinPath(...path, key(item)), JSON.stringify(item));
}

type FieldTree = { [element: string]: FieldTree };

/** A set of paths as FieldsV1. */
export function toFieldsV1(paths: Iterable<FieldPath>): FieldTree {
  const root: FieldTree = {};
  const nodes: FieldTree[] = [];
  for (const path of paths) {
    let node = root;
    for (const element of splitPath(path))
      node = Object.hasOwn(node, element) ? (node[element] ?? {}) : define(node, element);
    nodes.push(node);
  }
  for (const node of nodes) if (Object.keys(node).length > 0) node['.'] = {};
  return root;
}

function define(node: FieldTree, element: string): FieldTree {
  const child: FieldTree = {};
  Object.defineProperty(node, element, { value: child, enumerable: true, configurable: true, writable: true });
  return child;
}

/** FieldsV1 as a set of paths. Anything unreadable is an empty set. */
export function fromFieldsV1(fields: unknown): Set<FieldPath> {
  const paths = new Set<FieldPath>();
  collect(fields, [], paths);
  return paths;
}

function collect(node: unknown, path: readonly string[], paths: Set<FieldPath>): void {
  if (typeof node !== 'object' || node === null || path.length > 12) return;
  const entries = Object.entries(node);
  if (entries.length === 0 && path.length > 0) paths.add(joinPath(...path));
  for (const [element, child] of entries) {
    if (element === '.') paths.add(joinPath(...path));
    else collect(child, [...path, element], paths);
  }
}

/** One entry of metadata.managedFields. `time` is RFC 3339. */
export function managedEntry(manager: Manager, paths: Iterable<FieldPath>, time: string): ManagedFieldsEntry {
  return {
    manager: manager.name,
    operation: manager.operation,
    apiVersion: groupVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(paths),
    ...(manager.subresource === undefined ? {} : { subresource: manager.subresource }),
  };
}

export function isEntryOf(entry: ManagedFieldsEntry, manager: Manager): boolean {
  return (
    entry['manager'] === manager.name &&
    entry['operation'] === manager.operation &&
    (entry['subresource'] ?? undefined) === manager.subresource
  );
}

/** Upstream's order: Apply before Update, then by time, then by manager. */
export function sortEntries(entries: readonly ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const key = (entry: ManagedFieldsEntry): string =>
    [entry['operation'], entry['time'], entry['manager'], entry['subresource'] ?? ''].join(separator);
  return [...entries].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

/**
 * The entries after an update: who changes a field owns it, what is gone nobody owns. An object that nobody tracks stays
 * untracked until something is applied to it; without a change the entries stay as they are.
 */
export function entriesAfterUpdate(
  before: CertificateRequest,
  after: CertificateRequest,
  manager: Manager,
  time: string,
): ManagedFieldsEntry[] | undefined {
  const entries = before.metadata.managedFields;
  if (entries === undefined || entries.length === 0) return undefined;
  const scope = manager.subresource === undefined ? 'metadata' : 'all';
  const old = fieldValues(before, scope);
  const now = fieldValues(after, scope);
  const changed = [...now].filter(([path, value]) => old.get(path) !== value).map(([path]) => path);
  const removed = [...old.keys()].filter((path) => !now.has(path));
  if (changed.length === 0 && removed.length === 0) return entries;
  const mine = new Set(
    entries.filter((entry) => isEntryOf(entry, manager)).flatMap((entry) => [...fromFieldsV1(entry['fieldsV1'])]),
  );
  const others = entries
    .filter((entry) => !isEntryOf(entry, manager))
    .flatMap((entry) => reduced(entry, [...removed, ...changed]));
  for (const path of removed) mine.delete(path);
  for (const path of changed) mine.add(path);
  return sortEntries(mine.size === 0 ? others : [...others, managedEntry(manager, mine, time)]);
}

/** An entry without some paths; nothing at all when none is left. */
export function reduced(entry: ManagedFieldsEntry, without: readonly FieldPath[]): ManagedFieldsEntry[] {
  const paths = fromFieldsV1(entry['fieldsV1']);
  const size = paths.size;
  for (const path of without) paths.delete(path);
  if (paths.size === size) return [entry];
  return paths.size === 0 ? [] : [{ ...entry, fieldsV1: toFieldsV1(paths) }];
}
