import type { FieldCause } from '../errors.js';
import { forbidden, invalidValue, required, requireFew, tooLong } from './causes.js';
import { labelValueMessages, pathSegmentMessages, qualifiedNameMessages } from './syntax.js';
import type { ObjectMeta } from './types.js';

const largestAnnotations = 256 * 1024;
const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** Upstream's ValidateObjectMeta for a cluster-scoped object whose name has no rule of its own, in its order of causes. Throws 'too-large'. */
export function metadataCauses(metadata: Partial<ObjectMeta>): FieldCause[] {
  const causes: FieldCause[] = [];
  if (metadata.name === undefined || metadata.name === '') {
    causes.push(required('metadata.name', 'name or generateName is required'));
  }
  if ((metadata.generation ?? 0) < 0) {
    causes.push(invalidValue('metadata.generation', metadata.generation, 'must be greater than or equal to 0'));
  }
  if (metadata.labels !== undefined) causes.push(...labelCauses(metadata.labels));
  if (metadata.annotations !== undefined) causes.push(...annotationCauses(metadata.annotations));
  if (metadata.ownerReferences !== undefined) causes.push(...ownerCauses(metadata.ownerReferences));
  if (metadata.finalizers !== undefined) causes.push(...finalizerCauses(metadata.finalizers));
  return causes;
}

/** The rule that upstream checks on its own, after all others have passed: the name must fit into a path. */
export function pathNameCauses(name: string): FieldCause[] {
  return pathSegmentMessages(name).map((message) => invalidValue('metadata.name', name, message));
}

/** A deleting object may lose finalizers and not gain any. */
export function newFinalizerCauses(wanted: ObjectMeta, stored: ObjectMeta): FieldCause[] {
  if (stored.deletionTimestamp === undefined) return [];
  const added = (wanted.finalizers ?? []).filter((f) => !(stored.finalizers ?? []).includes(f)).sort();
  if (added.length === 0) return [];
  const list = `[]string{${added.map((f) => JSON.stringify(f)).join(', ')}}`;
  const text = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
  return [forbidden('metadata.finalizers', text)];
}

function labelCauses(labels: Readonly<Record<string, string>>): FieldCause[] {
  const entries = Object.entries(labels);
  requireFew('metadata.labels', entries.length);
  return entries.flatMap(([key, value]) => [
    ...qualifiedNameMessages(key).map((message) => invalidValue('metadata.labels', key, message)),
    ...labelValueMessages(value).map((message) => invalidValue('metadata.labels', value, message)),
  ]);
}

function annotationCauses(annotations: Readonly<Record<string, string>>): FieldCause[] {
  const field = 'metadata.annotations';
  const causes: FieldCause[] = [];
  let size = 0;
  const entries = Object.entries(annotations);
  requireFew(field, entries.length);
  for (const [key, value] of entries) {
    causes.push(...qualifiedNameMessages(key.toLowerCase()).map((message) => invalidValue(field, key, message)));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > largestAnnotations) causes.push(tooLong(field, largestAnnotations));
  return causes;
}

function ownerCauses(owners: readonly Readonly<Record<string, unknown>>[]): FieldCause[] {
  requireFew('metadata.ownerReferences', owners.length);
  return owners.flatMap((owner, index) =>
    ['apiVersion', 'kind', 'name', 'uid']
      .filter((key) => owner[key] === undefined || owner[key] === '')
      .map((key) =>
        invalidValue(
          `metadata.ownerReferences[${String(index)}].${key}`,
          '',
          `${key === 'apiVersion' ? 'version' : key} must not be empty`,
        ),
      ),
  );
}

function finalizerCauses(finalizers: readonly string[]): FieldCause[] {
  const field = 'metadata.finalizers';
  requireFew(field, finalizers.length);
  const causes = finalizers.flatMap((finalizer) => {
    const messages = qualifiedNameMessages(finalizer);
    if (messages.length === 0 && !finalizer.includes('/') && !standardFinalizers.has(finalizer)) {
      messages.push('name is neither a standard finalizer name nor is it fully qualified');
    }
    return messages.map((message) => invalidValue(field, finalizer, message));
  });
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    causes.push(invalidValue(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return causes;
}
