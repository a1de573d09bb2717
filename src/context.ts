import { type Logger, pino } from 'pino';

import { type Attachment, createAttachment } from './attach/attachment.js';
import { createAudit } from './audit/audit.js';
import type { Audit } from './audit/types.js';
import { createCa } from './ca/ca.js';
import { createDatabaseKeyStore } from './ca/keys/key-store.js';
import { createKeySetDomain } from './ca/key-sets/domain.js';
import { createKeySets, type KeySets } from './ca/key-sets/key-sets.js';
import type { KeyStore } from './ca/keys/types.js';
import { createTrustDomain } from './ca/trust-domain.js';
import { openKeyEncryptionKey } from './ca/keys/salt.js';
import type { Ca, KeyEncryptionKey } from './ca/types.js';
import type { Clock, Random } from './clock.js';
import type { Config } from './config/types.js';
import { createRequests } from './csr/requests.js';
import type { Requests } from './csr/types.js';
import { sameKeyMinimums } from './fleet/consumers/classes.js';
import { endpointsToAsk } from './rotation/probing/consumers.js';
import { createConsumers } from './fleet/consumers/consumers.js';
import { readVerifiers } from './fleet/consumers/facts.js';
import type { Consumers } from './fleet/consumers/types.js';
import { createEtcdClusters } from './fleet/etcd-clusters.js';
import { createNodes } from './fleet/nodes.js';
import type { EtcdClusters, FactsChanged, Nodes } from './fleet/types.js';
import type { AccessReviewer } from './identity/access-reviewer.js';
import { createAuthenticator } from './identity/authenticator.js';
import { authorize } from './identity/authorize.js';
import { createBans } from './identity/bans.js';
import { createFrontProxies, noFrontProxies } from './identity/front-proxy.js';
import { fileSource } from './identity/front-proxy-file.js';
import { type FrontProxySource, ringSource } from './identity/front-proxy-source.js';
import { createProxiedIdentities, type ProxiedIdentities } from './identity/proxied-identity.js';
import { ringRotation } from './config/rotation.js';
import { createRenewals, type Renewals } from './rotation/renewal/renewals.js';
import { copyKey, copyPhases } from './rotation/planning/restarts.js';
import type { CopyFact, Rotation } from './rotation/types.js';
import { createRotations, type Rotations } from './rotation/rotations.js';
import { maintenanceWindows } from './rotation/schedule/windows.js';
import { createRevocation } from './identity/revocation.js';
import { createTokens, type TokenAuthentication } from './identity/tokens.js';
import type { Authenticator, Authorize, Bans, Revocation, Tokens } from './identity/types.js';
import { createMetrics, type Metrics } from './metrics.js';
import { systemRandom } from './random.js';
import { takeFirstRevision } from './store/first-revision.js';
import { openStore } from './store/index.js';
import type { Store } from './store/types.js';

/** Everything that a surface can use, wired once. */
export type Context = {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly audit: Audit;
  readonly ca: Ca;
  readonly bans: Bans;
  readonly nodes: Nodes;
  readonly etcd: EtcdClusters;
  /** Who presents and verifies certificates, and what each has loaded. */
  readonly consumers: Consumers;
  readonly rotations: Rotations;
  /** By rotation: what others keep of its ring's bundle, as last read back. */
  readonly copies: Map<string, readonly CopyFact[]>;
  /** When certificates are renewed. */
  readonly renewals: Renewals;
  /** Rings of keys that sign tokens. */
  readonly keySets: KeySets;
  readonly tokens: Tokens;
  readonly revocation: Revocation;
  readonly authenticator: Authenticator;
  readonly authorize: Authorize;
  readonly requests: Requests;
  readonly attachment: Attachment;
  /** Who the users of an API server are here. */
  readonly proxied: ProxiedIdentities;
  close(): Promise<void>;
};

/** What a test may replace. */
export type ContextOverrides = {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  readonly accessReviewer?: AccessReviewer;
};

