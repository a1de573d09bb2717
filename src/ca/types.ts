import type { WriteTx } from '../store/types.js';
import type { AltName, CertificateFacts, DistinguishedName, IssuerInfo, KeyUsage, LeafSpec } from './x509/types.js';

export type CaKeyType = IssuerInfo['keyType'];

/** A trust domain as configured. */
export type RingConfig = {
  readonly name: string;
  readonly keyType: CaKeyType;
  /** Common name of its authorities; a generation suffix makes each Subject unique. */
  readonly commonName: string;
  readonly lifetimeMs: number;
};

export type AuthorityState = 'staged' | 'trusted' | 'active' | 'draining' | 'distrusted' | 'destroyed';

/** One CA generation: one key and one Subject, with one or more certificates. */
export type Authority = {
  /** Subject key identifier, lower-case hex: its name. */
  readonly ski: string;
  readonly ring: string;
  readonly subject: string;
  readonly state: AuthorityState;
  readonly tainted: boolean;
  readonly keyType: CaKeyType;
  readonly createdAt: number;
  readonly certificates: readonly AuthorityCertificate[];
};

export type AuthorityCertificate = {
  readonly kind: 'self-signed' | 'reissued' | 'withdrawn' | 'cross-signed' | 'subordinate';
  readonly facts: CertificateFacts;
  readonly pem: string;
};

export type Ring = {
  readonly name: string;
  readonly epoch: number;
  readonly generation: number;
  readonly active: Authority;
  /** Nothing is signed: its key may be somebody else's too. */
  readonly frozen: boolean;
  /** The lowest bundle generation that a joiner must state to hold; 0 while any does. */
  readonly joinFloor: number;
  /** A joiner that cannot say which bundle it holds has to wait. */
  readonly joinsHeld: boolean;
  /** Another authority has not come or gone for good yet. */
  readonly rotating: boolean;
  /** What is presented behind the leaves of the authority that signs, PEM; empty but while it takes over from another. */
  readonly crossPem: string;
};

/** A ring's published set of anchors: immutable, numbered. */
export type Bundle = {
  readonly ring: string;
  readonly generation: number;
  /** `sha256:<hex>` over the anchors' DER, sorted by fingerprint and concatenated. */
  readonly digest: string;
  readonly anchors: readonly CertificateFacts[];
  readonly pem: string;
  readonly createdAt: number;
  /** Absent where it was published before manifests were signed. */
  readonly manifest: SignedManifest | undefined;
};

/** What a bundle says about itself, signed by the authority that signed for its ring when it was published. */
export type SignedManifest = {
  /** JSON, the very bytes that are signed. */
  readonly text: string;
  /** base64 of the signature as `openssl dgst` makes it: ECDSA as DER, with the hash that goes with the key. */
  readonly signature: string;
  /** SKI. */
  readonly signedBy: string;
};

/** What is to become a certificate, after policy. */
export type LeafOrder = {
  readonly ring: string;
  readonly profile: string;
  readonly subject: DistinguishedName;
  readonly commonName: string;
  readonly names: readonly AltName[];
  readonly spki: Buffer;
  readonly keyId: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keyUsages: readonly KeyUsage[];
  readonly extendedKeyUsages: readonly string[];
  /** The user name that asked. */
  readonly requester: string;
  readonly requestName?: string;
  readonly requestUid?: string;
  readonly node?: string;
  readonly cluster?: string;
  readonly member?: string;
  readonly tokenId?: string;
  /** When its renewal is wanted, milliseconds. */
  readonly renewFrom?: number;
  readonly renewUntil?: number;
};

/** A to-be-signed certificate that passed the lint. Only `Issuing.prepare` makes one, and it can be signed once. */
export type PreparedCertificate = {
  readonly order: LeafOrder;
  readonly spec: LeafSpec;
  /** Serial, lower-case hex. */
  readonly serial: string;
  readonly ski: string;
  readonly epoch: number;
  readonly tbs: Buffer;
};

export type IssuedCertificate = {
  readonly prepared: PreparedCertificate;
  readonly der: Buffer;
  readonly fingerprint: string;
  /** The leaf alone, PEM, one trailing newline. */
  readonly pem: string;
  /** The leaf and what is to be presented behind it (a cross-certificate while a CA is replaced), PEM. */
  readonly chainPem: string;
};

/**
 * Issuing in the only order there is: prepare (template and lint), intend (durable ledger row), sign, record (inventory).
 * `intend` and `record` run inside the caller's transaction, so that its own rows commit with them.
 */
export type Issuing = {
  /** Builds and lints. Throws RotundaError 'invalid' when a rule is broken or the issuer cannot honour the lifetime. */
  prepare(order: LeafOrder): PreparedCertificate;
  /** Writes the ledger row. Throws 'conflict' when the ring's signer has changed since prepare. */
  intend(tx: WriteTx, prepared: PreparedCertificate): Promise<void>;
  /** Signs, once per prepared certificate, after the intent is durable; reads back and compares what came out. */
  sign(prepared: PreparedCertificate): Promise<IssuedCertificate>;
  /** Moves the ledger row to `issued` and writes the inventory. */
  record(tx: WriteTx, issued: IssuedCertificate): Promise<void>;
};

