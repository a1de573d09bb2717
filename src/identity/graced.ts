import type { Logger } from 'pino';

import type { Ca } from '../ca/types.js';
import type { Clock } from '../clock.js';
import type { Topology } from '../config/types.js';
import type { Nodes } from '../fleet/types.js';
import { graceProblem } from '../rotation/renewal/grace.js';
import { type ExpiredRow, findExpired, hasSuccessor } from '../store/queries/graced.js';
import type { Store } from '../store/types.js';
import { identityOf } from './certificate-identity.js';
import type { PathVerifier } from './certificate-path.js';
import type { Bans, Identity } from './types.js';

export type GraceOptions = {
  readonly store: Store;
  readonly ca: Ca;
  readonly nodes: Nodes;
  readonly bans: Bans;
  readonly clock: Clock;
  readonly topology: Topology;
  readonly logger: Logger;
  readonly verifier: PathVerifier;
  readonly graceMs: number;
};

/**
 * Who presents a node's client certificate that has expired not long ago, for renewing it and nothing else: a role without
 * rights, and what the next certificate has to have in common with this one. Undefined where it does not renew itself.
 * Throws 'unauthorized' for a certificate that no anchor vouches for. Nothing is remembered: every call is looked at anew.
 */
export async function gracedIdentity(
  options: GraceOptions,
  der: Buffer,
  chain: readonly Buffer[],
): Promise<Identity | undefined> {
  const { store, topology, logger, graceMs, clock } = options;
  const now = clock.now().getTime();
  const verified = options.verifier.verify(der, chain);
  const { facts, ring } = verified;
  if (ring !== topology.kubernetesClient || now <= facts.notAfter || now - facts.notAfter > graceMs) return undefined;
  const row = await findExpired(store.db, facts.serial);
  if (row === undefined || row.fingerprint !== facts.fingerprint || row.ring !== ring) return undefined;
  const { extra, kind, username, uid, groups, certificate, node } = identityOf(verified, undefined, topology);
  if (node === undefined || node !== row.node || certificate === undefined) return undefined;
  const problem = await problemOf(options, row, { node, username, authorities: verified.authorities, now });
  if (problem !== undefined) {
    logger.info({ serial: row.serial, node, problem }, 'an expired certificate does not renew itself');
    return undefined;
  }
  const graced = { keyId: row.key_id, profile: row.profile };
  return Object.freeze<Identity>({
    kind,
    ring,
    username,
    uid,
    groups,
    extra,
    certificate,
    node,
    roles: ['graced'],
    graced,
  });
}

type Seen = {
  readonly node: string;
  readonly username: string;
  readonly authorities: readonly string[];
  readonly now: number;
};

async function problemOf(
  { store, ca, nodes, bans, graceMs }: GraceOptions,
  row: ExpiredRow,
  { node, username, authorities, now }: Seen,
): Promise<string | undefined> {
  const known = ca.authorities(row.ring).find(({ ski }) => ski === row.ski);
  const authority = known && {
    tainted: authorities.some((ski) => ca.isTainted(ski)) || ca.isTainted(known.ski),
    notAfter: Math.max(...known.certificates.map(({ facts }) => facts.notAfter)),
  };
  return graceProblem(
    {
      notAfter: row.not_after,
      revokedAt: row.revoked_at ?? undefined,
      supersededAt: row.superseded_at ?? undefined,
      hasSuccessor: await hasSuccessor(store.db, row),
      banned: bans.isBanned(row.ring, row.serial, username) !== undefined,
      nodeState: (await nodes.find(node))?.state,
      authority,
    },
    graceMs,
    now,
  );
}
