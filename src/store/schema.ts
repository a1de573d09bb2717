import type { ColumnType, Generated } from 'kysely';

import type {
  AttestationTable,
  ConsumerRingTable,
  ConsumerTable,
  EffectTable,
  KeySetTable,
  ProbeTable,
  RenewalRuleTable,
  RotationEventTable,
  RotationTable,
  SigningKeyTable,
} from './rotation-schema.js';

/**
 * The tables as the current program sees them. Times are integer milliseconds since 1970 (UTC), booleans are
 * 0 or 1, lists and maps are JSON text: the same in SQLite and PostgreSQL. Serials and key ids are lower-case hex.
 */
export type Schema = {
  revisions: RevisionTable;
  settings: { key: string; value: string };
  rings: RingTable;
  authorities: AuthorityTable;
  authority_certificates: AuthorityCertificateTable;
  bundles: BundleTable;
  ledger: LedgerTable;
  certificates: CertificateTable;
  certificate_names: CertificateNameTable;
  requests: RequestTable;
  past_requests: PastRequestTable;
  tokens: TokenTable;
  nodes: NodeTable;
  etcd_clusters: EtcdClusterTable;
  etcd_members: EtcdMemberTable;
  bans: BanTable;
  changes: ChangeTable;
  audit_events: AuditEventTable;
  idempotency_keys: IdempotencyKeyTable;
  config_maps: ConfigMapTable;
  token_secrets: TokenSecretTable;
  leases: LeaseTable;
  rotations: RotationTable;
  rotation_events: RotationEventTable;
  effects: EffectTable;
  consumers: ConsumerTable;
  consumer_rings: ConsumerRingTable;
  attestations: AttestationTable;
  probes: ProbeTable;
  key_sets: KeySetTable;
  signing_keys: SigningKeyTable;
  renewal_buckets: { start: number; planned: number };
  renewal_rules: RenewalRuleTable;
};

/** One row, id 1: the last resourceVersion given out. Its lock orders all writers, so versions follow commit order. */
type RevisionTable = { id: number; value: number };

