import type { Logger } from 'pino';

import type { Bundle, Ca } from '../ca/types.js';
import type { CertificateFacts } from '../ca/x509/types.js';
import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { findCertificateUse } from '../store/queries/certificate-use.js';
import type { Store } from '../store/types.js';
import { unauthorized, verifyPath } from './certificate-path.js';
import { recordFirstUse, refuseRevoked } from './first-use.js';
import type { FrontProxySource, FrontProxyTrust, HeaderNames } from './front-proxy-source.js';
import { claimedUser, type ClaimedUser, hasHeader } from './request-headers.js';
import type { TokenAuthentication } from './tokens.js';
import type { Bans, Credentials } from './types.js';
import type { Nodes } from '../fleet/types.js';

export type FrontProxies = {
  /**
   * Who the headers of this request say calls; undefined when they name nobody, and when the certificate is no front
   * proxy's: the headers are then as if they were not there. Throws 'unauthorized' for headers that name somebody twice.
   */
  userOf(credentials: Credentials): Promise<ClaimedUser | undefined>;
};

export type FrontProxiesOptions = {
  readonly sources: readonly FrontProxySource[];
  readonly store: Store;
  readonly ca: Pick<Ca, 'bundle'>;
  readonly tokens: TokenAuthentication;
  readonly nodes: Nodes;
  readonly bans: Bans;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Rotunda's own ring of front proxies: its bans and its inventory count, wherever its CA was learnt from. */
  readonly ring: string;
  /** Every other ring: what one of them has signed is no front proxy. */
  readonly otherRings: readonly string[];
};

type Anchor = { readonly facts: CertificateFacts; readonly trust: FrontProxyTrust };
/** All that the verdict over a certificate rests on, but for the time and the bans. */
type Snapshot = {
  readonly trusts: readonly FrontProxyTrust[];
  readonly bundles: readonly Bundle[];
  readonly anchors: readonly Anchor[];
  readonly ownKeys: ReadonlySet<string>;
  readonly otherKeys: ReadonlySet<string>;
  /** In lower case. */
  readonly userHeaders: ReadonlySet<string>;
};
/** A certificate that was looked at; `proxy` is undefined for one that is no front proxy's. */
type Seen = { readonly snapshot: Snapshot; readonly proxy: Proxy | undefined };
type Proxy = {
  readonly headerNames: HeaderNames;
  /** Where it is one of Rotunda's own. */
  readonly ring: string | undefined;
  readonly serial: string;
  readonly commonName: string;
  readonly notBefore: number;
  readonly notAfter: number;
};
type Room = FrontProxiesOptions & { readonly snapshot: () => Snapshot; readonly seen: WeakMap<Buffer, Seen> };

const commonNameOid = '2.5.4.3';
/** Where no header is trusted. */
export const noFrontProxies: FrontProxies = Object.freeze({ userOf: () => Promise.resolve(undefined) });

/**
 * Believes request headers from front proxies and from nobody else. A front proxy is who presents a certificate for client
 * authentication that a CA of a source has signed, that is valid now and not banned, and whose common name the source
 * allows. One connection carries many users, so that only the verdict over its certificate is kept, never a user.
 */
export function createFrontProxies(options: FrontProxiesOptions): FrontProxies {
  const room: Room = { ...options, snapshot: snapshots(options), seen: new WeakMap() };
  return {
    userOf: async ({ certificate, chain = [], rawHeaders = [] }) => {
      if (certificate === undefined || rawHeaders.length === 0) return undefined;
      const snapshot = room.snapshot();
      if (!hasHeader(rawHeaders, snapshot.userHeaders)) return undefined;
      const proxy = await proxyOf(room, snapshot, certificate, chain);
      if (proxy === undefined || !countsNow(room, proxy)) return undefined;
      return claimedUser(rawHeaders, proxy.headerNames);
    },
  };
}

