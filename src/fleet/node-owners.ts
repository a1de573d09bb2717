import type { Kysely } from 'kysely';

import type { FieldCause } from '../errors.js';
import { listNodeNames, type NodeRow } from '../store/queries/nodes.js';
import type { Schema } from '../store/schema.js';
import type { NodeFields } from './node-records.js';

/** A node as an import would leave it: what is undefined stays as its row has it. */
type Planned = { readonly name: string; readonly row: NodeRow | undefined; readonly next: NodeFields };

/** Nodes by what they are reached by: an address, or a DNS name, their own included. */
type Owners = Map<string, string[]>;

/**
 * By node, the addresses and DNS names that it would newly get and that are another node's, enrolled or in the same
 * import: whoever holds a certificate for a name can answer in the place of the other.
 */
export async function sharedProblems(
  db: Kysely<Schema>,
  planned: readonly Planned[],
): Promise<ReadonlyMap<string, readonly FieldCause[]>> {
  const problems = new Map<string, readonly FieldCause[]>();
  const changing = planned.filter(({ row, next }) => row === undefined || next.addresses || next.dnsNames);
  if (changing.length === 0) return problems;
  const owners = await ownersAfter(db, planned);
  for (const node of changing) {
    const found = problemsOf(node, owners);
    if (found.length > 0) problems.set(node.name, found);
  }
  return problems;
}

async function ownersAfter(db: Kysely<Schema>, planned: readonly Planned[]): Promise<Owners> {
  const owners: Owners = new Map();
  const changes = new Map(planned.map((node) => [node.name, node]));
  for (const row of await listNodeNames(db)) {
    const next = changes.get(row.name)?.next;
    changes.delete(row.name);
    own(owners, row.name, next?.addresses ?? listOf(row.addresses), next?.dnsNames ?? listOf(row.dns_names));
  }
  for (const { name, next } of changes.values()) own(owners, name, next.addresses ?? [], next.dnsNames ?? []);
  return owners;
}

function listOf(json: string): readonly string[] {
  return json === '[]' ? [] : (JSON.parse(json) as string[]);
}

/** Addresses and DNS names are never the same text. */
function own(owners: Owners, name: string, addresses: readonly string[], dnsNames: readonly string[]): void {
  for (const value of new Set([...addresses, ...dnsNames, name])) {
    const known = owners.get(value);
    if (known === undefined) owners.set(value, [name]);
    else known.push(name);
  }
}

function problemsOf({ name, row, next }: Planned, owners: Owners): readonly FieldCause[] {
  const gained = (values: readonly string[] | undefined, before: string | undefined): readonly string[] => {
    const had = new Set(listOf(before ?? '[]'));
    return (values ?? []).filter((value) => !had.has(value));
  };
  const taken = (field: string, values: readonly string[]): FieldCause[] =>
    values.flatMap((value) => {
      const other = owners.get(value)?.find((owner) => owner !== name);
      return other === undefined ? [] : [takenBy(field, value, other)];
    });
  return [
    ...taken('name', row === undefined ? [name] : []),
    ...taken('addresses', gained(next.addresses, row?.addresses)),
    ...taken('dnsNames', gained(next.dnsNames, row?.dns_names)),
  ];
}

function takenBy(field: string, value: string, other: string): FieldCause {
  return {
    field,
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${JSON.stringify(value)}: it belongs to the node ${JSON.stringify(other)}`,
    hint: 'a certificate for it would let one machine answer in the place of the other; if they do share it, say so',
  };
}
