/** The tables of rotations, consumers, evidence and renewals; see schema.ts for how values are written. */

/** One run of the state machine over one ring. */
export type RotationTable = {
  id: string;
  ring: string;
  kind: 'planned' | 'emergency' | 'reissue' | 'keys';
  state: string;
  /** Goes up with each write of the row: what a change was decided on must still hold. */
  version: number;
  /** The ring's epoch as the last transition left it. */
  epoch: number;
  paused: number;
  /** 0 or 1: on its way back to the old authority. */
  back: number;
  /** `automatic`: goes on where a gate passes. `manual`: waits for `advance` at each. */
  policy: 'automatic' | 'manual';
  /** 0 or 1: the old authority has signed the new one. */
  cross_signed: number;
  /** Authorities by SKI, or keys by kid. */
  old_key: string | null;
  new_key: string | null;
  /** The state that an operator has allowed to be left. */
  advanced: string | null;
  /** Why the machine stands still although nobody paused it: facts and state contradict each other. */
  disagreement: string | null;
  /** JSON: when each state was entered and which generation it published. */
  marks: string;
  /** JSON. */
  options: string;
  started_by: string;
  reason: string;
  started_at: number;
  state_since: number;
  finished_at: number | null;
};

/** What happened to a rotation, in order. */
export type RotationEventTable = {
  rotation: string;
  sequence: number;
  at: number;
  kind: 'transition' | 'operator' | 'effect' | 'disagreement';
  actor: string;
  from_state: string;
  to_state: string;
  /** JSON. */
  detail: string;
};

/** What is still to be done outside the database because of a transition. Each can be done twice. */
export type EffectTable = {
  /** `<rotation>/<version>/<kind>`. */
  id: string;
  rotation: string;
  ring: string;
  kind: string;
  /** JSON. */
  payload: string;
  state: 'pending' | 'done';
  attempts: number;
  next_at: number;
  problem: string | null;
  created_at: number;
  done_at: number | null;
};

/** A process, or several that are started and stopped together, that presents or verifies certificates. */
export type ConsumerTable = {
  /** `<class>/<name>`: kubelet/worker-1, etcd-member/main/m1, kube-apiserver/cp-1. */
  name: string;
  class: string;
  node: string | null;
  source: 'api' | 'agent' | 'configuration' | 'issued' | 'enrolled' | 'service';
  state: 'live' | 'quarantined';
  /** What tells its present process from an earlier one. */
  process: string | null;
  process_started_at: number | null;
  last_seen_at: number | null;
  /** After how long without a word it counts as silent; null: it never says anything by itself. */
  lease_ms: number | null;
  /** From then on it verifies nothing any more: its last credential has expired. */
  expires_at: number | null;
  /** `kubelet 1.36.3`, for how it reloads; empty where unknown. */
  software: string;
  /** JSON list of `host:port`, for probes. */
  endpoints: string;
  /** JSON list of key types that it says it verifies. */
  algorithms: string;
  clock_skew_ms: number | null;
  quarantined_at: number | null;
  quarantined_by: string | null;
  quarantine_reason: string | null;
  created_at: number;
  created_by: string;
  revision: number;
};

/** What a consumer has to do with one ring, and what it is known to have loaded. */
export type ConsumerRingTable = {
  ring: string;
  consumer: string;
  verifies: number;
  presents: number;
  /** 0 or 1: got its credential without saying which bundle it holds, and has given no evidence since. */
  joiner: number;
  /** Generation that was written where it reads it; 0 unknown. */
  delivered: number;
  delivered_at: number | null;
  /** Generation that its process has loaded; 0 unknown. */
  loaded: number;
  evidence: 'in-process' | 'reverse-handshake' | 'canary-probe' | 'restart' | 'self-report' | null;
  /** 0 or 1: the evidence holds without a cross-certificate. */
  clean: number;
  /** The process that the evidence is about. */
  process: string | null;
  acknowledged_at: number | null;
  /** Start of its oldest connection that was authenticated under this ring, where it says so. */
  streams_since: number | null;
  /** JSON. */
  detail: string;
};

/** What a person says in place of evidence, by name and until a day. */
export type AttestationTable = {
  id: string;
  ring: string;
  class: string | null;
  consumer: string | null;
  /** `absent`: there is none of the class. `loaded`: they have loaded `generation`. `streams-ended`: none is older than this. */
  statement: 'absent' | 'loaded' | 'streams-ended';
  generation: number | null;
  by: string;
  reason: string;
  created_at: number;
  expires_at: number;
  revoked_at: number | null;
};

/** The last look at an endpoint from outside. */
export type ProbeTable = {
  ring: string;
  consumer: string;
  endpoint: string;
  /** `presents`: which authority its certificate is from. `accepts`, `refuses`: a client certificate of authority `key`. */
  kind: 'presents' | 'accepts' | 'refuses';
  key: string;
  outcome: 'yes' | 'no' | 'unreachable';
  at: number;
  process: string | null;
  /** JSON. */
  detail: string;
};

/** A ring of signing keys that are published as a JSON Web Key Set. */
export type KeySetTable = { ring: string; generation: number; epoch: number; active_key: string; created_at: number };

export type SigningKeyTable = {
  kid: string;
  ring: string;
  algorithm: string;
  /** The public key, JSON. */
  jwk: string;
  state: 'staged' | 'trusted' | 'active' | 'draining' | 'distrusted' | 'destroyed';
  tainted: number;
  created_at: number;
  activated_at: number | null;
  deactivated_at: number | null;
};

/** Asks the holders of some certificates to renew earlier, each at its own point between two times. */
export type RenewalRuleTable = {
  id: string;
  ring: string;
  authority: string | null;
  profile: string | null;
  not_before: number;
  width: number;
  reason: string;
  created_at: number;
};
