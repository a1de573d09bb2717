import type { Audit } from '../audit/types.js';
import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import type { Bans, Identity } from '../identity/types.js';
import type { NodeRow } from '../store/queries/nodes.js';
import type { Store, WriteTx } from '../store/types.js';
import { mustFindNode, nodeOf } from './node-records.js';
import type { FactsChanged, HolderForgotten, Node } from './types.js';

export type NodesOptions = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly bans: Bans;
  /** The ring whose certificates authenticate nodes; a disabled node's name is banned there. */
  readonly clientRing: string;
  readonly factsChanged: FactsChanged;
  readonly forgotten?: HolderForgotten;
};

export type NodeChangeRecord = {
  readonly set: Partial<NodeRow>;
  readonly action: string;
  readonly detail?: Readonly<Record<string, unknown>>;
};
/** What the writes of nodes share. */
export type NodesRoom = NodesOptions & {
  /** Writes one change of one node with its revision, its audit event, and the call that re-opens waiting requests. */
  readonly change: (tx: WriteTx, row: NodeRow, change: NodeChangeRecord, actor: Identity, now: number) => Promise<Node>;
};

/** Bans the node's identity: its certificates and every renewal are refused at once. */
export async function disableNode(
  room: NodesRoom,
  tx: WriteTx,
  options: { name: string; actor: Identity; reason: string | undefined },
): Promise<Node> {
  const { name, actor, reason = 'disabled by an operator' } = options;
  const row = await mustFindNode(tx.db, name);
  if (row.state === 'disabled') return nodeOf(row);
  const now = room.clock.now().getTime();
  const value = `system:node:${name}`;
  await room.bans.add(tx, {
    kind: 'identity',
    ring: room.clientRing,
    value,
    reason,
    createdAt: now,
    createdBy: actor.username,
  });
  return room.change(
    tx,
    row,
    { set: { state: 'disabled', disabled_at: now }, action: 'node.disabled', detail: { reason } },
    actor,
    now,
  );
}

/** A node that had joined counts as joined again, with the certificates it had. */
export async function enableNode(room: NodesRoom, tx: WriteTx, name: string, actor: Identity): Promise<Node> {
  const row = await mustFindNode(tx.db, name);
  if (row.state !== 'disabled') return nodeOf(row);
  await room.bans.remove(tx, 'identity', room.clientRing, `system:node:${name}`);
  const state = row.joined_at === null ? 'expected' : 'joined';
  const set = { state, disabled_at: null } as const;
  return room.change(tx, row, { set, action: 'node.enabled' }, actor, room.clock.now().getTime());
}

/** Its old certificates go on working until the rebuilt machine is given one. */
export async function replaceNode(room: NodesRoom, tx: WriteTx, name: string, actor: Identity): Promise<Node> {
  const row = await mustFindNode(tx.db, name);
  if (row.state === 'disabled') throw disabledConflict(name);
  const set = { state: 'expected', claims: '{}' } as const;
  return room.change(tx, row, { set, action: 'node.replaced' }, actor, room.clock.now().getTime());
}

/** What is refused for a node until it is enabled. */
export function disabledConflict(name: string): RotundaError {
  return new RotundaError('conflict', `node ${JSON.stringify(name)} is disabled`, {
    object: { resource: 'nodes', kind: 'Node', name },
    hint: `rotunda node enable ${name} lifts that`,
  });
}
