/** How the certificates of a simulation are renewed. */
export const simulationPolicies = {
  steered: 'informed clients, each in the emptiest of four buckets',
  random: 'informed clients, each at a random point of the window',
  kubelet: 'kubelets, which draw from 70 to 90 % of the life',
  'kubelet-steered': 'kubelets, whose lives are chosen so that they draw from where few do',
  fixed: 'clients that renew at one point of the life',
  'fixed-steered': 'the same, whose lives are chosen likewise',
} as const;
export type SimulationPolicy = keyof typeof simulationPolicies;

/** What is to be simulated. Times are milliseconds since the first certificate was issued. */
export type Scenario = {
  readonly certificates: number;
  readonly policy: SimulationPolicy;
  readonly lifeMs: number;
  /** Shares of the life in which informed clients renew. */
  readonly window: { readonly from: number; readonly until: number };
  /** Where fixed clients renew. */
  readonly fixedAt: number;
  /** The least share of its life that a steered certificate keeps. */
  readonly shortest: number;
  /** How long an outage the windows are to allow for. */
  readonly toleratedMs: number;
  /** All are issued evenly in this time. */
  readonly burstMs: number;
  readonly outage: { readonly at: number; readonly ms: number } | undefined;
  /** From when on another authority signs, and informed clients are asked to renew in a wave. */
  readonly rotationAt: number | undefined;
  /** How often informed clients look for their window. */
  readonly pollMs: number;
  /** Certificates that can be issued; without a limit when left out. */
  readonly perSecond: number | undefined;
  /** How many times each is renewed, at least. */
  readonly turns: number;
  /** Found from the rest when left out. */
  readonly bucketMs: number | undefined;
  readonly seed: number;
};

/** The renewals between the earliest and the latest time at which all can be renewed for the n-th time. */
export type Turn = {
  readonly turn: number;
  readonly from: number;
  readonly until: number;
  readonly renewals: number;
  /** In the fullest bucket. */
  readonly peak: number;
  readonly mean: number;
  readonly ratio: number;
  readonly peakPerSecond: number;
};

export type Outcome = {
  readonly scenario: Scenario;
  readonly bucketMs: number;
  /** What would be renewed in a bucket if all were spread over all time. */
  readonly steady: number;
  readonly turns: readonly Turn[];
  readonly outage:
    | {
        /** When the service came back. */
        readonly restoredAt: number;
        /** Certificates that had expired by then, and that expired later because they had to wait. */
        readonly expired: number;
        readonly late: number;
        /** Both, as a share of all. */
        readonly fraction: number;
        /** From then on until nobody was behind its plan; undefined where that did not come. */
        readonly drainedMs: number | undefined;
      }
    | undefined;
  readonly rotation:
    | {
        /** Over how long the wave was spread; undefined where none was needed. */
        readonly widthMs: number | undefined;
        /** From the beginning until no certificate of the old authority was left. */
        readonly renewedMs: number | undefined;
        readonly peak: number;
      }
    | undefined;
  /** How often somebody was told to come again later. */
  readonly turnedAway: number;
};
