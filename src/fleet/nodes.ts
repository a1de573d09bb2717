import { banCertificatesOf } from '../identity/ban-certificates.js';
import type { Identity } from '../identity/types.js';
import {
  deleteNode,
  findNode,
  insertNode,
  nodeCertificates,
  type NodeRow,
  snapshotNodes,
} from '../store/queries/nodes.js';
import { revokeTokensOf } from '../store/queries/tokens.js';
import type { WriteTx } from '../store/types.js';
import { makeUid } from './names.js';
import { alreadyEnrolled, createNodeEditing } from './node-edit.js';
import { createNodeImport } from './node-import.js';
import { createNodeJoining } from './node-joining.js';
import { listPage } from './node-list.js';
import {
  disabledConflict,
  disableNode,
  enableNode,
  type NodesOptions,
  type NodesRoom,
  replaceNode,
} from './node-states.js';
import {
  changedList,
  mustFindNode,
  columnsOf,
  newNodeRow,
  type NodeFields,
  nodeOf,
  publishNode,
  readNameChanges,
  readNodeFields,
  union,
  updateRow,
} from './node-records.js';
import type { Node, NodeChange, NodeDraft, Nodes } from './types.js';

const clientProfile = 'kubernetes.io/kube-apiserver-client-kubelet';

/** The enrolled machines. Every change is one transaction with its audit event. */
export function createNodes(options: NodesOptions): Nodes {
  const { store } = options;
  const room: NodesRoom = { ...options, change: changeOf(options) };
  return {
    enrol: (draft, actor) =>
      store.write(async (tx) => {
        const fields = readNodeFields(draft);
        if ((await findNode(tx.db, draft.name)) !== undefined) throw alreadyEnrolled(draft.name);
        return insert(room, tx, draft.name, fields, actor);
      }),
    ensure: (tx, draft, actor) => ensure(room, tx, draft, actor),
    update: (name, change, actor) => store.write((tx) => update(room, tx, { ...change, name }, actor)),
    import: createNodeImport(options),
    list: (page) => listPage(store.db, page),
    get: async (name) => nodeOf(await mustFindNode(store.db, name)),
    find: async (name) => {
      const row = await findNode(store.db, name);
      return row === undefined ? undefined : nodeOf(row);
    },
    disable: (name, { actor, reason }) => store.write((tx) => disableNode(room, tx, { name, actor, reason })),
    enable: (name, actor) => store.write((tx) => enableNode(room, tx, name, actor)),
    replace: (name, actor) => store.write((tx) => replaceNode(room, tx, name, actor)),
    delete: async (name, actor, { check = () => undefined, dryRun = false } = {}) => {
      if (!dryRun) return store.write((tx) => remove(room, tx, { name, actor, check }));
      const node = nodeOf(await mustFindNode(store.db, name));
      check(node);
      return node;
    },
    certificates: async (names) => {
      const query = { nodes: names, profile: clientProfile, now: options.clock.now().getTime() };
      const rows = await nodeCertificates(store.db, query);
      return new Map(rows.map((row) => [row.node, { serial: row.serial, notAfter: row.not_after }]));
    },
    snapshot: async (page) => {
      const { items, revision } = await snapshotNodes(store.db, page);
      return { items: items.map(nodeOf), revision };
    },
    ...createNodeEditing(store, {
      insert: (tx, name, fields, actor) => insert(room, tx, name, fields, actor),
      setFields: (tx, row, fields, actor) => setFields(room, tx, row, fields, actor),
      disable: (tx, name, actor) => disableNode(room, tx, { name, actor, reason: undefined }),
      enable: (tx, name, actor) => enableNode(room, tx, name, actor),
    }),
    ...createNodeJoining(options),
  };
}

function changeOf(options: NodesOptions): NodesRoom['change'] {
  return async (tx, row, { set, action, detail = {} }, actor, now) => {
    const next = await updateRow(tx, row, set);
    await tell(options, tx, { action, name: row.name, actor, detail, now });
    return nodeOf(next);
  };
}

/** The audit event of a change, and the call that re-opens waiting requests. */
async function tell(
  { audit, factsChanged }: NodesOptions,
  tx: WriteTx,
  event: { action: string; name: string; actor: Identity; detail: Readonly<Record<string, unknown>>; now: number },
): Promise<void> {
  const { action, name, actor, detail, now } = event;
  await audit.record(tx, { action, actor: actor.username, resource: 'nodes', name, outcome: 'ok', detail, at: now });
  tx.onCommit(() => {
    factsChanged({ node: name });
  });
}