/** Opens the store, loads or creates the rings, and wires every room by hand. */
export async function createContext(config: Config, overrides: ContextOverrides = {}): Promise<Context> {
  const clock = overrides.clock ?? { now: () => new Date(), monotonic: () => performance.now() };
  const random = overrides.random ?? systemRandom();
  const logger = overrides.logger ?? pino({ level: config.log.level }, pino.destination(2));
  const metrics = createMetrics();
  const store = await openStore({ url: config.storeUrl, logger, clock });
  try {
    await takeFirstRevision(store);
    return await wire({ config, clock, random, logger, metrics, store }, overrides);
  } catch (error) {
    await store.close();
    throw error;
  }
}

type Base = Pick<Context, 'config' | 'clock' | 'random' | 'logger' | 'metrics' | 'store'>;
type Keys = Pick<Context, 'kek' | 'audit' | 'ca' | 'bans'> & { readonly keyStore: KeyStore };
type Fleet = Pick<Context, 'nodes' | 'etcd'>;

async function wire(base: Base, overrides: ContextOverrides): Promise<Context> {
  const { config, clock, random, logger, metrics, store } = base;
  const { topology } = config;
  const keys = await openKeys(base);
  const { kek, audit, ca, bans } = keys;
  // Enrolment re-opens waiting requests, and requests need enrolment: the loop is closed here, once.
  const waiting: { requests?: Requests } = {};
  const consumers = await createConsumers({ store, clock, random, audit, topology });
  await consumers.syncConfigured(config.consumers);
  const fleet = createFleet(base, { ...keys, consumers }, (scope) => {
    waiting.requests?.reconsider(scope).catch((error: unknown) => {
      logger.error({ err: error }, 'cannot reconsider requests');
    });
  });
  const common = { store, clock, random, audit, bans, ...fleet };
  const attachment = await createAttachment({ config, ca, store, clock, audit, kek, logger });
  const tokens = createTokens({ ...common, kek, created: (...given) => attachment.tokenCreated(...given) });
  const { profiles, nodeApproval, retention, limits } = config;
  const sources = frontProxySources(base, ca, attachment.frontProxy);
  const accessReviewer = overrides.accessReviewer ?? attachment.reviewer;
  const rules = { profiles, topology, nodeApproval, accessReviewer, retention, limits };
  const renewals = await createRenewals({ ...common, ca, metrics, profiles, settings: config.renewal });
  const requests = createRequests({ ...common, ...rules, ca, tokens, consumers, renewals, metrics, logger });
  waiting.requests = requests;
  const rooms = { kek, audit, ca, bans, ...fleet, tokens };
  const copies: Context['copies'] = new Map();
  const rotations = rotationsOf(base, keys, { consumers, copies });
  const proxied = createProxiedIdentities({ ...rooms, store, clock, topology });
  return {
    ...base,
    ...rooms,
    consumers,
    rotations,
    copies,
    renewals,
    keySets: createKeySets({ store, clock, audit }),
    revocation: createRevocation({ store, bans, clock, audit }),
    authenticator: authenticatorOf(base, { ...rooms, proxied }, sources),
    proxied,
    authorize,
    requests,
    attachment,
    close: async () => {
      await attachment.stop();
      await renewals.keep().catch((error: unknown) => {
        logger.warn({ err: error }, 'planned renewals could not be written down');
      });
      await store.close();
    },
  };
}

async function openKeys({ config, clock, random, logger, store }: Base): Promise<Keys> {
  const kek = await openKeyEncryptionKey(config.keyEncryptionKey, { store, random });
  const audit = createAudit({ logger });
  const { rings, topology } = config;
  const keyStore = createDatabaseKeyStore(kek);
  const common = { store, kek, clock, random, audit, rings, logger };
  const ca = await createCa({ ...common, keys: keyStore, rotundaRing: topology.rotunda });
  return { kek, audit, ca, keyStore, bans: await createBans({ store }) };
}