function snapshots({ sources, ring, otherRings, ca, logger }: FrontProxiesOptions): () => Snapshot {
  let known: Snapshot | undefined;
  return () => {
    const trusts = sources.flatMap((source) => source.current() ?? []);
    const bundles = [ring, ...otherRings].map((name) => ca.bundle(name));
    if (known === undefined || !isSame(known.trusts, trusts) || !isSame(known.bundles, bundles))
      known = snapshotOf(trusts, bundles, logger);
    return known;
  };
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** `bundles` begins with that of the front proxies' own ring. */
function snapshotOf(trusts: readonly FrontProxyTrust[], bundles: readonly Bundle[], logger: Logger): Snapshot {
  const [own, ...others] = bundles.map(({ anchors }) => anchors.map(keyOf));
  const otherKeys = new Set(others.flat());
  const anchors = trusts.flatMap((trust) => {
    const problem =
      trust.allowedNames.length === 0
        ? 'its list of allowed names is empty'
        : trust.cas.some((facts) => otherKeys.has(keyOf(facts)))
          ? 'its CA signs other client certificates too'
          : undefined;
    if (problem === undefined) return trust.cas.map((facts) => ({ facts, trust }));
    logger.error({ origin: trust.origin, problem }, 'no front proxy is believed');
    return [];
  });
  const userHeaders = new Set(trusts.flatMap(({ headerNames }) => headerNames.username.map((n) => n.toLowerCase())));
  return { trusts, bundles, anchors, ownKeys: new Set(own), otherKeys, userHeaders };
}

function keyOf({ key }: CertificateFacts): string {
  return key.spki.toString('base64');
}

async function proxyOf(
  room: Room,
  snapshot: Snapshot,
  der: Buffer,
  chain: readonly Buffer[],
): Promise<Proxy | undefined> {
  const known = room.seen.get(der);
  if (known?.snapshot === snapshot) return known.proxy;
  let proxy: Proxy | undefined;
  try {
    proxy = await admit(room, snapshot, der, chain);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'unauthorized') throw error;
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    room.logger.info({ reason }, 'request headers that name a user are ignored: who sends them is no front proxy');
  }
  room.seen.set(der, { snapshot, proxy });
  return proxy;
}

async function admit(room: Room, snapshot: Snapshot, der: Buffer, chain: readonly Buffer[]): Promise<Proxy> {
  const { anchors, ownKeys, otherKeys } = snapshot;
  const path = verifyPath(der, chain, ({ issuerDer }) => anchors.filter((a) => a.facts.subjectDer.equals(issuerDer)));
  const { facts, anchor, above, notBefore, notAfter } = path;
  const keys = above.map(keyOf);
  if (keys.some((key) => otherKeys.has(key)))
    throw unauthorized('the certificate comes from a CA that signs other client certificates too');
  // Go keeps the last one where a subject has several.
  const commonName = facts.subject.findLast((attribute) => attribute.oid === commonNameOid)?.value ?? '';
  // Several sources may know one CA, each with names of its own.
  const vouching = anchors.filter((other) => keyOf(other.facts) === keyOf(anchor.facts)).map(({ trust }) => trust);
  const trust = vouching.find(({ allowedNames }) => allowedNames.includes(commonName));
  if (trust === undefined)
    throw unauthorized(`${JSON.stringify(commonName)} is no allowed name of a front proxy (${anchor.trust.origin})`);
  const ring = keys.some((key) => ownKeys.has(key)) ? room.ring : undefined;
  if (ring !== undefined) await settle(room, ring, facts);
  return { headerNames: trust.headerNames, ring, serial: facts.serial, commonName, notBefore, notAfter };
}

/** Of a ring of this service: the inventory must know it as this certificate, and its first use counts. */
async function settle(room: Room, ring: string, { serial, fingerprint }: CertificateFacts): Promise<void> {
  const record = await findCertificateUse(room.store.db, serial);
  if (record === undefined) return;
  if (record.fingerprint !== fingerprint || record.ring !== ring)
    throw unauthorized(`the inventory knows serial ${serial} as another certificate`);
  refuseRevoked(record);
  if (record.first_used_at === null) await recordFirstUse(room, record, room.clock.now().getTime());
}

/** Looked at on every request: connections of an API server stay open for days. */
function countsNow({ bans, clock }: Room, { ring, serial, commonName, notBefore, notAfter }: Proxy): boolean {
  const now = clock.now().getTime();
  if (now < notBefore || now > notAfter) return false;
  return ring === undefined || bans.isBanned(ring, serial, commonName) === undefined;
}
