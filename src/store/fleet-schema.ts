import type { Generated } from 'kysely';

/** The tables of tokens, nodes and etcd; see schema.ts for how values are written. */

export type TokenTable = {
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

export type NodeTable = {
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

export type EtcdClusterTable = {
  name: string;
  client_names: string;
  created_at: number;
  created_by: string;
  revision: number;
};

export type EtcdMemberTable = {
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

/** A token that is written to the API server that this service stands behind, as a bootstrap-token Secret. */
export type TokenSecretTable = {
  token_id: string;
  /** The secret under the key-encryption key, until it is written. */
  wrapped_secret: Buffer | null;
  /** The Secret's uid once it is written: what is deleted is exactly that one. */
  secret_uid: string | null;
  /** Why it cannot be written. */
  problem: string | null;
};