/** The state machines over the rings, and what they are told by the other rooms. */
function rotationsOf(
  { config, store, clock, random, logger }: Base,
  { ca, audit, keyStore }: Keys,
  { consumers, copies }: Pick<Context, 'consumers' | 'copies'>,
): Rotations {
  const { topology, rotation, rings } = config;
  const domain = createTrustDomain({ ca, store, keys: keyStore, clock, random, rings });
  const compiled = new Map(rings.map(({ name }) => [name, maintenanceWindows(ringRotation(rotation, name).windows)]));
  const windows = (ring: string) => compiled.get(ring) ?? maintenanceWindows([]);
  const keySetDomain = createKeySetDomain({ store });
  return createRotations({
    ...{ store, clock, audit, logger: logger.child({ component: 'rotation' }) },
    known: async () => {
      const holders = await consumers.holders();
      return async (tx) => {
        await consumers.registerEnrolled(tx, holders);
      };
    },
    facts: {
      domain: (kind) => (kind === 'keys' ? keySetDomain : domain),
      verifiers: (db, { kind, state, ...asked }) =>
        readVerifiers(db, { ...asked, topology, ...(showsNoKey(kind, state) && { minimumByClass: sameKeyMinimums }) }),
      endpoints: (db, asked) => endpointsToAsk(db, { ...asked, topology }),
      copies: (of) => copies.get(copyKey(of)) ?? unreadCopies(of, topology),
      window: (ring, now) => windows(ring).at(now),
      timing: (ring) => ringRotation(rotation, ring).timing,
      pinnedRing: topology.kubernetesServer,
    },
  });
}

/**
 * No canary shows what is asked then: which certificate of one key is there, or that an authority is gone whose key must
 * not sign even a canary any more.
 */
function showsNoKey(kind: Rotation['kind'], state: Rotation['state']): boolean {
  return kind === 'reissue' || (kind === 'emergency' && (state === 'cut' || state === 'recovering'));
}

/** Before they were read back for the first time nobody knows what they hold. */
function unreadCopies({ state, ring }: Rotation, topology: Config['topology']): readonly CopyFact[] {
  const { kubernetesClient, kubernetesServer, frontProxy } = topology;
  if (!copyPhases.includes(state) || ![kubernetesClient, kubernetesServer, frontProxy].includes(ring)) return [];
  const remedy = 'wait: they are being read back';
  return [{ name: 'copies of the bundle', generation: undefined, holdsOld: true, remedy }];
}

/** Where front proxies are known from; nowhere, where a CA is shared that must not be. */
function frontProxySources({ config, clock, logger }: Base, ca: Ca, published: FrontProxySource): FrontProxySource[] {
  const { headerTrust, frontProxy, topology } = config;
  if (!headerTrust) return [];
  const { clientCAFile, ...trust } = frontProxy;
  if (clientCAFile !== undefined) return [fileSource(clientCAFile, { ...trust, clock, logger }), published];
  return [ringSource(ca, { ...trust, ring: topology.frontProxy }), published];
}

function authenticatorOf(
  { config, store, clock, logger }: Base,
  rooms: Pick<Context, 'ca' | 'bans' | 'nodes' | 'proxied'> & { readonly tokens: Tokens & TokenAuthentication },
  sources: readonly FrontProxySource[],
): Authenticator {
  const { topology, rings } = config;
  const common = { ...rooms, store, clock, topology, logger, graceMs: config.renewal.graceMs };
  const ring = topology.frontProxy;
  const otherRings = rings.map(({ name }) => name).filter((name) => name !== ring);
  const frontProxies =
    sources.length === 0 ? noFrontProxies : createFrontProxies({ ...common, sources, ring, otherRings });
  return createAuthenticator({ ...common, frontProxies });
}

function createFleet(
  { config, clock, random, store }: Base,
  { audit, bans, consumers }: Keys & Pick<Context, 'consumers'>,
  factsChanged: FactsChanged,
): Fleet {
  const common = { store, clock, random, audit, bans, factsChanged, forgotten: consumers.forget };
  return {
    nodes: createNodes({ ...common, clientRing: config.topology.kubernetesClient }),
    etcd: createEtcdClusters(common),
  };
}
