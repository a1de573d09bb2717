import type { Nodes } from '../fleet/types.js';
import { isBannedNow } from '../store/queries/bans.js';
import { type CertificateUseRow, markFirstUse } from '../store/queries/certificate-use.js';
import { settleSuccessor, supersedeEarlier, unsupersede } from '../store/queries/authority-use.js';
import { findEtcdMember, markMemberJoined } from '../store/queries/etcd.js';
import type { Store, WriteTx } from '../store/types.js';
import { unauthorized } from './certificate-path.js';
import type { TokenAuthentication } from './tokens.js';

type Options = { readonly store: Store; readonly nodes: Nodes; readonly tokens: TokenAuthentication };

/**
 * What the first authentication of a certificate settles, durable before it counts: its token is used up, its node or
 * member has joined. Throws 'unauthorized' when the certificate was replaced by another just before.
 */
export function recordFirstUse(options: Options, certificate: CertificateUseRow, now: number): Promise<void> {
  return options.store.write((tx) => record(options, tx, certificate, now));
}

async function record(
  { nodes, tokens }: Options,
  tx: WriteTx,
  certificate: CertificateUseRow,
  now: number,
): Promise<void> {
  const { serial, ring, common_name: commonName, node, cluster, member, token_id: tokenId } = certificate;
  const thoughtReplaced = certificate.superseded_at !== null;
  if (await isBannedNow(tx.db, { ring, serial, commonName })) throw unauthorized(`certificate ${serial} is banned`);
  if (!(await markFirstUse(tx.db, serial, now))) return;
  // It was never seen before, which is no sign that it is not used.
  if (thoughtReplaced) await unsupersede(tx.db, serial);
  // One machine holds both: what it had before it presents no more.
  await supersedeEarlier(tx.db, certificate, now);
  await settleSuccessor(tx.db, serial, now);
  const rebuilt = tokenId !== null && (await tokens.used(tx, { tokenId, serial, now }));
  const { requester, issued_at: issuedAt } = certificate;
  if (node !== null) await nodes.firstUsed(tx, { node, serial, requester, issuedAt, now, rebuilt });
  if (cluster === null || member === null) return;
  const row = await findEtcdMember(tx.db, cluster, member);
  if (row?.state === 'expected') await markMemberJoined(tx.db, cluster, member, tx.nextRevision());
}

/** One that was taken for replaced is in use after all: the authority that it is from is still needed. */
export function recordUseAgain({ store }: Pick<Options, 'store'>, { serial }: CertificateUseRow): Promise<void> {
  return store.write((tx) => unsupersede(tx.db, serial));
}

/**
 * Throws 'unauthorized' for a certificate that was revoked. Its ban says so as long as it may be valid; this also holds
 * when a clock that was set back makes an expired one valid again.
 */
export function refuseRevoked({ serial, revoked_at: revokedAt }: CertificateUseRow): void {
  if (revokedAt !== null) throw unauthorized(`certificate ${serial} was revoked`);
}
