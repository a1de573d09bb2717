import type { Audit } from '../audit/types.js';
import { RotundaError } from '../errors.js';
import { banCertificatesOf, banSerial } from '../identity/ban-certificates.js';
import type { Bans } from '../identity/types.js';
import { findNode, markNodeJoined, type NodeRow, updateNodeClaims } from '../store/queries/nodes.js';
import type { WriteTx } from '../store/types.js';
import { advanceClaims, parseClaims } from './claims.js';
import { isBeingReplaced, publishNode } from './node-records.js';
import type { FactsChanged, Nodes } from './types.js';

type Options = {
  readonly audit: Audit;
  readonly bans: Bans;
  readonly clientRing: string;
  readonly factsChanged: FactsChanged;
};

const service = 'system:rotunda';

/** The user that a node's certificates make. */
const userOf = (node: string): string => `system:node:${node}`;

/** How an expected node becomes a joined one: issuing's and authentication's half of enrolment. */
export function createNodeJoining(options: Options): Pick<Nodes, 'claim' | 'issued' | 'firstUsed' | 'joined'> {
  return {
    claim: (tx, claim) => claimFor(options, tx, claim),
    issued: async (tx, { node, serial, now, requester }) => {
      const row = await findNode(tx.db, node);
      if (row?.state === 'disabled') throw new RotundaError('forbidden', `node ${JSON.stringify(node)} is disabled`);
      if (row === undefined || requester === userOf(node)) return;
      await supersede(options, tx, row, { serial, now });
    },
    firstUsed: (tx, use) => firstUsed(options, tx, use),
    joined: async (tx, name, now) => {
      const row = await findNode(tx.db, name);
      if (row !== undefined) await join(options, tx, row, now);
    },
  };
}

async function claimFor(
  options: Options,
  tx: WriteTx,
  claim: { node: string; profile: string; serial: string; now: number },
): Promise<void> {
  const { node, profile, serial, now } = claim;
  const row = await findNode(tx.db, node);
  if (row?.state !== 'expected') {
    const state = row === undefined ? 'not enrolled' : row.state;
    throw new RotundaError(
      'forbidden',
      `node ${JSON.stringify(node)} is ${state}: an unbound token serves nodes that are expected`,
    );
  }
  const next = advanceClaims(parseClaims(row.claims), { profile, serial, subject: `node ${JSON.stringify(node)}` });
  await updateNodeClaims(tx.db, { name: node, claims: JSON.stringify(next.claims) });
  if (next.replaced !== undefined) {
    await banSerial(
      tx,
      options.bans,
      { ring: options.clientRing, serial: next.replaced },
      { reason: 'superseded', actor: service, now },
    );
    await record(options, tx, {
      action: 'node.certificate-replaced',
      node,
      detail: { profile, replaced: next.replaced, serial },
      now,
    });
  }
  await supersede(options, tx, row, { serial, now });
}

type Successor = { readonly serial: string; readonly now: number; readonly issuedBefore?: number };

/** While a machine is being rebuilt, each certificate given to its name bans all that were given before. */
async function supersede(options: Options, tx: WriteTx, row: NodeRow, next: Successor): Promise<void> {
  if (isBeingReplaced(row)) await banEarlier(options, tx, row, next);
}

async function banEarlier(options: Options, tx: WriteTx, row: NodeRow, next: Successor): Promise<void> {
  const { serial, now, issuedBefore } = next;
  const cause = {
    reason: 'superseded',
    actor: service,
    now,
    except: serial,
    ...(issuedBefore !== undefined && { issuedBefore }),
  };
  const banned = await banCertificatesOf(tx, options.bans, { node: row.name }, cause);
  if (banned.length === 0) return;
  await record(options, tx, {
    action: 'node.certificates-superseded',
    node: row.name,
    detail: { serial, banned },
    now,
  });
}

/**
 * A certificate that the machine asked for with its own certificate proves nothing about the rebuilt machine: while the
 * node is being replaced, that is the old one renewing itself, and it does not end the replacement. A token that names
 * this node and serves once is the decision that another machine takes its place: what was given before ends here.
 */
async function firstUsed(
  options: Options,
  tx: WriteTx,
  use: { node: string; serial: string; requester: string; issuedAt: number; now: number; rebuilt: boolean },
): Promise<void> {
  const row = await findNode(tx.db, use.node);
  if (row === undefined || row.state === 'disabled') return;
  const next = { serial: use.serial, now: use.now, issuedBefore: use.issuedAt };
  if (row.state === 'joined') {
    if (use.rebuilt) await banEarlier(options, tx, row, next);
    return;
  }
  if (isBeingReplaced(row) && use.requester === userOf(use.node)) return;
  await supersede(options, tx, row, next);
  await join(options, tx, row, use.now);
}

async function join(options: Options, tx: WriteTx, row: NodeRow, now: number): Promise<void> {
  if (row.state !== 'expected') return;
  const revision = tx.nextRevision();
  await markNodeJoined(tx.db, { name: row.name, at: now, revision });
  const joined: NodeRow = { ...row, state: 'joined', joined_at: now, claims: '{}', revision };
  await publishNode(tx, { type: 'MODIFIED', row: joined, before: row });
  await record(options, tx, { action: 'node.joined', node: row.name, detail: {}, now });
  tx.onCommit(() => {
    options.factsChanged({ node: row.name });
  });
}

function record(
  { audit }: Options,
  tx: WriteTx,
  event: { action: string; node: string; detail: Readonly<Record<string, unknown>>; now: number },
): Promise<void> {
  const { action, node, detail, now } = event;
  return audit.record(tx, { action, actor: service, resource: 'nodes', name: node, outcome: 'ok', detail, at: now });
}
