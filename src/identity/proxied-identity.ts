import type { Ca } from '../ca/types.js';
import type { Clock } from '../clock.js';
import type { Topology } from '../config/types.js';
import { RotundaError } from '../errors.js';
import type { Nodes } from '../fleet/types.js';
import { type CredentialUseRow, findCredentialUse } from '../store/queries/certificate-use.js';
import { listRunningRotations } from '../store/queries/rotations.js';
import type { Store } from '../store/types.js';
import { recordFirstUse, recordUseAgain, refuseRevoked } from './first-use.js';
import { createLru, type Lru } from './lru.js';
import type { ClaimedUser } from './request-headers.js';
import { nodeOfUser, vouchedGroups } from './roles.js';
import { bootstrappersGroup } from './token-format.js';
import type { TokenAuthentication } from './tokens.js';
import type { Bans, Identity, Role, TokenFacts, Tokens } from './types.js';

export type ProxiedIdentitiesOptions = {
  readonly store: Store;
  readonly tokens: TokenAuthentication & Pick<Tokens, 'vouched'>;
  readonly nodes: Nodes;
  readonly bans: Bans;
  readonly clock: Clock;
  readonly topology: Topology;
  readonly ca: Pick<Ca, 'authorities'>;
};

export type ProxiedIdentities = {
  /**
   * Who a user of an API server is here. Throws RotundaError 'forbidden', with what is wrong, for whom this service refuses
   * although the API server does not: a banned certificate, a disabled node, a token that is used up.
   */
  identityOf(user: ClaimedUser): Promise<Identity>;
};

/** By fingerprint: certificates whose first use is recorded. Bans are looked at on every request. */
type Room = ProxiedIdentitiesOptions & { readonly used: Lru<string, CredentialUseRow> };

const mostCached = 20_000;
const bootstrapUser = /^system:bootstrap:([a-z0-9]{6})$/;
const credentialKey = 'authentication.kubernetes.io/credential-id';
const certificateCredential = /^X509SHA256=([0-9a-f]{64})$/;

/**
 * Makes identities of what a front proxy says. Groups and name count as told, but never for a role of this service's own:
 * an API server has power over requests, not over rings, tokens and nodes.
 */
export function createProxiedIdentities(options: ProxiedIdentitiesOptions): ProxiedIdentities {
  const room: Room = { ...options, used: createLru(mostCached) };
  return { identityOf: (user) => identityOf(room, user) };
}

async function identityOf(room: Room, user: ClaimedUser): Promise<Identity> {
  const { username } = user;
  if (username === 'system:rotunda' || username.startsWith('rotunda:'))
    throw refused(`no API server gives the name ${JSON.stringify(username)}`);
  const groups = allGroups(user);
  const isAnonymous = username === 'system:anonymous';
  const node = nodeOfUser(username, groups);
  const token = groups.includes(bootstrappersGroup) ? await tokenOf(room, username) : undefined;
  const credential = isAnonymous || token !== undefined ? undefined : await credentialOf(room, user);
  if (!isAnonymous && credential === undefined) await refuseUnproven(room, user, token !== undefined);
  const vouched = ringFacts(room, { username, node, credential });
  return Object.freeze<Identity>({
    ...user,
    groups,
    kind: isAnonymous ? 'anonymous' : token === undefined ? 'user' : 'token',
    ...vouched,
    ...(token !== undefined && { token }),
    ...(node !== undefined && { node }),
    roles: rolesOf({ groups, isAnonymous, isNode: node !== undefined, isToken: token !== undefined }),
    proxied: { rings: kubernetesRings(room.topology) },
  });
}

/** What an API server vouches for: its own users and nodes. etcd, front proxies and this service are not its own. */
export function kubernetesRings({ kubernetesClient, kubernetesServer }: Topology): readonly string[] {
  return [...new Set([kubernetesClient, kubernetesServer])];
}

/** As told, without this service's own groups; `system:authenticated` is added where upstream adds it. */
function allGroups({ username, groups }: ClaimedUser): readonly string[] {
  const vouched = vouchedGroups(groups, { isRotunda: false, isKubernetes: true });
  const isSettled = vouched.includes('system:authenticated') || vouched.includes('system:unauthenticated');
  return isSettled || username === 'system:anonymous' ? vouched : [...vouched, 'system:authenticated'];
}

type Traits = {
  readonly groups: readonly string[];
  readonly isAnonymous: boolean;
  readonly isNode: boolean;
  readonly isToken: boolean;
};

