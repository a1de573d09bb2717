import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

import type { Logger } from 'pino';

import type { Ca, Canary } from '../ca/types.js';
import type { AltName } from '../ca/x509/types.js';
import type { Clock } from '../clock.js';
import { type ServedAuthority, servedName, servedNamePattern } from './served-authorities.js';

const lifetimeMs = 24 * 60 * 60_000;
/** A connection tells what its process trusted when it was opened. */
const longestAgeMs = 60_000;

export type CandidateListenerOptions = {
  /** What is to be served now. */
  readonly served: () => Promise<readonly ServedAuthority[]>;
  readonly canary: Ca['canary'];
  /** The names of the serving certificate. */
  readonly names: () => readonly AltName[];
  /** Certificates, PEM, whose names clients are told to choose theirs by. */
  readonly clientCas: () => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * Serves, on the one listener, leaves of authorities that do not sign yet or any more, without a cross-certificate. Who
 * gets through a handshake there has shown what its process trusts.
 */
export type CandidateListener = {
  /**
   * Takes over what is to be served by now, and replaces leaves that are half their life old: to be called after each change
   * and again and again. Never rejects: a leaf that cannot be made is logged, and its name not served.
   */
  refresh(): Promise<void>;
  /** Undefined for every name but those of served authorities: then the service presents its own certificate. */
  contextFor(serverName: string): SecureContext | undefined;
  /** To be called with each connection once its handshake is over. */
  connected(socket: TLSSocket): void;
  /** The candidate that the client has just verified; undefined for any other connection, and for one that shows nothing by now. */
  candidateOf(socket: unknown): ServedAuthority | undefined;
  /** Likewise for a retired authority: the client still believes it. */
  retiredOf(socket: unknown): ServedAuthority | undefined;
  /** Why a connection to a candidate's name shows nothing, for its client; undefined where it does, and for any other name. */
  problemOf(socket: unknown): string | undefined;
};

type Entry = {
  readonly served: ServedAuthority;
  readonly leaf: Canary;
  readonly madeAt: number;
  readonly namesKey: string;
  readonly casKey: string;
  readonly context: SecureContext;
};

type Handshake = {
  readonly name: string;
  readonly at: number;
  readonly entry: Entry | undefined;
  readonly resumed: boolean;
};

type Room = {
  readonly options: CandidateListenerOptions;
  readonly entries: Map<string, Entry>;
  readonly handshakes: WeakMap<object, Handshake>;
};

export function createCandidateListener(options: CandidateListenerOptions): CandidateListener {
  const room: Room = { options, entries: new Map(), handshakes: new WeakMap() };
  let last: Promise<void> = Promise.resolve();
  const shown = (socket: unknown, role: ServedAuthority['role']): ServedAuthority | undefined => {
    const served = problemWith(room, socket) === undefined ? handshakeOf(room, socket)?.entry?.served : undefined;
    return served?.role === role ? served : undefined;
  };
  return {
    refresh: () => {
      last = last
        .then(() => refresh(room))
        .catch((error: unknown) => {
          options.logger.error(
            { err: error },
            'which authorities are to be served could not be read; it is tried again',
          );
        });
      return last;
    },
    contextFor: (serverName) => room.entries.get(serverName.toLowerCase())?.context,
    connected: (socket) => {
      note(room, socket);
    },
    candidateOf: (socket) => shown(socket, 'candidate'),
    retiredOf: (socket) => shown(socket, 'retired'),
    problemOf: (socket) => problemWith(room, socket),
  };
}

function note({ options, entries, handshakes }: Room, socket: TLSSocket): void {
  // In TLS 1.2 a resumed connection has no name on this side, and shows nothing just as well.
  const name = nameOf(socket);
  if (name === undefined) return;
  const at = timeOf(options.clock);
  if (socket.isSessionReused()) {
    handshakes.set(socket, { name, at, entry: undefined, resumed: true });
    return;
  }
  const entry = entries.get(name);
  const presented = socket.getX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase();
  const verified = entry !== undefined && presented === entry.leaf.fingerprint;
  handshakes.set(socket, { name, at, entry: verified ? entry : undefined, resumed: false });
}

function nameOf(socket: TLSSocket): string | undefined {
  const { servername: given } = socket as { servername?: unknown };
  const name = typeof given === 'string' ? given.toLowerCase() : '';
  return servedNamePattern.test(name) ? name : undefined;
}

function handshakeOf({ handshakes }: Room, socket: unknown): Handshake | undefined {
  return typeof socket === 'object' && socket !== null ? handshakes.get(socket) : undefined;
}

function problemWith(room: Room, socket: unknown): string | undefined {
  const handshake = handshakeOf(room, socket);
  if (handshake === undefined) return undefined;
  const { name, at, entry, resumed } = handshake;
  if (resumed) return 'the TLS session was resumed, in which no certificate is verified: connect without one';
  if (entry === undefined) return `nothing is served under ${name} now`;
  const age = timeOf(room.options.clock) - at;
  if (age > longestAgeMs || age < 0)
    return `the connection is older than ${longestAgeMs / 1000} s and tells of the past: open another one`;
  if (room.entries.get(name)?.served !== entry.served)
    return `another authority is served under ${name} by now: open another connection`;
  return undefined;
}

function timeOf(clock: Clock): number {
  return clock.monotonic?.() ?? clock.now().getTime();
}

async function refresh({ options, entries }: Room): Promise<void> {
  const wanted = new Map((await options.served()).map((served) => [servedName(served), served]));
  for (const name of entries.keys()) if (!wanted.has(name)) entries.delete(name);
  for (const [name, served] of wanted) {
    const kept = entries.get(name);
    if (kept !== undefined && !isSame(kept.served, served)) entries.delete(name);
    try {
      entries.set(name, await entryFor(options, served, entries.get(name)));
    } catch (error) {
      entries.delete(name);
      options.logger.warn({ err: error, name }, 'the leaf for this name could not be made; it is tried again');
    }
  }
}

function isSame(a: ServedAuthority, b: ServedAuthority): boolean {
  return a.role === b.role && a.ring === b.ring && a.authority === b.authority && a.generation === b.generation;
}

/** The kept one, as far as it will do. */
async function entryFor(
  options: CandidateListenerOptions,
  served: ServedAuthority,
  kept: Entry | undefined,
): Promise<Entry> {
  const names: AltName[] = [{ kind: 'dns', value: servedName(served) }, ...options.names()];
  const namesKey = names.map(({ kind, value }) => `${kind}:${value}`).join(' ');
  const clientCas = options.clientCas();
  const casKey = clientCas.join('');
  const now = options.clock.now().getTime();
  const fresh =
    kept !== undefined && kept.namesKey === namesKey && now >= kept.madeAt && now < kept.madeAt + lifetimeMs / 2;
  if (fresh && kept.casKey === casKey) return kept;
  const { ring, authority } = served;
  const leaf = fresh ? kept.leaf : await options.canary({ ring, authority, kind: 'server', names, lifetimeMs });
  return {
    // The same object while the same authority is served: connections to an earlier leaf of it still count.
    served: kept?.served ?? served,
    leaf,
    madeAt: fresh ? kept.madeAt : now,
    namesKey,
    casKey,
    context: createSecureContext({
      // The leaf alone: a cross-certificate would let who knows only the old authority verify it.
      cert: new X509Certificate(leaf.certificatePem).toString(),
      key: leaf.keyPem,
      ca: [...clientCas],
      minVersion: 'TLSv1.2',
      honorCipherOrder: true,
    }),
  };
}
