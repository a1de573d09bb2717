import type { LeafOrder } from '../../ca/types.js';
import type { Topology } from '../../config/types.js';
import type { Identity } from '../../identity/types.js';
import type { EvidenceKind, VerifierClassFact, VerifierFact } from '../../rotation/types.js';
import type { WriteTx } from '../../store/types.js';
import type { HolderForgotten } from '../types.js';
import type { Acknowledgement, BundleClaim, Heartbeat, Proof, Reported, ReportOutcome } from './report-types.js';

/** What a ring is used for. One ring may serve several. */
export type Purpose = keyof Topology;

export type ConsumerSource = 'api' | 'agent' | 'configuration' | 'issued' | 'enrolled' | 'service';

/** `silent`: its lease ran out. `gone`: its last credential has expired, so that it verifies nothing any more. */
export type ConsumerState = 'live' | 'silent' | 'quarantined' | 'gone';

/** One run of a program; `startedAt` by the clock of the machine that it runs on, milliseconds. */
export type ProcessMark = { readonly id: string; readonly startedAt: number };

/** What evidence can be kept as; an attestation is kept apart. */
export type KeptEvidence = Exclude<EvidenceKind, 'attestation'>;

/** What a consumer has to do with one ring. Times are milliseconds. */
export type ConsumerRing = {
  readonly ring: string;
  readonly verifies: boolean;
  readonly presents: boolean;
  readonly joiner: boolean;
  /** Generation that lies where it reads it; 0 unknown. */
  readonly delivered: number;
  /** By its own clock. */
  readonly deliveredAt: number | undefined;
  /** Generation that its process has loaded; 0 unknown. */
  readonly loaded: number;
  readonly evidence: KeptEvidence | undefined;
  readonly clean: boolean;
  readonly process: string | undefined;
  readonly acknowledgedAt: number | undefined;
  readonly streamsSince: number | undefined;
  /** The least evidence that counts for its class in this ring. */
  readonly minimum: EvidenceKind;
  /** Whether what it has counts. */
  readonly counts: boolean;
  /** The ring's current generation. */
  readonly current: number;
};

export type Consumer = {
  readonly name: string;
  readonly class: string;
  readonly node: string | undefined;
  readonly source: ConsumerSource;
  readonly state: ConsumerState;
  readonly process: ProcessMark | undefined;
  readonly lastSeenAt: number | undefined;
  readonly leaseMs: number | undefined;
  readonly expiresAt: number | undefined;
  readonly software: string;
  readonly endpoints: readonly string[];
  readonly algorithms: readonly string[];
  /** Its clock minus this service's. */
  readonly clockSkewMs: number | undefined;
  readonly quarantine: { readonly at: number; readonly by: string; readonly reason: string } | undefined;
  /** When it was registered, or joined anew. */
  readonly registeredAt: number;
  readonly registeredBy: string;
  readonly rings: readonly ConsumerRing[];
};

export type RingRole = { readonly ring: string; readonly verifies: boolean; readonly presents: boolean };

/** What is left out stays, or follows from its class. */
export type RingRoleDraft = { readonly ring: string; readonly verifies?: boolean; readonly presents?: boolean };

/** A consumer as somebody declares it. What is left out stays, or follows from its class. */
export type ConsumerDraft = {
  /** `<class>/<name>`, or with `class` the name alone. */
  readonly name: string;
  readonly class?: string;
  readonly node?: string;
  readonly rings?: readonly RingRoleDraft[];
  readonly endpoints?: readonly string[];
  readonly software?: string;
  readonly algorithms?: readonly string[];
  readonly leaseMs?: number;
  /** Its present process is forgotten, with what is known of it: for a clock that was far ahead and was set right. */
  readonly forgetProcess?: boolean;
};

export type LiveLeaf = {
  readonly serial: string;
  readonly ring: string;
  readonly profile: string;
  readonly commonName: string;
  readonly notAfter: number;
};

/** What leaving a consumer behind breaks. */
export type BlastRadius = {
  readonly consumer: string;
  readonly leaves: readonly LiveLeaf[];
  /** There are more than are shown. */
  readonly moreLeaves: boolean;
  readonly verifies: readonly string[];
  readonly presents: readonly string[];
  /** Sentences. */
  readonly breaks: readonly string[];
  readonly quarantined: boolean;
};

export type AttestationStatement = 'absent' | 'loaded' | 'streams-ended';

export type Attestation = {
  readonly id: string;
  readonly ring: string;
  readonly class: string | undefined;
  readonly consumer: string | undefined;
  readonly statement: AttestationStatement;
  readonly generation: number | undefined;
  readonly by: string;
  readonly reason: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt: number | undefined;
  readonly state: 'live' | 'expired' | 'revoked';
};

export type AttestationDraft = {
  readonly ring: string;
  /** Exactly one of these two. */
  readonly class?: string;
  readonly consumer?: string;
  readonly statement: AttestationStatement;
  readonly generation?: number;
  readonly ttlMs: number;
  readonly reason: string;
};