type RingTable = {
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

type AuthorityTable = {
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

type AuthorityCertificateTable = {
  /** SHA-256 of the DER. */
  fingerprint: string;
  ski: string;
  kind: 'self-signed' | 'reissued' | 'withdrawn' | 'cross-signed' | 'subordinate';
  der: Buffer;
  not_before: number;
  not_after: number;
  created_at: number;
};

type BundleTable = {
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

type LedgerTable = {
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

type CertificateTable = {
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
type CertificateNameTable = { serial: string; kind: 'dns' | 'ip' | 'email' | 'uri'; value: string };

type RequestTable = {
  name: string;
  uid: string;
  /** resourceVersion of the last write. */
  revision: number;
  signer_name: string;
  username: string;
  state: 'pending' | 'approved' | 'denied' | 'failed' | 'issued';
  /** 0 or 1: waits for facts or a person. */
  held: number;
  retry_at: number | null;
  node: string | null;
  key_id: string | null;
  serial: string | null;
  token_id: string | null;
  /** Who asked as it was authenticated, JSON {"kind","ring"?,"node"?,"member"?,"serial"?,"roles","facts"?}: what `object` does not say and a later decision needs, and the facts that the rules saw. */
  requester: string;
  created_at: number;
  updated_at: number;
  /** From when on the cleaner may delete it, milliseconds; null where it has not worked that out yet. */
  clean_after: ColumnType<number | null, number | null | undefined>;
  /** The whole Kubernetes object as JSON text, `{"metadata":…,"spec":…,"status":…}` without kind and apiVersion, resourceVersion included. */
  object: string;
};

/** Deleted requests that asked the same on the same day, as the last of them. */
type PastRequestTable = {
  /** Midnight UTC before it was created, milliseconds. */
  day: number;
  /** SHA-256 over all that decides about it, hex. */
  digest: string;
  count: number;
  name: string;
  uid: string;
  /** JSON {"signerName","username","groups"?,"extra"?,"uid"?,"usages"?,"expirationSeconds"?}. */
  spec: string;
  /** PKCS#10, DER; empty where it does not parse. */
  csr: Buffer;
  /** As in requests.requester. */
  requester: string;
  state: RequestTable['state'];
  /** Of the condition that decided, empty without one. */
  reason: string;
  message: string;
  created_at: number;
};

type TokenTable = {
  id: string;
  kind: 'node' | 'unbound' | 'etcd-member' | 'control-plane';
  node: string | null;
  cluster: string | null;
  member: string | null;
  /** Keyed hash of the secret, hex. */
  secret_hash: string;
  /** The secret under the key-encryption key, only where it must sign cluster-info. */
  wrapped_secret: Buffer | null;
  /** JSON list of extra groups. */
  groups: string;
  description: string;
  /** JSON list: `authentication`, `signing`. */
  usages: string;
  reusable: number;
  state: 'active' | 'used' | 'revoked';
  expires_at: number | null;
  created_at: number;
  created_by: string;
  used_at: number | null;
  /** JSON map profile -> {"serial","count"} of what it was last given and how often. */
  claims: string;
  /** resourceVersion of the last change of what is shown. */
  revision: Generated<number>;
  /** JSON map. */
  labels: Generated<string>;
  /** JSON map. */
  annotations: Generated<string>;
  /** 0 or 1: used up, revoked or expired, and that was published. */
  ended: Generated<number>;
};

type NodeTable = {
  name: string;
  uid: string;
  /** `expected`: never joined, or being replaced. */
  state: 'expected' | 'joined' | 'disabled';
  addresses: string;
  dns_names: string;
  labels: string;
  created_at: number;
  created_by: string;
  joined_at: number | null;
  disabled_at: number | null;
  /** JSON {"serial","count"} of what an unbound token was last given for it while expected. */
  claims: string;
  /** resourceVersion of the last change that shows. */
  revision: number;
  /** JSON map of what kubectl and others note on it. */
  annotations: string;
};

type EtcdClusterTable = {
  name: string;
  client_names: string;
  created_at: number;
  created_by: string;
  revision: number;
};

type EtcdMemberTable = {
  cluster: string;
  name: string;
  uid: string;
  peer_urls: string;
  client_urls: string;
  addresses: string;
  dns_names: string;
  state: 'expected' | 'joined' | 'disabled';
  created_at: number;
  created_by: string;
  revision: number;
};

/** Who is refused although its credential is otherwise good. */
type BanTable = {
  kind: 'serial' | 'identity';
  ring: string;
  /** A serial, or a common name. */
  value: string;
  reason: string;
  created_at: number;
  created_by: string;
};

type ChangeTable = {
  revision: number;
  resource: string;
  name: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** As in requests.object: the state after the change (before it, for DELETED), with this revision. */
  object: string;
  /** The state before, only where labels changed (a selector may have been left). */
  previous: string | null;
  created_at: number;
};

type AuditEventTable = {
  sequence: Generated<number>;
  at: number;
  action: string;
  actor: string;
  resource: string;
  name: string;
  outcome: string;
  /** JSON. */
  detail: string;
};

type IdempotencyKeyTable = {
  key: string;
  identity: string;
  digest: string;
  status: number;
  body: string;
  created_at: ColumnType<number, number, never>;
};

/** What one replica at a time does. */
type LeaseTable = {
  name: string;
  /** The process that has it, or had it last. */
  holder: string;
  /** Goes up with each holder; what the holder writes checks it. */
  epoch: number;
  expires_at: number;
  /** The latest time that a holder has seen. */
  seen_at: number;
};

/** A token that is written to the API server that this service stands behind, as a bootstrap-token Secret. */
type TokenSecretTable = {
  token_id: string;
  /** The secret under the key-encryption key, until it is written. */
  wrapped_secret: Buffer | null;
  /** The Secret's uid once it is written: what is deleted is exactly that one. */
  secret_uid: string | null;
  /** Why it cannot be written. */
  problem: string | null;
};

/** What joining nodes read. A published one hides an imported one of the same name. */
type ConfigMapTable = {
  namespace: string;
  name: string;
  /** `published`: follows from configuration, tokens and bundles. `imported`: an administrator put it there. */
  origin: 'published' | 'imported';
  uid: string;
  revision: number;
  created_at: number;
  /** JSON {"labels","annotations","data"}. */
  content: string;
};
