import type { Kysely } from 'kysely';

import type { Schema } from '../store/schema.js';
import type { WriteTx } from '../store/types.js';

/** Who calls. Identity is (ring, CN, O) for certificates: the same name in two rings is two identities. */
export type Identity = {
  /** `user`: named by an API server, which knows by what credential. */
  readonly kind: 'anonymous' | 'certificate' | 'token' | 'user' | 'internal';
  readonly username: string;
  /** Kubernetes' uid; empty when there is none. */
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  /** The ring that vouches, for certificates. */
  readonly ring?: string;
  readonly certificate?: { readonly serial: string; readonly fingerprint: string; readonly notAfter: number };
  readonly token?: TokenFacts;
  /** The enrolled machine that this identity is, by certificate. */
  readonly node?: string;
  /** The etcd member that this identity is, by the inventory's record of its certificate's serial. */
  readonly member?: { readonly cluster: string; readonly name: string };
  readonly roles: readonly Role[];
  /** Set where its certificate has expired: it may ask for one with this key under this profile, and for nothing else. */
  readonly graced?: { readonly keyId: string; readonly profile: string };
  /** Set where an API server authenticated and authorized: the rings whose certificates may be had that way. */
  readonly proxied?: { readonly rings: readonly string[] };
};

/** What is known of a live bootstrap token when rules run. */
export type TokenFacts = {
  readonly id: string;
  readonly kind: 'node' | 'unbound' | 'etcd-member' | 'control-plane';
  readonly node?: string;
  readonly cluster?: string;
  readonly member?: string;
  readonly reusable: boolean;
  readonly state: 'active' | 'used' | 'revoked';
  /** How often this profile was already given to it. */
  readonly claims: Readonly<Record<string, { readonly serial: string; readonly count: number }>>;
  /** A token of the API server's own, of which this service knows the id only. */
  readonly foreign?: true;
};

export type Role =
  | 'admin'
  | 'operator'
  | 'viewer'
  | 'cluster-admin'
  | 'node'
  | 'member'
  | 'bootstrapper'
  /** Allowed by the API server that this service stands behind. */
  | 'proxied'
  /** `system:masters` of that API server. */
  | 'proxied-admin'
  | 'authenticated'
  /** Holds a certificate that has expired, and renews it. */
  | 'graced'
  | 'anonymous';

/** What arrives with a request. */
export type Credentials = {
  /** The TLS client certificate, DER, if one was presented. */
  readonly certificate?: Buffer;
  /** The rest of the presented chain, DER. */
  readonly chain?: readonly Buffer[];
  /** The Authorization header as sent. */
  readonly authorization?: string;
  /** Every header line as sent, name and value in turn; looked at only for what front proxies say. */
  readonly rawHeaders?: readonly string[];
  /** The call asks for a certificate, which one that has expired not long ago may be good for. */
  readonly renews?: boolean;
};

/** A Kubernetes-style question. Resources of /pki/v1 are in group `rotunda.dev`. */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource?: string;
      readonly name?: string;
      readonly namespace?: string;
    }
  | { readonly verb: string; readonly path: string };

export type AccessVerdict = { readonly allowed: boolean; readonly reason: string };

export type Authenticator = {
  /** Throws RotundaError 'unauthorized' for a credential that is there but not good; anonymous without any. */
  authenticate(credentials: Credentials): Promise<Identity>;
};

/** Role rules, Kubernetes-style. Pure. */
export type Authorize = (identity: Identity, attributes: Attributes) => AccessVerdict;

export type Token = {
  readonly id: string;
  readonly kind: TokenFacts['kind'];
  readonly node: string | undefined;
  readonly cluster: string | undefined;
  readonly member: string | undefined;
  readonly groups: readonly string[];
  readonly usages: readonly ('authentication' | 'signing')[];
  readonly description: string;
  readonly reusable: boolean;
  readonly state: 'active' | 'used' | 'revoked' | 'expired';
  readonly expiresAt: number | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly usedAt: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** resourceVersion of the last change. */
  readonly revision: number;
};

export type TokenDraft = {
  readonly node?: {
    readonly name: string;
    readonly addresses: readonly string[];
    readonly dnsNames: readonly string[];
  };
  /** `CLUSTER/NAME`; the member must be enrolled. */
  readonly etcdMember?: { readonly cluster: string; readonly name: string };
  readonly controlPlane?: string;
  readonly ttlMs?: number;
  /** Instead of `ttlMs`: when it expires, milliseconds since 1970. */
  readonly expiresAt?: number;
  readonly reusable?: boolean;
  readonly groups?: readonly string[];
  readonly usages?: readonly ('authentication' | 'signing')[];
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** A chosen token, `[a-z0-9]{6}.[a-z0-9]{16}`; made up when left out. */
  readonly token?: string;
};

