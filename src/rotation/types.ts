import type { CaKeyType } from '../ca/types.js';

/** `keys`: a ring of signing keys that are published as a JSON Web Key Set. */
export type RotationKind = 'planned' | 'emergency' | 'reissue' | 'keys';

/**
 * Where a rotation is. Forward: staged, trusting, canary, issuing, drained, distrusting, cooling. Back: untrusting,
 * returning, retrusting. Emergency: declared, spreading, reissuing, cut, recovering. Over: finished, rolled-back, aborted.
 */
export type RotationState =
  | 'staged'
  | 'trusting'
  | 'canary'
  | 'issuing'
  | 'drained'
  | 'distrusting'
  | 'cooling'
  | 'untrusting'
  | 'returning'
  | 'retrusting'
  | 'declared'
  | 'spreading'
  | 'reissuing'
  | 'cut'
  | 'recovering'
  | EndState;

export type EndState = 'finished' | 'rolled-back' | 'aborted';

/** What is remembered of each state that was entered, the last time. */
export type Mark = {
  /** Milliseconds. */
  readonly at: number;
  /** The bundle generation that was current from then on. */
  readonly generation: number;
};

export type RotationOptions = {
  /** Of the new authority; the ring's configured one when left out. */
  readonly keyType?: CaKeyType;
  /** Emergency: when stragglers are cut off, milliseconds. */
  readonly deadline?: number;
  /** Emergency: whether to wait for trust before anything is re-issued. */
  readonly preference?: 'availability-first' | 'security-first';
  /** The signing key that comes next, where it is born elsewhere: a JWK, JSON. */
  readonly publicKey?: string;
};

/** One run of the state machine over one ring. */
export type Rotation = {
  readonly id: string;
  readonly ring: string;
  readonly kind: RotationKind;
  readonly state: RotationState;
  /** Goes up with each write of the row. */
  readonly version: number;
  /** The ring's epoch as the last transition left it. */
  readonly epoch: number;
  readonly paused: boolean;
  /** On its way back to the old authority. */
  readonly back: boolean;
  readonly policy: 'automatic' | 'manual';
  /** The old authority has signed the new one, and chains carry that from the signer's switch until the old one is retired. */
  readonly crossSigned: boolean;
  /** SKI, or kid. */
  readonly oldKey: string;
  readonly newKey: string;
  /** The state that an operator has allowed to be left. */
  readonly advanced: RotationState | undefined;
  /** Why the machine stands still although nobody paused it. */
  readonly disagreement: string | undefined;
  readonly marks: Readonly<Partial<Record<RotationState, Mark>>>;
  readonly options: RotationOptions;
  readonly startedBy: string;
  readonly reason: string;
  readonly startedAt: number;
  readonly stateSince: number;
  readonly finishedAt: number | undefined;
};

/** How it is known what a consumer has loaded, weakest first. */
export const evidenceKinds = [
  'attestation',
  'self-report',
  'restart',
  'canary-probe',
  'reverse-handshake',
  'in-process',
] as const;
export type EvidenceKind = (typeof evidenceKinds)[number];

/** One consumer that verifies certificates of the ring. */
export type VerifierFact = {
  readonly name: string;
  readonly class: string;
  /** Generation that its present process has loaded; 0 where unknown or shown by weaker evidence than its class needs. */
  readonly loaded: number;
  readonly evidence: EvidenceKind | undefined;
  /** When, milliseconds. */
  readonly acknowledgedAt: number | undefined;
  /** The evidence holds without a cross-certificate. */
  readonly clean: boolean;
  /** Got its credential without saying which bundle it holds, and has given no evidence since. */
  readonly joiner: boolean;
  /** It says nothing any more, since then, milliseconds. */
  readonly silentSince: number | undefined;
  /** Its clock minus this service's. */
  readonly clockSkewMs: number | undefined;
  readonly algorithms: readonly string[];
  /** Start of its oldest connection under this ring, where it says so. */
  readonly streamsSince: number | undefined;
};

/** A built-in class of consumers that verify the ring. */
export type VerifierClassFact = {
  readonly class: string;
  readonly description: string;
  readonly minimum: EvidenceKind;
  /** Registered and not quarantined. */
  readonly registered: number;
  /** A live statement that there is none, or that all of them have loaded a generation. */
  readonly attestation:
    | {
        readonly id: string;
        readonly statement: 'absent' | 'loaded';
        readonly generation: number;
        readonly by: string;
        readonly expiresAt: number;
      }
    | undefined;
  /** Whether a member may hold connections that were authenticated before a bundle changed. */
  readonly streams: boolean;
  /** The latest attestation that none of its streams is older than this. */
  readonly streamsEndedAt: number | undefined;
  readonly remedy: string;
};

