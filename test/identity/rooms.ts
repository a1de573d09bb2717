import { createAudit } from '../../src/audit/audit.js';
import type { CaOptions } from '../../src/ca/ca.js';
import type { Ca, IssuedCertificate, LeafOrder } from '../../src/ca/types.js';
import type { Topology } from '../../src/config/types.js';
import { createEtcdClusters } from '../../src/fleet/etcd-clusters.js';
import { createNodes } from '../../src/fleet/nodes.js';
import type { EtcdClusters, FactsChanged, Nodes } from '../../src/fleet/types.js';
import { createAuthenticator } from '../../src/identity/authenticator.js';
import { createBans } from '../../src/identity/bans.js';
import { createFrontProxies, type FrontProxies } from '../../src/identity/front-proxy.js';
import { ringSource, standardHeaderNames } from '../../src/identity/front-proxy-source.js';
import { createProxiedIdentities } from '../../src/identity/proxied-identity.js';
import { createRevocation } from '../../src/identity/revocation.js';
import { createTokens, type TokenAuthentication } from '../../src/identity/tokens.js';
import type { Authenticator, Bans, Identity, Revocation, Role, Tokens } from '../../src/identity/types.js';
import type { Store } from '../../src/store/types.js';
import { issue, kek, leafOrder, logger, random, startCa, testClock } from '../ca/support.js';

export const topology: Topology = {
  kubernetesClient: 'kubernetes',
  kubernetesServer: 'kubernetes',
  etcdPeer: 'etcd',
  etcdServer: 'etcd',
  etcdClient: 'etcd',
  frontProxy: 'front-proxy',
  rotunda: 'rotunda',
};

export const start = Date.UTC(2026, 10, 23, 12);
export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

export type Rooms = {
  readonly store: Store;
  readonly ca: Ca;
  readonly clock: ReturnType<typeof testClock>;
  readonly bans: Bans;
  readonly nodes: Nodes;
  readonly etcd: EtcdClusters;
  readonly tokens: Tokens & TokenAuthentication;
  readonly authenticator: Authenticator;
  readonly revocation: Revocation;
  /** Scopes that were told as changed, in order. */
  readonly changed: Parameters<FactsChanged>[0][];
};

/** Fleet and identity over a real store and real rings, at a clock that the test moves. */
export async function startRooms(
  store: Store,
  options: { readonly topology?: Topology; readonly ca?: Partial<CaOptions>; readonly clock?: Rooms['clock'] } = {},
): Promise<Rooms> {
  const layout = options.topology ?? topology;
  const clock = options.clock ?? testClock(start);
  const audit = createAudit({ logger });
  const ca = await startCa(store, { clock, ...options.ca });
  const bans = await createBans({ store });
  const changed: Parameters<FactsChanged>[0][] = [];
  const common = {
    store,
    clock,
    random,
    audit,
    bans,
    factsChanged: (scope: Parameters<FactsChanged>[0]) => void changed.push(scope),
  };
  const nodes = createNodes({ ...common, clientRing: layout.kubernetesClient });
  const etcd = createEtcdClusters(common);
  const tokens = createTokens({ store, kek, clock, random, audit, nodes, etcd, bans });
  const identity = { store, ca, tokens, nodes, bans, clock, topology: layout, logger };
  const authenticator = createAuthenticator({
    ...identity,
    frontProxies: frontProxiesOf(identity),
    proxied: createProxiedIdentities(identity),
  });
  const revocation = createRevocation({ store, bans, clock, audit });
  return { store, ca, clock, bans, nodes, etcd, tokens, authenticator, revocation, changed };
}

function frontProxiesOf(identity: Parameters<typeof createProxiedIdentities>[0] & Pick<Rooms, 'ca'>): FrontProxies {
  const { frontProxy: ring, ...others } = identity.topology;
  const otherRings = Object.values(others).filter((name) => name !== ring);
  const trust = { allowedNames: ['front-proxy-client'], headerNames: standardHeaderNames };
  const sources = [ringSource(identity.ca, { ...trust, ring })];
  return createFrontProxies({ ...identity, sources, ring, otherRings, logger });
}

export function person(username: string, ...roles: Role[]): Identity {
  return {
    kind: 'certificate',
    username,
    uid: '',
    groups: ['system:authenticated'],
    extra: {},
    ring: 'rotunda',
    roles: [...roles, 'authenticated'],
  };
}

export const admin = person('admin', 'admin');
export const operator = person('olga', 'operator');

const organization = '2.5.4.10';
const commonName = '2.5.4.3';

/** A leaf's subject: organizations, then the common name. */
export function subject(name: string, ...organizations: string[]): Pick<LeafOrder, 'subject' | 'commonName'> {
  return {
    commonName: name,
    subject: [
      ...organizations.map((value) => ({ oid: organization, value })),
      ...(name === '' ? [] : [{ oid: commonName, value: name }]),
    ],
  };
}

/** Issues a leaf the whole way: a kubelet's client certificate unless told otherwise. */
export function issueLeaf({ store, ca, clock }: Rooms, change: Partial<LeafOrder> = {}): Promise<IssuedCertificate> {
  return issue(store, ca, leafOrder(change, clock.now().getTime()));
}

/** A node's client certificate as issuing makes it from a token: the claim and the ledger in one write. */
export async function issueNodeLeaf(
  rooms: Rooms,
  node: string,
  tokenId: string,
  unbound = false,
): Promise<IssuedCertificate> {
  const { store, ca, clock, tokens, nodes } = rooms;
  const now = clock.now().getTime();
  const order = leafOrder(
    { ...subject(`system:node:${node}`, 'system:nodes'), node, tokenId, requester: `system:bootstrap:${tokenId}` },
    now,
  );
  const prepared = ca.issuing.prepare(order);
  const claim = { profile: order.profile, serial: prepared.serial, now };
  await store.write(async (tx) => {
    await ca.issuing.intend(tx, prepared);
    await tokens.claim(tx, { ...claim, tokenId });
    if (unbound) await nodes.claim(tx, { ...claim, node });
  });
  const issued = await ca.issuing.sign(prepared);
  await store.write((tx) => ca.issuing.record(tx, issued));
  return issued;
}

/** What a failed authentication was refused for. */
export async function refusalOf(authenticating: Promise<unknown>): Promise<string> {
  try {
    await authenticating;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'unauthorized' && error.cause instanceof Error)
      return error.cause.message;
    throw error;
  }
  throw new Error('it was not refused');
}

/** The audit's actions so far, in order. */
export async function auditActions(store: Store): Promise<string[]> {
  const rows = await store.db.selectFrom('audit_events').select('action').orderBy('sequence').execute();
  return rows.map((row) => row.action);
}