function rolesOf({ groups, isAnonymous, isNode, isToken }: Traits): Role[] {
  if (isAnonymous) return ['proxied', 'anonymous'];
  return [
    'proxied',
    ...(groups.includes('system:masters') ? (['proxied-admin'] as const) : []),
    ...(isNode ? (['node'] as const) : []),
    ...(isToken ? (['bootstrapper'] as const) : []),
    'authenticated',
  ];
}

/** The token behind a bootstrap user. The secret was the API server's to check; what the token may have is decided here. */
async function tokenOf({ tokens }: Room, username: string): Promise<TokenFacts | undefined> {
  const id = bootstrapUser.exec(username)?.[1];
  if (id === undefined) return undefined;
  const token = await tokens.vouched(id);
  if (token?.state === 'active') return token;
  const fate = { used: 'is used up', revoked: 'is revoked' } as const;
  const state = token === undefined ? 'has expired or does not authenticate' : fate[token.state];
  throw refused(
    `bootstrap token ${id} ${state}: make another with \`rotunda token create\`, and delete the Secret kube-system/bootstrap-token-${id}`,
  );
}

/** The certificate by which the API server has authenticated, where it says so and the inventory knows it. */
async function credentialOf(room: Room, { username, extra }: ClaimedUser): Promise<CredentialUseRow | undefined> {
  const values = Object.hasOwn(extra, credentialKey) ? (extra[credentialKey] ?? []) : [];
  const fingerprint = values.length === 1 ? certificateCredential.exec(values[0] ?? '')?.[1] : undefined;
  if (fingerprint === undefined) return undefined;
  const known = room.used.get(fingerprint);
  const record = known ?? (await findCredentialUse(room.store.db, { commonName: username, fingerprint }));
  // The API server may know other CAs. In other rings the same name is somebody else.
  if (record?.common_name !== username || record.ring !== room.topology.kubernetesClient) return undefined;
  const ban = room.bans.isBanned(record.ring, record.serial, username);
  if (ban !== undefined) throw refused(`certificate ${record.serial} of ${username} is banned: ${ban.reason}`);
  if (known === undefined) {
    refuseRevoked(record);
    if (record.first_used_at === null) await recordFirstUse(room, record, room.clock.now().getTime());
    else if (record.superseded_at !== null) await recordUseAgain(room, record);
    room.used.set(fingerprint, record);
  }
  return record;
}

/**
 * While an API server may still believe an authority whose key is somebody else's too, its word for a certificate counts
 * only where the inventory knows that very one: anybody with the key can make others. A bootstrap token and a service
 * account's are no certificates. Throws 'forbidden'.
 */
async function refuseUnproven(room: Room, { username, extra }: ClaimedUser, isToken: boolean): Promise<void> {
  const { ca, store, topology } = room;
  const ring = topology.kubernetesClient;
  if (!ca.authorities(ring).some(({ tainted }) => tainted)) return;
  const running = await listRunningRotations(store.db);
  if (!running.some((row) => row.ring === ring && row.kind === 'emergency')) return;
  const credentials = Object.hasOwn(extra, credentialKey) ? (extra[credentialKey] ?? []) : [];
  const isCertificate = credentials.some((text) => text.startsWith('X509'));
  const isAccount =
    username.startsWith('system:serviceaccount:') && credentials.some((text) => text.startsWith('JTI='));
  if (!isCertificate && (isToken || isAccount)) return;
  throw refused(
    `a key of the ring ${ring} may be somebody else's too: until that is over an API server's word for ${username} counts only with a certificate that was issued here, named in ${credentialKey}; ask this service itself, with the certificate`,
  );
}

/** Ties nodes and holders of known certificates to the ring whose bans reach them. */
function ringFacts(
  { bans, topology }: Room,
  caller: { username: string; node: string | undefined; credential: CredentialUseRow | undefined },
): Pick<Identity, 'ring' | 'certificate'> {
  const { username, node, credential } = caller;
  const ring = topology.kubernetesClient;
  if (node === undefined && credential === undefined) return {};
  const ban = bans.isBanned(ring, '', username);
  if (ban !== undefined) throw refused(`${username} is banned: ${ban.reason}`);
  if (credential === undefined) return { ring };
  const { serial, fingerprint, not_after: notAfter } = credential;
  return { ring, certificate: { serial, fingerprint, notAfter } };
}

function refused(message: string): RotundaError {
  return new RotundaError('forbidden', message, { object: {} });
}
