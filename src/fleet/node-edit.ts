import { isDeepStrictEqual } from 'node:util';

import type { Kysely } from 'kysely';

import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { findNode, type NodeRow } from '../store/queries/nodes.js';
import type { Schema } from '../store/schema.js';
import type { Store, WriteTx } from '../store/types.js';
import { columnsOf, newNodeRow, type NodeFields, nodeOf, noSuchNode, readNodeFields } from './node-records.js';
import type { Node, NodeEdit, Nodes } from './types.js';

/** The writes of one node, each with its audit event. */
type Writes = {
  readonly insert: (tx: WriteTx, name: string, fields: NodeFields, actor: Identity) => Promise<Node>;
  readonly setFields: (tx: WriteTx, row: NodeRow, fields: NodeFields, actor: Identity) => Promise<Node>;
  readonly disable: (tx: WriteTx, name: string, actor: Identity) => Promise<Node>;
  readonly enable: (tx: WriteTx, name: string, actor: Identity) => Promise<Node>;
};

/** Enrolling and changing a node as a whole, as declarative clients do: they say how it shall be, not what to do. */
export function createNodeEditing(store: Store, writes: Writes): Pick<Nodes, 'add' | 'edit'> {
  return {
    add: (name, edit, { actor, dryRun }) => {
      const fields = fieldsOf(name, edit);
      const mustBeNew = async (db: Kysely<Schema>): Promise<void> => {
        if ((await findNode(db, name)) !== undefined) throw alreadyEnrolled(name);
      };
      if (dryRun) return mustBeNew(store.db).then(() => imagined(name, fields, edit));
      return store.write(async (tx) => {
        await mustBeNew(tx.db);
        const node = await writes.insert(tx, name, fields, actor);
        return edit.disabled === true ? writes.disable(tx, name, actor) : node;
      });
    },
    edit: async (name, change, { actor, dryRun }) => {
      if (dryRun) return planned(await findNode(store.db, name), name, change).next;
      return store.write((tx) => carryOut(writes, tx, name, change, actor));
    },
  };
}

export function alreadyEnrolled(name: string): RotundaError {
  return new RotundaError('already-exists', `node ${JSON.stringify(name)} is enrolled already`, {
    object: { resource: 'nodes', kind: 'Node', name },
  });
}

function fieldsOf(name: string, edit: NodeEdit): NodeFields {
  const { addresses = [], dnsNames = [], labels = {}, annotations = {} } = edit;
  return readNodeFields({ name, addresses, dnsNames, labels, annotations });
}

/** A node that is not enrolled: without uid, and of no time. */
function imagined(name: string, fields: NodeFields, { disabled }: NodeEdit): Node {
  const node = nodeOf(newNodeRow({ ...fields, name }, { uid: '', now: 0, by: '', revision: 0 }));
  return disabled === true ? { ...node, state: 'disabled' } : node;
}

type Planned = {
  readonly row: NodeRow;
  /** As it will show, but for the revision. */
  readonly next: Node;
  /** Undefined where they are as they were. */
  readonly fields: NodeFields | undefined;
  readonly toggle: 'disable' | 'enable' | undefined;
};

function planned(row: NodeRow | undefined, name: string, change: (current: Node) => NodeEdit): Planned {
  if (row === undefined) throw noSuchNode(name);
  const current = nodeOf(row);
  const edit = change(current);
  const fields = fieldsOf(name, edit);
  const next = nodeOf({ ...row, ...columnsOf(fields) });
  const was = current.state === 'disabled';
  const becomes = edit.disabled ?? false;
  return {
    row,
    next: was === becomes ? next : { ...next, state: becomes ? 'disabled' : enabledState(current) },
    fields: isDeepStrictEqual(next, current) ? undefined : fields,
    toggle: was === becomes ? undefined : becomes ? 'disable' : 'enable',
  };
}

function enabledState({ joinedAt }: Node): Node['state'] {
  return joinedAt === undefined ? 'expected' : 'joined';
}

async function carryOut(
  writes: Writes,
  tx: WriteTx,
  name: string,
  change: (current: Node) => NodeEdit,
  actor: Identity,
): Promise<Node> {
  const { row, fields, toggle } = planned(await findNode(tx.db, name), name, change);
  const node = fields === undefined ? nodeOf(row) : await writes.setFields(tx, row, fields, actor);
  return toggle === undefined ? node : writes[toggle](tx, name, actor);
}
