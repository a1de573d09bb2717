import { RotundaError } from '../../errors.js';
import type { CertificateRequest } from '../../csr/types.js';
import { type LabelRequirement, matchesLabels, parseLabelSelector } from './label-selector.js';
import { first, type Query } from './target.js';

export type FieldTerm = {
  readonly field: string;
  readonly negated: boolean;
  readonly value: string;
};

/** Both selectors of a list or watch, parsed. */
export type Selection = {
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldTerm[];
  /** The one name that is asked for. */
  readonly name: string | undefined;
  readonly signerName: string | undefined;
  /** Nothing but `name` is asked for, or nothing at all. */
  readonly byNameOnly: boolean;
  readonly everything: boolean;
};

/** Reads both selectors. Throws 'bad-request' in upstream's words. */
export function parseSelection(query: Query): Selection {
  const labels = parseLabelSelector(first(query['labelSelector']) ?? '');
  const fields = parseFieldTerms(first(query['fieldSelector']) ?? '', requireKnownField);
  const exact = (field: FieldTerm['field']): string | undefined =>
    fields.find((term) => term.field === field && !term.negated)?.value;
  const name = exact('metadata.name');
  return {
    labels,
    fields,
    name,
    signerName: exact('spec.signerName'),
    byNameOnly:
      labels.length === 0 &&
      fields.every((term) => term.field === 'metadata.name' && !term.negated && term.value === name),
    everything: labels.length === 0 && fields.length === 0,
  };
}

export function matchesSelection(
  selection: Selection,
  request: Pick<CertificateRequest, 'metadata' | 'spec'>,
): boolean {
  for (const { field, negated, value } of selection.fields) {
    const actual = field === 'metadata.name' ? request.metadata.name : request.spec.signerName;
    if ((actual === value) === negated) return false;
  }
  return matchesLabels(selection.labels, request.metadata.labels ?? {});
}

function requireKnownField(field: string): void {
  if (field !== 'metadata.name' && field !== 'spec.signerName')
    throw new RotundaError('bad-request', `field label not supported: ${field}`);
}

/** Reads a field selector; `check` throws for a field that the kind does not have. Throws 'bad-request' in upstream's words. */
export function parseFieldTerms(text: string, check: (field: string) => void): FieldTerm[] {
  if (text === '') return [];
  const terms: FieldTerm[] = [];
  for (const part of splitTerms(text)) {
    if (part === '') continue;
    const found = /^((?:\\.|[^=!\\])*?)(!=|==|=)([^]*)$/.exec(part);
    if (found === null)
      throw new RotundaError('bad-request', `invalid selector: '${text}'; can't understand '${part}'`);
    const [, field = '', operator, raw = ''] = found;
    check(field);
    terms.push({ field, negated: operator === '!=', value: unescape(raw) });
  }
  return terms;
}

function splitTerms(text: string): string[] {
  return text.match(/(?:\\.|[^,\\])+|(?<=,)(?=,)/gs) ?? [];
}

function unescape(value: string): string {
  return value.replace(/\\(.?)|=/gs, (found, escaped: string | undefined) => {
    if (found === '=') throw new RotundaError('bad-request', `invalid field selector: unescaped = in '${value}'`);
    if (escaped !== undefined && escaped !== '' && '\\,='.includes(escaped)) return escaped;
    throw new RotundaError('bad-request', `invalid field selector: invalid escape sequence: ${found}`);
  });
}