/** What still depends on one authority, from the ledger and the inventory. */
export type AuthorityUse = {
  /** Unexpired leaves that are not proven to be replaced; counted up to a bound. */
  readonly live: number;
  readonly liveIsExact: boolean;
  /** Some of them, those that last longest first. */
  readonly samples: readonly LeafSample[];
  readonly inFlight: number;
  readonly latestNotAfter: number | undefined;
};

export type LeafSample = {
  readonly serial: string;
  readonly profile: string;
  readonly commonName: string;
  readonly notAfter: number;
  /** Its successor was issued and has not been seen in use. */
  readonly replaced: boolean;
};

/** A copy of the ring's bundle that somebody else keeps. */
export type CopyFact = {
  readonly name: string;
  /** Generation that it was read back with; undefined where it cannot be read. */
  readonly generation: number | undefined;
  /** It still holds the old authority. */
  readonly holdsOld: boolean;
  readonly remedy: string;
};

export type ProbeFact = {
  readonly consumer: string;
  readonly endpoint: string;
  readonly kind: 'presents' | 'accepts' | 'refuses';
  readonly key: string;
  readonly outcome: 'yes' | 'no' | 'unreachable';
  readonly at: number;
};

export type AuthorityFact = {
  readonly key: string;
  readonly state: 'staged' | 'trusted' | 'active' | 'draining' | 'distrusted' | 'destroyed';
  readonly tainted: boolean;
  readonly hasKey: boolean;
  readonly sealed: boolean;
  readonly keyType: string;
  readonly notBefore: number;
  readonly notAfter: number;
};

export type PinFact = { readonly kind: 'token'; readonly name: string; readonly expiresAt: number | undefined };

/** Everything that the machine goes by, read at one moment. */
export type Facts = {
  readonly now: number;
  readonly ring: {
    readonly name: string;
    readonly epoch: number;
    readonly generation: number;
    readonly active: string;
    readonly frozen: boolean;
    /** Keys of the current bundle's anchors, by authority. */
    readonly anchors: readonly string[];
  };
  readonly old: AuthorityFact | undefined;
  readonly new: AuthorityFact | undefined;
  readonly oldUse: AuthorityUse;
  readonly newUse: AuthorityUse;
  readonly classes: readonly VerifierClassFact[];
  readonly verifiers: readonly VerifierFact[];
  readonly probes: readonly ProbeFact[];
  /** Where verifiers of the ring can be asked which client certificates they take. */
  readonly endpoints: readonly { readonly consumer: string; readonly endpoint: string }[];
  readonly copies: readonly CopyFact[];
  /** Join commands that name the old authority's pin alone. */
  readonly pins: readonly PinFact[];
  /** Whether changes may begin now; when the next window opens otherwise. */
  readonly window: { readonly open: boolean; readonly next: number | undefined };
  /** Another ring's rotation that is in a phase which needs restarts. */
  readonly restarting: string | undefined;
  /** Problems that the new authority was found to have before it was published. */
  readonly preflight: readonly string[];
  readonly timing: Timing;
};

/** Milliseconds, by ring; from configuration. */
export type Timing = {
  /** How long a bundle must have been out before it counts as seen by caches. */
  readonly trustSoak: number;
  readonly canarySoak: number;
  /** How long nothing must depend on the old authority before it is distrusted without being told to. */
  readonly drainSoak: number;
  readonly cooling: number;
  readonly longestSkew: number;
  /** A token signed with the old key may live that long (rings of keys). */
  readonly longestToken: number;
  /** Whether an old key is erased when its time is over, or when an operator says so too. */
  readonly destroyKeys: 'operator' | 'automatic';
};

/** One thing that keeps a gate shut. */
export type Blocker = {
  /** A consumer, class, certificate, copy or pin; `time` or `operator` where only those are missing. */
  readonly subject: string;
  readonly kind: 'consumer' | 'class' | 'certificate' | 'copy' | 'pin' | 'probe' | 'time' | 'operator' | 'authority';
  readonly requirement: string;
  /** What is known about it, in words. */
  readonly lastEvidence: string;
  /** Milliseconds; undefined where it was always so. */
  readonly since: number | undefined;
  readonly remedies: readonly string[];
};

export type GateName =
  'start' | 'trust' | 'canary' | 'drain' | 'approval' | 'distrust' | 'cooling' | 'spread' | 'cut' | 'recover';

export type Gate = {
  readonly name: GateName;
  readonly passes: boolean;
  /** Of what has to hold: how much does. */
  readonly satisfied: number;
  readonly required: number;
  /** Bounded; `blocked` has the number of all. */
  readonly blockers: readonly Blocker[];
  readonly blocked: number;
  /** When time alone opens it, milliseconds, if that can be said. */
  readonly opensAt: number | undefined;
};
