import { invalid, type FieldCause, RotundaError } from '../errors.js';
import type { NodeRow } from '../store/queries/nodes.js';
import { cause, checkAddress, checkDnsName, checkLabels, checkList, checkNodeName } from './names.js';
import type { Node, NodeChange, NodeDraft } from './types.js';

export type NodeFields = {
  readonly addresses: readonly string[] | undefined;
  readonly dnsNames: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
};

export function nodeOf(row: NodeRow): Node {
  return {
    name: row.name,
    uid: row.uid,
    state: row.state,
    addresses: JSON.parse(row.addresses) as string[],
    dnsNames: JSON.parse(row.dns_names) as string[],
    labels: JSON.parse(row.labels) as Record<string, string>,
    createdAt: row.created_at,
    createdBy: row.created_by,
    joinedAt: row.joined_at ?? undefined,
    disabledAt: row.disabled_at ?? undefined,
  };
}

/** Being rebuilt under its old name: expected again after it had joined. */
export function isBeingReplaced(row: NodeRow): boolean {
  return row.state === 'expected' && row.joined_at !== null;
}

/** Checks what a draft or a change says; fields that it leaves out stay undefined. Throws 'invalid' with every broken rule. */
export function readNodeFields(draft: NodeDraft): NodeFields {
  const { fields, causes } = checkNodeFields(draft);
  if (causes.length > 0) throw invalid(causes, { resource: 'nodes', kind: 'Node', name: draft.name });
  return fields;
}

/** As readNodeFields, the broken rules beside what could be read. */
export function checkNodeFields(draft: NodeDraft): { fields: NodeFields; causes: readonly FieldCause[] } {
  const causes: FieldCause[] = [];
  const name = checkNodeName(draft.name);
  if ('problem' in name) causes.push(cause('name', draft.name, name.problem));
  const addresses = draft.addresses && checkList('addresses', draft.addresses, checkAddress);
  const dnsNames = draft.dnsNames && checkList('dnsNames', draft.dnsNames, checkDnsName);
  causes.push(...(addresses?.causes ?? []), ...(dnsNames?.causes ?? []), ...checkLabels('labels', draft.labels ?? {}));
  return { fields: { addresses: addresses?.values, dnsNames: dnsNames?.values, labels: draft.labels }, causes };
}

/** What a change adds to what is enrolled. Throws 'invalid' with every broken rule. */
export function readAddedNames(change: NodeChange, name: string): Pick<NodeFields, 'addresses' | 'dnsNames'> {
  const addresses = change.addAddresses && checkList('addAddresses', change.addAddresses, checkAddress);
  const dnsNames = change.addDnsNames && checkList('addDnsNames', change.addDnsNames, checkDnsName);
  const causes = [...(addresses?.causes ?? []), ...(dnsNames?.causes ?? [])];
  if (causes.length > 0) throw invalid(causes, { resource: 'nodes', kind: 'Node', name });
  return { addresses: addresses?.values, dnsNames: dnsNames?.values };
}

/** The row of a node that is enrolled now. */
export function newNodeRow(
  fields: NodeFields & { readonly name: string },
  record: { readonly uid: string; readonly now: number; readonly by: string; readonly revision: number },
): NodeRow {
  const { name, addresses = [], dnsNames = [], labels = {} } = fields;
  return {
    name,
    uid: record.uid,
    state: 'expected',
    addresses: JSON.stringify(addresses),
    dns_names: JSON.stringify(dnsNames),
    labels: JSON.stringify(labels),
    created_at: record.now,
    created_by: record.by,
    joined_at: null,
    disabled_at: null,
    claims: '{}',
    revision: record.revision,
  };
}

/** The columns that fields are kept in; what is undefined is left out. */
export function columnsOf({ addresses, dnsNames, labels }: NodeFields): Partial<NodeRow> {
  return {
    ...(addresses && { addresses: JSON.stringify(addresses) }),
    ...(dnsNames && { dns_names: JSON.stringify(dnsNames) }),
    ...(labels && { labels: JSON.stringify(labels) }),
  };
}

export function noSuchNode(name: string): RotundaError {
  return new RotundaError('not-found', `there is no node ${JSON.stringify(name)}`, {
    object: { resource: 'nodes', kind: 'Node', name },
  });
}

/** The union of two lists, sorted. */
export function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])].sort();
}
