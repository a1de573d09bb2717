import { localFailure } from './failure.js';
import type { Entry } from './node-entries.js';

const mostShown = 50;

/**
 * Refuses names that a file has twice and, unless `allowShared`, addresses and DNS names that it gives to two nodes: the
 * server sees one part of a long file at a time. Throws a local failure with both places of each.
 */
export function refuseRepeats(entries: readonly Entry[], allowShared: boolean): void {
  const seen = new Map<string, Entry>();
  const problems: string[] = [];
  for (const entry of entries) {
    for (const [what, value] of valuesOf(entry, allowShared)) {
      const before = seen.get(value);
      if (before === undefined) seen.set(value, entry);
      else if (before !== entry)
        problems.push(`${entry.where}: the ${what} ${JSON.stringify(value)} is in ${before.where} too`);
    }
  }
  if (problems.length === 0) return;
  const [only = ''] = problems;
  const hints = ['a name is one node; --allow-shared lets several nodes have the same address or DNS name'];
  if (problems.length === 1) throw localFailure(only, { hints });
  const rest = problems.length - mostShown;
  const details = rest > 0 ? [...problems.slice(0, mostShown), `and ${rest} more`] : problems;
  throw localFailure('entries are there twice', { details, hints });
}

function valuesOf({ draft }: Entry, allowShared: boolean): readonly (readonly [what: string, value: string])[] {
  if (typeof draft !== 'object' || draft === null) return [];
  const { name, addresses, dnsNames } = draft as Readonly<Record<string, unknown>>;
  const values = [
    ...named('name', [name]),
    ...(allowShared ? [] : [...named('address', addresses), ...named('DNS name', dnsNames)]),
  ];
  return values.map(([what, value]) => [what, value.toLowerCase()] as const);
}

function named(what: string, values: unknown): readonly (readonly [string, string])[] {
  const texts = Array.isArray(values) ? (values as unknown[]).filter((value) => typeof value === 'string') : [];
  return texts.map((value) => [what, value] as const);
}
