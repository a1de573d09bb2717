import type { ColumnType, Generated } from 'kysely';

import type {
  AuthorityCertificateTable,
  AuthorityTable,
  BundleTable,
  CertificateNameTable,
  CertificateTable,
  LedgerTable,
  RingTable,
} from './ca-schema.js';
import type { EtcdClusterTable, EtcdMemberTable, NodeTable, TokenSecretTable, TokenTable } from './fleet-schema.js';
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