/** A consumer that is registered because it was given a certificate, or because it is one. */
export type JoinerDraft = {
  readonly class: string;
  /** Without the class. */
  readonly name: string;
  readonly node?: string;
  readonly rings: readonly RingRole[];
  /** Raised by later ones; milliseconds. */
  readonly expiresAt?: number;
  readonly leaseMs?: number;
  readonly source: ConsumerSource;
  /** The rings for which it stated no generation while one is being replaced. */
  readonly joinerIn: readonly string[];
  /** What it said that it holds, with the digest. */
  readonly stated?: BundleClaim & { readonly ring: string };
  /**
   * A token or a person, and not an earlier certificate, entitles it: it has not been there before, or it is another
   * machine. One that is given several profiles on one token is one machine. The token is empty where it is none of this
   * service's own: then the same profile once more is another machine.
   */
  readonly joinedBy?: { readonly token: string; readonly profile: string };
};

/** Who holds a certificate, as a consumer. */
export type HolderConsumer = Pick<JoinerDraft, 'class' | 'name' | 'node' | 'rings' | 'expiresAt'>;

/** What issuing knows beside the order. */
export type IssuedFacts = {
  /** The machine of a control-plane certificate, which the certificate itself does not name. */
  readonly machine?: string;
  /** Nobody has shown a certificate of this machine: it comes anew, with whatever entitles it. */
  readonly joined?: boolean;
  readonly joinerIn?: readonly string[];
  readonly stated?: JoinerDraft['stated'];
};

export type ConsumerFilter = {
  readonly ring?: string;
  readonly class?: string;
  readonly state?: ConsumerState;
};

export type ConfiguredConsumer = {
  readonly class: string;
  readonly name: string;
  readonly node?: string;
  readonly endpoints: readonly string[];
  readonly software?: string;
  /** Rings that it verifies; those of its class when left out. */
  readonly rings?: readonly string[];
};

export type VerifierFacts = {
  readonly verifiers: readonly VerifierFact[];
  readonly classes: readonly VerifierClassFact[];
};

export type Consumers = {
  /** Registers, or changes what is registered. Throws 'invalid'. */
  register(draft: ConsumerDraft, actor: Identity): Promise<{ consumer: Consumer; created: boolean }>;
  list(
    page: { limit: number; continue?: string } & ConsumerFilter,
  ): Promise<{ items: readonly Consumer[]; continue: string | undefined }>;
  /** Throws 'not-found'. */
  get(name: string): Promise<Consumer>;
  /** Throws 'not-found', 'conflict' while it has live certificates. */
  delete(name: string, actor: Identity): Promise<void>;
  /** Throws 'not-found', 'forbidden', 'invalid', and 'conflict' with the right digest where the claimed one is wrong. */
  heartbeat(name: string, report: Heartbeat, actor: Identity): Promise<Reported>;
  /** Throws as heartbeat. */
  acknowledge(acknowledgement: Acknowledgement, actor: Identity): Promise<Reported>;
  /** For evidence that this service gathered; inside the caller's transaction where there is one. Throws 'not-found', 'invalid'. */
  prove(tx: WriteTx | undefined, proof: Proof): Promise<ReportOutcome>;
  /** Excludes it from gates and refuses its renewals. Throws 'not-found'. */
  quarantine(name: string, options: { reason: string; dryRun: boolean; actor: Identity }): Promise<BlastRadius>;
  /** Throws 'conflict' unless it has shown since that it has loaded the current bundle of every ring that it verifies. */
  unquarantine(name: string, actor: Identity): Promise<Consumer>;
  /** Throws 'invalid', 'not-found', 'conflict'. */
  attest(draft: AttestationDraft, actor: Identity): Promise<Attestation>;
  attestations(filter?: { readonly ring?: string }): Promise<readonly Attestation[]>;
  /** Throws 'not-found'. */
  attestation(id: string): Promise<Attestation>;
  /** Revoking twice is the same as once. Throws 'not-found'. */
  revokeAttestation(id: string, actor: Identity): Promise<Attestation>;
  /**
   * Who is given this certificate verifies from now on, in the transaction of the ledger's intent. Usually without a
   * query. Throws 'forbidden' for a quarantined consumer that renews.
   */
  registerIssued(tx: WriteTx, order: LeafOrder, facts: IssuedFacts): Promise<void>;
  /** As registerIssued, for whoever knows who it is. */
  registerJoiner(tx: WriteTx, draft: JoinerDraft): Promise<void>;
  /** It is not there any more, from this time on, milliseconds; registering it again brings it back. */
  leave(tx: WriteTx, name: string, at: number): Promise<void>;
  /** Who holds a live certificate and is neither a node nor an etcd member. For registerEnrolled, and to be read before its write. */
  holders(): Promise<readonly HolderConsumer[]>;
  /**
   * Rows for all nodes and members that have joined, and for these holders, that have none: from before consumers were kept.
   * Returns how many nodes and members there were.
   */
  registerEnrolled(tx: WriteTx, holders: readonly HolderConsumer[]): Promise<number>;
  /** The kubelet of a node, or the etcd member, that is deleted: its certificates are banned, and nothing waits for it. */
  readonly forget: HolderForgotten;
  /** Drops replicas of this service whose end was before a time, milliseconds, at most so many. Returns how many those were. */
  pruneReplicas(tx: WriteTx, ended: { readonly before: number; readonly limit: number }): Promise<number>;
  /** By what this process has heard; issuing's own write decides. */
  isQuarantined(name: string): boolean;
  /** What gates go by. */
  verifiers(ring: string): Promise<VerifierFacts>;
  /** Registers what the configuration lists, and drops what it listed before. */
  syncConfigured(configured: readonly ConfiguredConsumer[]): Promise<void>;
};
