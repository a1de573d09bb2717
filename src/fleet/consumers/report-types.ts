import type { Consumer, KeptEvidence, ProcessMark } from './types.js';

/** A bundle as somebody else holds it. */
export type BundleClaim = { readonly generation: number; readonly digest: string };

export type RingReport = {
  readonly ring: string;
  /** `at` by the reporter's clock. */
  readonly delivered?: BundleClaim & { readonly at: number };
  readonly loaded?: BundleClaim;
  /** False where it is known only from a handshake whose chain had a cross-certificate. */
  readonly clean?: boolean;
  /** Start of its oldest connection under this ring, by its clock; the time of the report where it has none. */
  readonly streamsSince?: number;
};

/** What a consumer says of itself. `reportedAt` by its clock. */
export type Heartbeat = {
  readonly process: ProcessMark;
  readonly reportedAt: number;
  readonly leaseMs?: number;
  readonly software?: string;
  readonly algorithms?: readonly string[];
  readonly rings: readonly RingReport[];
};

export type Acknowledgement = BundleClaim & {
  readonly consumer: string;
  readonly ring: string;
  readonly evidence: 'self-report' | 'restart';
  /** Needed of the consumer itself; whoever speaks for it may leave it out and means the present process. */
  readonly process?: ProcessMark;
  readonly reportedAt?: number;
  /** For evidence `restart`: when the file was there, by the clock of its machine; what was reported before when left out. */
  readonly deliveredAt?: number;
  /** For evidence `restart` where its process is not known here. */
  readonly startedAt?: number;
  readonly clean?: boolean;
};

/** Evidence that this service gathered itself. */
export type Proof = {
  readonly consumer: string;
  readonly ring: string;
  /** 0: shown not to have it. */
  readonly generation: number;
  readonly evidence: KeptEvidence;
  /**
   * The process that it is about. With `startedAt` it is the process that speaks; without, the one that the consumer was
   * known to run when the evidence was gathered. Left out: none was known.
   */
  readonly process?: { readonly id: string; readonly startedAt?: number };
  readonly clean: boolean;
  /** When it was gathered; now when left out. */
  readonly at?: number;
};

/**
 * `late`: a newer report was there already. `other-process`: it is about a process that is not the present one, or about a
 * machine that was replaced. Neither changes anything.
 */
export type ReportOutcome = 'applied' | 'unchanged' | 'late' | 'other-process';

export type Reported = { readonly outcome: ReportOutcome; readonly consumer: Consumer };
