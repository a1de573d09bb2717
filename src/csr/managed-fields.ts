import { isDeepStrictEqual } from 'node:util';

import type { CertificateRequest, ManagedFieldsEntry, ObjectMeta, UpdateOptions } from './types.js';

type Fields = Record<string, object>;

/**
 * Who set which metadata at creation: one entry as upstream writes it, and none for an object that has nothing but a
 * name and a spec.
 */
export function creationFields(
  metadata: ObjectMeta,
  manager: string | undefined,
  time: string,
): ManagedFieldsEntry | undefined {
  if (manager === undefined) return undefined;
  const fields: Fields = {};
  if (metadata.annotations !== undefined) fields['f:annotations'] = keysOf(metadata.annotations);
  if (metadata.finalizers !== undefined) {
    fields['f:finalizers'] = setOf(metadata.finalizers.map((f) => `v:${JSON.stringify(f)}`));
  }
  if (metadata.generateName !== undefined) fields['f:generateName'] = {};
  if (metadata.labels !== undefined) fields['f:labels'] = keysOf(metadata.labels);
  if (metadata.ownerReferences !== undefined) fields['f:ownerReferences'] = {};
  if (Object.keys(fields).length === 0) return undefined;
  return entry(manager, time, { 'f:metadata': fields });
}

function keysOf(map: Readonly<Record<string, string>>): Record<string, object> {
  return setOf(Object.keys(map).map((key) => `f:${key}`));
}

/** A map or a list itself, and entries of it. */
function setOf(keys: readonly string[]): Fields {
  const fields: Fields = { '.': {} };
  for (const key of keys) fields[key] = {};
  return fields;
}

function entry(manager: string, time: string, fields: Fields): ManagedFieldsEntry {
  return {
    manager,
    operation: 'Update',
    apiVersion: 'certificates.k8s.io/v1',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
  };
}

/**
 * The edit noted as upstream notes it: on an object that has managed fields, under the editor's name and endpoint. An
 * object without any stays without, and an edit that brings its own (server-side apply) is taken as it is.
 */
export function updatedFields(
  prepared: CertificateRequest,
  stored: CertificateRequest,
  { endpoint, fieldManager }: UpdateOptions,
  time: string,
): CertificateRequest {
  const before = stored.metadata.managedFields;
  if (fieldManager === undefined || before === undefined || !isDeepStrictEqual(before, prepared.metadata.managedFields))
    return prepared;
  const fields = changedFields(prepared, stored);
  if (Object.keys(fields).length === 0) return prepared;
  const subresource = endpoint === 'main' ? undefined : endpoint;
  const isOwn = (e: ManagedFieldsEntry): boolean =>
    e['manager'] === fieldManager && e['operation'] === 'Update' && e['subresource'] === subresource;
  const own = before.find(isOwn);
  const merged = mergeFields((own?.['fieldsV1'] ?? {}) as Fields, fields);
  const next = { ...entry(fieldManager, time, merged), ...(subresource === undefined ? {} : { subresource }) };
  const managedFields = own === undefined ? [...before, next] : before.map((e) => (isOwn(e) ? next : e));
  return { ...prepared, metadata: { ...prepared.metadata, managedFields } };
}

function changedFields(prepared: CertificateRequest, stored: CertificateRequest): Fields {
  const metadata: Fields = {};
  for (const key of ['labels', 'annotations'] as const) {
    const before = stored.metadata[key] ?? {};
    const changed = Object.entries(prepared.metadata[key] ?? {}).filter(([name, value]) => before[name] !== value);
    if (changed.length > 0) metadata[`f:${key}`] = Object.fromEntries(changed.map(([name]) => [`f:${name}`, {}]));
  }
  const status: Fields = {};
  const conditions = (prepared.status.conditions ?? []).filter(
    (c) => !(stored.status.conditions ?? []).some((d) => isDeepStrictEqual(c, d)),
  );
  if (conditions.length > 0) {
    const entries: Fields = { '.': {} };
    for (const c of conditions)
      entries[`k:${JSON.stringify({ type: c.type })}`] = setOf(Object.keys(c).map((k) => `f:${k}`));
    status['f:conditions'] = entries;
  }
  if (prepared.status.certificate !== stored.status.certificate) status['f:certificate'] = {};
  return {
    ...(Object.keys(metadata).length > 0 ? { 'f:metadata': metadata } : {}),
    ...(Object.keys(status).length > 0 ? { 'f:status': status } : {}),
  };
}

function mergeFields(a: Fields, b: Fields): Fields {
  const merged: Fields = { ...a };
  for (const [key, value] of Object.entries(b))
    merged[key] = mergeFields((merged[key] ?? {}) as Fields, value as Fields);
  return merged;
}
