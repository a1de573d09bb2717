import type { Identity, Role, TokenFacts, Tokens } from '../identity/types.js';
import { isBannedNow } from '../store/queries/bans.js';
import type { RequestRow } from '../store/queries/requests.js';
import type { WriteTx } from '../store/types.js';
import type { CertificateRequest, NodeFacts, Profile, RequestFacts, RequestSpec } from './types.js';

/** What is kept of an identity beside what the object says, and of the facts that the rules last saw. */
export type Requester = {
  readonly kind: Identity['kind'];
  readonly ring?: string;
  readonly node?: string;
  readonly member?: { readonly cluster: string; readonly name: string };
  readonly serial?: string;
  readonly roles: readonly Role[];
  readonly proxied?: Identity['proxied'];
  readonly facts?: RecordedFacts;
};

/** Facts as the rules saw them. A key that is left out was not looked for; null was looked for and not there. */
export type RecordedFacts = Pick<
  RequestFacts,
  'member' | 'otherMembers' | 'etcdCluster' | 'banned' | 'nodePolicy' | 'nodeclient'
> & {
  readonly approval: Profile['approval'];
  readonly node?: NodeFacts | null;
  readonly token?: Omit<TokenFacts, 'claims'>;
};

/** `facts` are those that a profile with this `approval` looked at; none for a signer that is not served. */
export function requesterText(
  identity: Identity,
  seen?: { readonly facts: RequestFacts; readonly profile: Pick<Profile, 'approval'> },
): string {
  const { kind, ring, node, member, certificate, roles, proxied } = identity;
  const facts = seen === undefined ? undefined : recorded(seen.facts, seen.profile.approval);
  const kept = { kind, ring, node, member, serial: certificate?.serial, roles, proxied, facts };
  return JSON.stringify(kept satisfies Record<keyof Requester, unknown>);
}

/** What is kept of who asked, with the facts that the rules saw this time. */
export function seenText(
  row: Pick<RequestRow, 'requester'>,
  seen: { readonly facts: RequestFacts; readonly profile: Pick<Profile, 'approval'> },
): string {
  const facts = recorded(seen.facts, seen.profile.approval);
  return JSON.stringify({ ...readRequester(row.requester), facts });
}

function recorded(facts: RequestFacts, approval: Profile['approval']): Record<keyof RecordedFacts, unknown> {
  const { token, node, member, otherMembers, etcdCluster, banned, nodePolicy, nodeclient } = facts;
  const looked = approval === 'node-serving' || (approval === 'node-client' && looksForNode(facts));
  return {
    approval,
    nodePolicy,
    token: token === undefined ? undefined : { ...token, claims: undefined },
    node: node ?? (looked ? null : undefined),
    member,
    otherMembers,
    etcdCluster,
    banned,
    nodeclient,
  };
}

/** Whether the rules for a node's client certificate look at its enrolment. */
export function looksForNode({ token, nodePolicy }: Pick<RequestFacts, 'token' | 'nodePolicy'>): boolean {
  return token?.kind === 'unbound' && nodePolicy === 'enrolled';
}

/** What `requesterText` wrote; by this program only, so its shape is known. */
export function readRequester(text: string): Requester {
  return JSON.parse(text) as Requester;
}

/** Who asked, as it was then; with the token's facts as given. */
export function identityThen(kept: Requester, spec: Partial<RequestSpec>, token: TokenFacts | undefined): Identity {
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
    ...(kept.proxied === undefined ? {} : { proxied: kept.proxied }),
    ...(token === undefined ? {} : { token }),
  };
}

/** Who asked, as far as a later decision needs it; a token's facts are read anew and missing when it is no longer live. */
export async function requesterOf(tokens: Tokens, row: RequestRow, { spec }: CertificateRequest): Promise<Identity> {
  const kept = readRequester(row.requester);
  const id = row.token_id;
  const token = id === null ? undefined : await (kept.proxied === undefined ? tokens.facts(id) : tokens.vouched(id));
  return identityThen(kept, spec, token);
}

/** Why the certificate that a request was made with no longer counts. */
export function bannedSince(
  row: RequestRow,
  banOf: (ring: string, serial: string) => { readonly reason: string } | undefined,
): string | undefined {
  const kept = readRequester(row.requester);
  if (kept.ring === undefined || kept.serial === undefined) return undefined;
  return banOf(kept.ring, kept.serial)?.reason;
}

/** Whether who asks was banned after authentication, as this transaction sees it: one query, for certificates only. */
export async function isRequesterBanned(tx: WriteTx, { ring, certificate, username }: Identity): Promise<boolean> {
  if (ring === undefined) return false;
  return isBannedNow(tx.db, { ring, serial: certificate?.serial ?? '', commonName: username });
}