async function insert(room: NodesRoom, tx: WriteTx, name: string, fields: NodeFields, actor: Identity): Promise<Node> {
  const now = room.clock.now().getTime();
  const { addresses = [], dnsNames = [] } = fields;
  const record = { uid: makeUid(room.random), now, by: actor.username, revision: tx.nextRevision() };
  const row = newNodeRow({ ...fields, name }, record);
  await insertNode(tx.db, row);
  await publishNode(tx, { type: 'ADDED', row });
  const detail = { addresses, dnsNames };
  await tell(room, tx, { action: 'node.enrolled', name, actor, detail, now });
  return nodeOf(row);
}

async function ensure(room: NodesRoom, tx: WriteTx, draft: NodeDraft, actor: Identity): Promise<Node> {
  const fields = readNodeFields(draft);
  const row = await findNode(tx.db, draft.name);
  if (row === undefined) return insert(room, tx, draft.name, fields, actor);
  if (row.state === 'disabled') throw disabledConflict(draft.name);
  const node = nodeOf(row);
  const addresses = union(node.addresses, fields.addresses ?? []);
  const dnsNames = union(node.dnsNames, fields.dnsNames ?? []);
  if (addresses.length === node.addresses.length && dnsNames.length === node.dnsNames.length) return node;
  return setFields(room, tx, row, { addresses, dnsNames, labels: undefined, annotations: undefined }, actor);
}

async function update(
  room: NodesRoom,
  tx: WriteTx,
  { name, ...change }: NodeChange & { name: string },
  actor: Identity,
): Promise<Node> {
  const { addAddresses: _a, addDnsNames: _d, removeAddresses: _ra, removeDnsNames: _rd, ...replaced } = change;
  const fields = readNodeFields({ name, ...replaced });
  const named = readNameChanges(change, name);
  const row = await mustFindNode(tx.db, name);
  const node = nodeOf(row);
  const lists = {
    addresses: changedList(fields.addresses ?? node.addresses, named.addresses),
    dnsNames: changedList(fields.dnsNames ?? node.dnsNames, named.dnsNames),
  };
  // Read once more: the lists are within their limits only as they are now.
  return setFields(room, tx, row, readNodeFields({ name, ...replaced, ...defined(lists) }), actor);
}

/** What is left out stays; a list with nothing added to or removed from it is left out. */
function defined(lists: Pick<NodeFields, 'addresses' | 'dnsNames'>): Pick<NodeDraft, 'addresses' | 'dnsNames'> {
  const { addresses, dnsNames } = lists;
  return { ...(addresses && { addresses }), ...(dnsNames && { dnsNames }) };
}

function setFields(room: NodesRoom, tx: WriteTx, row: NodeRow, fields: NodeFields, actor: Identity): Promise<Node> {
  const { addresses, dnsNames } = fields;
  return room.change(
    tx,
    row,
    { set: columnsOf(fields), action: 'node.updated', detail: { addresses, dnsNames } },
    actor,
    room.clock.now().getTime(),
  );
}

/** Forgets the node: its live certificates are banned one by one and its tokens revoked, so that its name is free again. */
async function remove(
  room: NodesRoom,
  tx: WriteTx,
  { name, actor, check }: { name: string; actor: Identity; check: (current: Node) => void },
): Promise<Node> {
  const row = await mustFindNode(tx.db, name);
  check(nodeOf(row));
  const now = room.clock.now().getTime();
  const cause = { reason: 'cessationOfOperation', actor: actor.username, now };
  const certificates = await banCertificatesOf(tx, room.bans, { node: name }, cause);
  await revokeTokensOf(tx, { node: name });
  if (row.state === 'disabled') await room.bans.remove(tx, 'identity', room.clientRing, `system:node:${name}`);
  await deleteNode(tx.db, name);
  await room.forgotten?.(tx, { node: name }, actor);
  const last = { ...row, revision: tx.nextRevision() };
  await publishNode(tx, { type: 'DELETED', row: last });
  const detail = { certificates };
  await tell(room, tx, { action: 'node.deleted', name, actor, detail, now });
  return nodeOf(last);
}
