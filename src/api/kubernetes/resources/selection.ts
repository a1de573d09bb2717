import { RotundaError } from '../../../errors.js';
import { type LabelRequirement, matchesLabels, parseLabelSelector } from '../label-selector.js';
import { type FieldTerm, parseFieldTerms } from '../selectors.js';
import { first, type Query } from '../target.js';
import type { PlainObject, ResourceKind } from './types.js';

/** Both selectors of a list or watch, parsed for one kind. */
export type PlainSelection = {
  /** The one name that is asked for. */
  readonly name: string | undefined;
  readonly everything: boolean;
  readonly matches: (object: PlainObject) => boolean;
};

/** Reads both selectors. Throws 'bad-request' in upstream's words. */
export function parseSelection(kind: ResourceKind, query: Query): PlainSelection {
  const labels = parseLabelSelector(first(query['labelSelector']) ?? '');
  const fields = parseFieldTerms(first(query['fieldSelector']) ?? '', (field) => {
    if (!isKnown(kind, field)) throw unknownField(kind, field);
  });
  return {
    name: fields.find(({ field, negated }) => field === 'metadata.name' && !negated)?.value,
    everything: labels.length === 0 && fields.length === 0,
    matches: (object) => matchesFields(kind, fields, object) && matches(labels, object),
  };
}

function matches(labels: readonly LabelRequirement[], { metadata }: PlainObject): boolean {
  return matchesLabels(labels, metadata.labels ?? {});
}

function matchesFields(kind: ResourceKind, terms: readonly FieldTerm[], object: PlainObject): boolean {
  return terms.every(({ field, negated, value }) => (valueOf(kind, field, object) === value) !== negated);
}

function valueOf(kind: ResourceKind, field: string, object: PlainObject): string {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return kind.fields[field]?.(object) ?? '';
}

function isKnown({ namespaced, fields }: ResourceKind, field: string): boolean {
  return field === 'metadata.name' || (namespaced && field === 'metadata.namespace') || Object.hasOwn(fields, field);
}

function unknownField({ namespaced, fields }: ResourceKind, field: string): RotundaError {
  // Upstream says it in one way for kinds with selectors of their own, and in another for the rest.
  if (Object.keys(fields).length > 0) return new RotundaError('bad-request', `field label not supported: ${field}`);
  const known = namespaced ? '"metadata.name", "metadata.namespace"' : '"metadata.name"';
  return new RotundaError('bad-request', `${JSON.stringify(field)} is not a known field selector: only ${known}`);
}
