import type { Identity, Role, Tokens } from '../identity/types.js';
import { isBannedNow } from '../store/queries/bans.js';
import type { RequestRow } from '../store/queries/requests.js';
import type { WriteTx } from '../store/types.js';
import type { CertificateRequest } from './types.js';

/** What is kept of an identity beside what the object says. */
type Requester = {
  readonly kind: Identity['kind'];
  readonly ring?: string;
  readonly node?: string;
  readonly member?: { readonly cluster: string; readonly name: string };
  readonly serial?: string;
  readonly roles: readonly Role[];
};

export function requesterText(identity: Identity): string {
  const { kind, ring, node, member, certificate, roles } = identity;
  return JSON.stringify({ kind, ring, node, member, serial: certificate?.serial, roles } satisfies Record<
    keyof Requester,
    unknown
  >);
}

/** Who asked, as far as a later decision needs it; a token's facts are read anew and missing when it is no longer live. */
export async function requesterOf(tokens: Tokens, row: RequestRow, { spec }: CertificateRequest): Promise<Identity> {
  // Written by this program only, so its shape is known.
  const kept = JSON.parse(row.requester) as Requester;
  const token = row.token_id === null ? undefined : await tokens.facts(row.token_id);
  return {
    kind: kept.kind,
    username: spec.username ?? '',
    uid: spec.uid ?? '',
    groups: spec.groups ?? [],
    extra: spec.extra ?? {},
    roles: kept.roles,
    ...(kept.ring === undefined ? {} : { ring: kept.ring }),
    ...(kept.node === undefined ? {} : { node: kept.node }),
    ...(kept.member === undefined ? {} : { member: kept.member }),
    ...(token === undefined ? {} : { token }),
  };
}

/** Why the certificate that a request was made with no longer counts. */
export function bannedSince(
  row: RequestRow,
  banOf: (ring: string, serial: string) => { readonly reason: string } | undefined,
): string | undefined {
  const kept = JSON.parse(row.requester) as Requester;
  if (kept.ring === undefined || kept.serial === undefined) return undefined;
  return banOf(kept.ring, kept.serial)?.reason;
}

/** Whether who asks was banned after authentication, as this transaction sees it: one query, for certificates only. */
export async function isRequesterBanned(tx: WriteTx, { ring, certificate, username }: Identity): Promise<boolean> {
  if (ring === undefined) return false;
  return isBannedNow(tx.db, { ring, serial: certificate?.serial ?? '', commonName: username });
}