/** A token that is good now, with its secret where that is kept: of tokens that sign cluster-info. */
export type LiveToken = { readonly token: Token; readonly secret: string | undefined };

/** How a live token shall be from now on; bindings and the secret do not change. */
export type TokenChange = Pick<Token, 'description' | 'groups' | 'usages' | 'labels' | 'annotations'> & {
  /** Undefined: never expires. */
  readonly expiresAt: number | undefined;
  /** Compared with the token's own; needed to make a token sign that did not. */
  readonly secret?: string;
};

export type Tokens = {
  /**
   * The only time that the secret is seen, but for tokens that sign. Enrols the node of a bound token in the same
   * transaction. With `dryRun` everything is checked and nothing kept.
   */
  create(
    draft: TokenDraft,
    actor: Identity,
    how?: { readonly dryRun: boolean },
  ): Promise<{ token: Token; secret: string }>;
  /** Tokens that are good now, by id. */
  live(): Promise<readonly LiveToken[]>;
  /** One of them, or undefined. */
  liveOne(id: string): Promise<LiveToken | undefined>;
  /**
   * Changes a live token; `decide` runs in the transaction, perhaps more than once, and throws to refuse. Throws
   * 'not-found', 'invalid', and 'forbidden' as `create` does.
   */
  change(
    id: string,
    decide: (current: LiveToken) => TokenChange,
    actor: Identity,
    how: { readonly dryRun: boolean },
  ): Promise<LiveToken>;
  /** Revokes a live token unless `check` throws. Throws 'not-found' for one that is not live. Returns its last state. */
  end(
    id: string,
    check: (current: LiveToken) => void,
    actor: Identity,
    how: { readonly dryRun: boolean },
  ): Promise<LiveToken>;
  /** Publishes the end of tokens that have expired. A recurring duty. */
  endExpired(): Promise<void>;
  list(): Promise<readonly Token[]>;
  /** Throws 'not-found'. */
  get(id: string): Promise<Token>;
  revoke(id: string, actor: Identity): Promise<Token>;
  /** Facts of a live token (expiry checked), or undefined. For rules. */
  facts(id: string): Promise<TokenFacts | undefined>;
  /**
   * Facts of a token that an API server has authenticated: as `facts`, and for an id that is none of this service's those
   * of an unbound token. Undefined: it has expired, or does not authenticate.
   */
  vouched(id: string): Promise<TokenFacts | undefined>;
  /** Live tokens that sign cluster-info, with the secrets that the signature needs. For that and nothing else. Inside a write with its `db`. */
  signers(db?: Kysely<Schema>): Promise<readonly { readonly id: string; readonly secret: string }[]>;
  /**
   * Issuing's half of using up, inside its transaction: notes that `profile` was given as `serial`, and bans the serial
   * that it replaces. Throws 'forbidden' when the token may not have this (used, revoked, expired, replaced 5 times).
   * Does nothing for a token id that is undefined.
   */
  claim(tx: WriteTx, claim: { tokenId: string; profile: string; serial: string; now: number }): Promise<void>;
};

export type Ban = {
  readonly kind: 'serial' | 'identity';
  readonly ring: string;
  readonly value: string;
  readonly reason: string;
  readonly createdAt: number;
  readonly createdBy: string;
};

/** Who is refused at once although the credential is otherwise good. Kept in memory, written through. */
export type Bans = {
  isBanned(ring: string, serial: string, commonName: string): Ban | undefined;
  add(tx: WriteTx, ban: Ban): Promise<void>;
  /**
   * Lifts a ban. One on a serial is lifted because its certificate has long expired, and counts on in the processes that
   * know it: by a clock that was wrong it may be valid still, and they may remember it as one that authenticated.
   */
  remove(tx: WriteTx, kind: Ban['kind'], ring: string, value: string): Promise<void>;
};

/** Revoking: bans the serial, marks the inventory, audits. */
export type Revocation = {
  /** Throws 'not-found'; revoking twice is the same as once. */
  revoke(serial: string, options: { reason?: string; actor: Identity }): Promise<void>;
};