/** Signs to-be-signed certificates with one authority's key: built in, a token, a delegate. */
export type Issuer = {
  readonly info: IssuerInfo;
  /** Takes a TBSCertificate, gives the whole Certificate, both DER. */
  sign(tbs: Buffer): Promise<Buffer> | Buffer;
};

/** Encrypts what must rest encrypted, and derives keyed hashes. */
export type KeyEncryptionKey = {
  /** Names the key without telling it: 16 hex digits. */
  readonly fingerprint: string;
  readonly source: 'file' | 'generated-file' | 'environment' | 'passphrase';
  /** AES-256-GCM; `context` is authenticated with it. */
  wrap(plain: Buffer, context: string): Buffer;
  unwrap(wrapped: Buffer, context: string): Buffer;
  /** HMAC-SHA-256 under a key derived from this one, hex. */
  keyedHash(value: string, context: string): string;
};

export type CertificateRecord = {
  readonly serial: string;
  readonly ring: string;
  readonly authority: string;
  readonly profile: string;
  readonly subject: string;
  readonly commonName: string;
  readonly names: readonly AltName[];
  readonly node: string | undefined;
  readonly cluster: string | undefined;
  readonly member: string | undefined;
  readonly keyId: string;
  readonly fingerprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly pem: string;
  readonly requester: string;
  readonly requestName: string | undefined;
  readonly tokenId: string | undefined;
  readonly issuedAt: number;
  readonly firstUsedAt: number | undefined;
  readonly revokedAt: number | undefined;
  readonly revocationReason: string | undefined;
  /** When its renewal was planned for at issuance, milliseconds. */
  readonly renewFrom: number | undefined;
  readonly renewUntil: number | undefined;
  /** From when on nothing presents it any more: its successor was seen in its place, or somebody said so. */
  readonly supersededAt: number | undefined;
};

export type CertificateFilter = {
  readonly ring?: string;
  /** SKI of the authority that signed it. */
  readonly authority?: string;
  /** Neither expired at this time, milliseconds, nor revoked or superseded: what keeps its authority in use. */
  readonly inUseAt?: number;
  readonly node?: string;
  readonly cluster?: string;
  readonly member?: string;
  readonly profile?: string;
  readonly serial?: string;
  /** Common name or DNS name, exact. */
  readonly name?: string;
  readonly address?: string;
  /** notAfter at or before this time, milliseconds. */
  readonly expiresBefore?: number;
  /** notAfter after this time. */
  readonly expiresAfter?: number;
  readonly limit: number;
  /** Opaque, from a previous page. */
  readonly continue?: string;
};

export type Page<T> = { readonly items: readonly T[]; readonly continue: string | undefined };

export type CanaryOrder = {
  readonly ring: string;
  /** SKI; any authority of the ring whose key is there. */
  readonly authority: string;
  readonly kind: 'client' | 'server';
  readonly names: readonly AltName[];
  readonly lifetimeMs: number;
};

export type Canary = {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly notAfter: number;
};

/** The rings of this service with their authorities and bundles, held in memory, and the inventory. */
export type Ca = {
  readonly issuing: Issuing;
  rings(): readonly Ring[];
  /** Throws 'not-found'. */
  ring(name: string): Ring;
  authorities(ring?: string): readonly Authority[];
  /** The current bundle. Throws 'not-found'. */
  bundle(ring: string): Bundle;
  bundleAt(ring: string, generation: number): Promise<Bundle>;
  certificates: {
    list(filter: CertificateFilter): Promise<Page<CertificateRecord>>;
    /** Throws 'not-found'. */
    get(serial: string): Promise<CertificateRecord>;
    /** notAfter of the soonest-expiring live leaf, and counts by ring that expire within each horizon (ms). For metrics. */
    expiry(
      now: number,
      horizonsMs: readonly number[],
    ): Promise<{ next: number | undefined; counts: { ring: string; withinMs: number; count: number }[] }>;
  };
  /** Reads the rings again, so that this process goes by what the database holds. */
  reload(): Promise<void>;
  /** Calls `listener` with the name of each ring that this process has taken over a change of. Returns what ends that. */
  onChange(listener: (ring: string) => void): () => void;
  /** Whether an authority's key may be somebody else's too. */
  isTainted(ski: string): boolean;
  /**
   * A certificate without any privilege, to find out who trusts an authority that does not sign yet or any more. Recorded
   * as every other; its key is for this process alone. Throws 'unavailable' where the authority's key is not to be used.
   */
  canary(wanted: CanaryOrder): Promise<Canary>;
  /** Ledger rows left `intended` by a crash become `abandoned` (the serial stays taken). Returns how many. */
  recover(): Promise<number>;
};
