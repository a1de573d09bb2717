import { hash } from 'node:crypto';

import type { Logger } from 'pino';

import type { Ca } from '../ca/types.js';
import type { Clock } from '../clock.js';
import type { Topology } from '../config/types.js';
import { RotundaError } from '../errors.js';
import type { Nodes } from '../fleet/types.js';
import { findCertificateUse } from '../store/queries/certificate-use.js';
import type { Store } from '../store/types.js';
import { identityOf, identityRings } from './certificate-identity.js';
import { createPathVerifier, type PathVerifier, unauthorized, type VerifiedCertificate } from './certificate-path.js';
import { recordFirstUse, recordUseAgain, refuseRevoked } from './first-use.js';
import type { FrontProxies } from './front-proxy.js';
import { gracedIdentity } from './graced.js';
import { createLru, type Lru } from './lru.js';
import type { ProxiedIdentities } from './proxied-identity.js';
import { parseToken } from './token-format.js';
import type { TokenAuthentication } from './tokens.js';
import type { Authenticator, Bans, Credentials, Identity } from './types.js';

export type AuthenticatorOptions = {
  readonly store: Store;
  readonly ca: Ca;
  readonly tokens: TokenAuthentication;
  readonly nodes: Nodes;
  readonly bans: Bans;
  readonly clock: Clock;
  readonly topology: Topology;
  /** Where request headers may say who calls. */
  readonly frontProxies: FrontProxies;
  readonly proxied: ProxiedIdentities;
  /** How long an expired certificate of a node renews itself, milliseconds; not at all when left out. */
  readonly graceMs?: number;
  readonly logger: Logger;
};

/** A certificate that authenticated; its validity, its bundle and the bans are looked at again on every request. */
type Entry = {
  readonly verified: VerifiedCertificate;
  readonly identity: Identity;
  readonly commonName: string;
  /** The inventory knows it, byte for byte. */
  readonly recorded: boolean;
  /** Milliseconds. */
  readonly admittedAt: number;
};

type Room = AuthenticatorOptions & {
  readonly verifier: PathVerifier;
  /** By SHA-256 of the DER: survives the connection. */
  readonly byFingerprint: Lru<string, Entry>;
  /** By the connection's own buffer: spares the hash. */
  readonly byBuffer: WeakMap<Buffer, Entry>;
};

const mostCached = 20_000;
/** A certificate that was replaced meanwhile is noticed in use after this long at the latest. */
const admittedForMs = 10 * 60_000;

/** Whom no credential makes. */
const anonymous = Object.freeze<Identity>({
  kind: 'anonymous',
  username: 'system:anonymous',
  uid: '',
  groups: ['system:unauthenticated'],
  extra: {},
  roles: ['anonymous'],
});

