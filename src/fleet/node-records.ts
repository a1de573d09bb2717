import type { Kysely } from 'kysely';

import { invalid, type FieldCause, RotundaError } from '../errors.js';
import { findNode, type NodeRow, updateNode } from '../store/queries/nodes.js';
import type { Schema } from '../store/schema.js';
import type { ChangeType, WriteTx } from '../store/types.js';
import { cause, checkAddress, checkDnsName, checkLabels, checkList, checkNodeName } from './names.js';
import type { Node, NodeChange, NodeDraft } from './types.js';

export type NodeFields = {
  readonly addresses: readonly string[] | undefined;
  readonly dnsNames: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
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
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    revision: row.revision,
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
  const { labels, annotations } = draft;
  return { fields: { addresses: addresses?.values, dnsNames: dnsNames?.values, labels, annotations }, causes };
}

type ListChange = { readonly add: readonly string[]; readonly remove: readonly string[] };

/** What a change adds to and removes from what is enrolled. Throws 'invalid' with every broken rule. */
export function readNameChanges(change: NodeChange, name: string): Record<'addresses' | 'dnsNames', ListChange> {
  const causes: FieldCause[] = [];
  const read = (field: keyof NodeChange, texts: readonly string[] | undefined, check: typeof checkAddress) => {
    const list = checkList(field, texts ?? [], check);
    causes.push(...list.causes);
    return list.values;
  };
  const { addAddresses, addDnsNames, removeAddresses, removeDnsNames } = change;
  const addresses = {
    add: read('addAddresses', addAddresses, checkAddress),
    remove: read('removeAddresses', removeAddresses, checkAddress),
  };
  const dnsNames = {
    add: read('addDnsNames', addDnsNames, checkDnsName),
    remove: read('removeDnsNames', removeDnsNames, checkDnsName),
  };
  if (causes.length > 0) throw invalid(causes, { resource: 'nodes', kind: 'Node', name });
  return { addresses, dnsNames };
}

/** The list after a change, sorted; undefined when there is nothing to change. */
export function changedList(current: readonly string[], { add, remove }: ListChange): readonly string[] | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  return union(
    current.filter((value) => !remove.includes(value)),
    add,
  );
}

/** The row of a node that is enrolled now. */
export function newNodeRow(
  fields: NodeFields & { readonly name: string },
  record: { readonly uid: string; readonly now: number; readonly by: string; readonly revision: number },
): NodeRow {
  const { name, addresses = [], dnsNames = [], labels = {}, annotations = {} } = fields;
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
    annotations: JSON.stringify(annotations),
  };
}

/** The columns that fields are kept in; what is undefined is left out. */
export function columnsOf({ addresses, dnsNames, labels, annotations }: NodeFields): Partial<NodeRow> {
  return {
    ...(addresses && { addresses: JSON.stringify(addresses) }),
    ...(dnsNames && { dns_names: JSON.stringify(dnsNames) }),
    ...(labels && { labels: JSON.stringify(labels) }),
    ...(annotations && { annotations: JSON.stringify(annotations) }),
  };
}

/** Appends a node's change to the change log: the node as JSON, under its row's revision. */
export function publishNode(
  tx: WriteTx,
  change: { readonly type: ChangeType; readonly row: NodeRow; readonly before?: NodeRow },
): Promise<void> {
  const { type, row, before } = change;
  const previous = before === undefined ? undefined : JSON.stringify(nodeOf(before));
  const object = JSON.stringify(nodeOf(row));
  return tx.publish({ revision: row.revision, resource: 'nodes', name: row.name, type, object, previous });
}

/** Writes a change of a node's row under the next revision, and tells the change log. */
export async function updateRow(tx: WriteTx, row: NodeRow, set: Partial<NodeRow>): Promise<NodeRow> {
  const next = { ...row, ...set, revision: tx.nextRevision() };
  await updateNode(tx.db, row.name, { ...set, revision: next.revision });
  await publishNode(tx, { type: 'MODIFIED', row: next, before: row });
  return next;
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

/** Throws 'not-found'. */
export async function mustFindNode(db: Kysely<Schema>, name: string): Promise<NodeRow> {
  const row = await findNode(db, name);
  if (row === undefined) throw noSuchNode(name);
  return row;
}
