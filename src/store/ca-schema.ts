import type { ColumnType, Generated } from 'kysely';

/** The tables of rings, authorities, bundles and certificates; see schema.ts for how values are written. */

export type RingTable = {
  name: string;
  /** Counts signer switches; the ledger's insert checks it, so that a stale signer cannot sign. */
  epoch: number;
  /** The current bundle generation. */
  generation: number;
  /** SKI of the authority that signs now. */
  active_ski: string;
  created_at: number;
  /** 0 or 1: nothing is signed, because the key may be somebody else's too. */
  frozen: Generated<number>;
  /** The lowest bundle generation that a joiner must state to hold; 0 while any does. */
  join_floor: Generated<number>;
  /** 0 or 1: a joiner that cannot say which bundle it holds has to wait. */
  joins_held: Generated<number>;
  /** Fingerprint of the certificate by which an earlier authority vouches for the one that signs, presented behind each leaf. */
  cross_certificate: ColumnType<string | null, string | null | undefined>;
};

export type AuthorityTable = {
  /** Subject key identifier, lower-case hex. */
  ski: string;
  ring: string;
  /** RFC 4514 text. */
  subject: string;
  state: 'staged' | 'trusted' | 'active' | 'draining' | 'distrusted' | 'destroyed';
  tainted: number;
  key_type: 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'ed25519';
  /** PKCS#8 under the key-encryption key; null once destroyed or when the key lives elsewhere. */
  wrapped_key: Buffer | null;
  created_at: number;
  /** 0 or 1: its key is put away and not opened. */
  sealed: Generated<number>;
};

export type AuthorityCertificateTable = {
  /** SHA-256 of the DER. */
  fingerprint: string;
  ski: string;
  kind: 'self-signed' | 'reissued' | 'withdrawn' | 'cross-signed' | 'subordinate';
  der: Buffer;
  not_before: number;
  not_after: number;
  created_at: number;
};

export type BundleTable = {
  ring: string;
  generation: number;
  /** `sha256:<hex>` over the canonical DER of its anchors. */
  digest: string;
  /** JSON list of authority_certificates.fingerprint. */
  anchors: string;
  created_at: number;
  /** What is signed: the JSON text of the manifest, byte for byte. */
  manifest: ColumnType<string | null, string | null | undefined>;
  /** Over the manifest, base64. */
  signature: ColumnType<string | null, string | null | undefined>;
  /** SKI of the authority that signed it. */
  signed_by: ColumnType<string | null, string | null | undefined>;
};

export type LedgerTable = {
  serial: string;
  ring: string;
  ski: string;
  epoch: number;
  profile: string;
  subject: string;
  /** JSON list of `kind:value`. */
  names: string;
  /** SHA-256 of the subject's SPKI. */
  key_id: string;
  not_before: number;
  not_after: number;
  requester: string;
  request_name: string | null;
  request_uid: string | null;
  /** `intended`: may have been signed. `issued`: is in the inventory. `abandoned`: a crash or error came between. */
  state: 'intended' | 'issued' | 'abandoned';
  created_at: number;
};

export type CertificateTable = {
  serial: string;
  ring: string;
  ski: string;
  profile: string;
  subject: string;
  common_name: string;
  node: string | null;
  /** etcd cluster and member. */
  cluster: string | null;
  member: string | null;
  key_id: string;
  fingerprint: string;
  not_before: number;
  not_after: number;
  der: Buffer;
  requester: string;
  request_name: string | null;
  token_id: string | null;
  issued_at: number;
  first_used_at: number | null;
  revoked_at: number | null;
  revocation_reason: string | null;
  /** Proven to be in use no more, because its successor was seen in its place; milliseconds. */
  superseded_at: ColumnType<number | null, never, number | null>;
  /** Serial of that successor. */
  superseded_by: ColumnType<string | null, never, string | null>;
  /** When its renewal is wanted, milliseconds; null where it was issued without a window. */
  renew_from: number | null;
  renew_until: number | null;
};

/** One row per subjectAltName, for search. */
export type CertificateNameTable = { serial: string; kind: 'dns' | 'ip' | 'email' | 'uri'; value: string };