/**
 * Says who calls, as upstream's union of authenticators does: a front proxy's headers first, then a client certificate,
 * then a bearer token, and the first good one wins; one that is bad is an error only when none is good. A certificate is verified per request, so
 * that a ban, an expiry or a changed bundle counts on open connections too. The bytes of `credentials.certificate` must
 * not change while the buffer lives.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { ca, topology, logger } = options;
  const room: Room = {
    ...options,
    verifier: createPathVerifier(ca, identityRings(topology)),
    byFingerprint: createLru(mostCached),
    byBuffer: new WeakMap(),
  };
  return {
    authenticate: async (credentials) => {
      const { certificate, authorization } = credentials;
      if (certificate === undefined && authorization === undefined) return anonymous;
      try {
        const user = certificate === undefined ? undefined : await room.frontProxies.userOf(credentials);
        if (user !== undefined) return await room.proxied.identityOf(user);
        return fromCache(room, certificate) ?? (await authenticate(room, credentials));
      } catch (error) {
        if (error instanceof RotundaError && error.code === 'unauthorized')
          logger.info({ reason: reasonOf(error) }, 'a credential was refused');
        throw error;
      }
    },
  };
}

async function authenticate(
  room: Room,
  { certificate, chain = [], authorization, renews }: Credentials,
): Promise<Identity> {
  let refused: RotundaError | undefined;
  if (certificate !== undefined) {
    try {
      return await byCertificate(room, certificate, chain);
    } catch (error) {
      if (!(error instanceof RotundaError) || error.code !== 'unauthorized') throw error;
      refused = error;
    }
  }
  const token = bearerToken(authorization);
  if (token !== undefined) {
    const parts = parseToken(token);
    const identity = parts && (await room.tokens.authenticate(parts.id, parts.secret));
    if (identity !== undefined) return identity;
    refused ??= unauthorized(
      parts === undefined ? 'the bearer token is no bootstrap token' : `bootstrap token ${parts.id} is not valid`,
    );
  }
  const { graceMs = 0 } = room;
  const mayRenew = renews === true && graceMs > 0 && certificate !== undefined && refused !== undefined;
  const graced = mayRenew ? await gracedIdentity({ ...room, graceMs }, certificate, chain) : undefined;
  if (graced !== undefined) return graced;
  if (refused !== undefined) throw refused;
  return anonymous;
}

/** The token of an Authorization header as upstream reads it; other schemes are no credential here. */
function bearerToken(authorization: string | undefined): string | undefined {
  const [scheme = '', token = ''] = (authorization ?? '').trim().split(' ', 2);
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

function fromCache(room: Room, der: Buffer | undefined): Identity | undefined {
  const entry = der === undefined ? undefined : room.byBuffer.get(der);
  return entry !== undefined && problemOf(room, entry) === undefined ? entry.identity : undefined;
}

/** Why a certificate that was good does not count now; undefined when it does. */
function problemOf(
  { ca, bans, clock }: Room,
  { verified, commonName, recorded, admittedAt }: Entry,
): string | undefined {
  const { ring, facts } = verified;
  const now = clock.now().getTime();
  if (now < verified.notBefore || now > verified.notAfter) {
    return `certificate ${facts.serial} is valid from ${new Date(verified.notBefore).toISOString()} to ${new Date(verified.notAfter).toISOString()}`;
  }
  if (ca.bundle(ring).generation !== verified.generation) return `the bundle of ring ${ring} has changed`;
  if (Math.abs(now - admittedAt) > admittedForMs) return 'it was admitted a while ago';
  // Whoever has that key can write any name; what was issued before is known byte for byte, and needs the leaf's own key.
  const tainted = recorded ? undefined : verified.authorities.find((ski) => ca.isTainted(ski));
  if (tainted !== undefined)
    return `the authority ${tainted} is tainted, and certificate ${facts.serial} not in the inventory`;
  const ban = bans.isBanned(ring, facts.serial, commonName);
  return ban === undefined
    ? undefined
    : `${ban.kind} ${JSON.stringify(ban.value)} of ring ${ring} is banned: ${ban.reason}`;
}

async function byCertificate(room: Room, der: Buffer, chain: readonly Buffer[]): Promise<Identity> {
  const fingerprint = hash('sha256', der, 'hex');
  const known = room.byFingerprint.get(fingerprint);
  if (known !== undefined && problemOf(room, known) === undefined) {
    room.byBuffer.set(der, known);
    return known.identity;
  }
  const entry = await admit(room, der, chain);
  room.byFingerprint.set(fingerprint, entry);
  room.byBuffer.set(der, entry);
  return entry.identity;
}

/** Verifies from the beginning and, at its first use, records that. */
async function admit(room: Room, der: Buffer, chain: readonly Buffer[]): Promise<Entry> {
  const verified = room.verifier.verify(der, chain);
  const { facts, ring } = verified;
  const record = await findCertificateUse(room.store.db, facts.serial);
  if (record !== undefined && (record.fingerprint !== facts.fingerprint || record.ring !== ring)) {
    throw unauthorized(`the inventory knows serial ${facts.serial} as another certificate`);
  }
  const identity = identityOf(verified, record, room.topology);
  const commonName = facts.subject.findLast((attribute) => attribute.oid === '2.5.4.3')?.value ?? '';
  const recorded = record !== undefined;
  const entry: Entry = { verified, identity, commonName, recorded, admittedAt: room.clock.now().getTime() };
  const problem = problemOf(room, entry);
  if (problem !== undefined) throw unauthorized(problem);
  if (record !== undefined) refuseRevoked(record);
  if (record?.first_used_at === null) await recordFirstUse(room, record, room.clock.now().getTime());
  else if (typeof record?.superseded_at === 'number') await recordUseAgain(room, record);
  return entry;
}

function reasonOf(error: RotundaError): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
