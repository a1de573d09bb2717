import type { Kysely } from 'kysely';

import type { Topology } from '../../config/types.js';
import type { ConsumerRingRow } from '../../store/queries/consumer-rings.js';
import { type ConsumerRow, type Holder, liveLeaves } from '../../store/queries/consumers.js';
import type { Schema } from '../../store/schema.js';
import { partsOf } from './names.js';
import type { LiveLeaf } from './types.js';

/** In front of the name of whoever holds a certificate of the service's own ring. */
export const ownRingPrefix = 'rotunda:';

/**
 * Live certificates of a consumer, those that last longest first. The inventory knows nodes and members; of others it knows
 * the common name, which several may share, and of a control plane's machine nothing.
 */
export async function liveLeavesOf(
  db: Kysely<Schema>,
  topology: Topology,
  of: { readonly row: Pick<ConsumerRow, 'name' | 'class' | 'node'>; readonly rings: readonly ConsumerRingRow[] },
  page: { readonly now: number; readonly limit: number },
): Promise<readonly LiveLeaf[]> {
  const presented = of.rings.filter(({ presents }) => presents === 1).map(({ ring }) => ring);
  const holder = holderOf(of.row, presented, topology);
  if (holder === undefined) return [];
  const found = await liveLeaves(db, holder, page);
  return found.map(({ serial, ring, profile, common_name: commonName, not_after: notAfter }) => ({
    ...{ serial, ring, profile, commonName, notAfter },
  }));
}

function holderOf(
  { name, class: of, node }: Pick<ConsumerRow, 'name' | 'class' | 'node'>,
  rings: readonly string[],
  topology: Topology,
): Holder | undefined {
  const { own } = partsOf(name);
  if (of === 'kubelet') return { node: node ?? own };
  if (of === 'kubeconfig' && own.startsWith(ownRingPrefix))
    return { commonName: own.slice(ownRingPrefix.length), rings: [topology.rotunda] };
  if (of === 'kubeconfig' || of === 'etcd-client') return { commonName: own, rings };
  if (of !== 'etcd-member') return undefined;
  const at = own.indexOf('/');
  return at < 0 ? { commonName: own, rings } : { cluster: own.slice(0, at), member: own.slice(at + 1) };
}
