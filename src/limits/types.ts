/** A steady rate with a store for bursts: a token bucket. */
export type Rate = { readonly perSecond: number; readonly burst: number };

/** What one caller may ask for before it is told to wait (429 with Retry-After). Counted per replica. */
export type Limits = {
  /** Calls of one node, token or user. Administrators, operators and viewers are not limited. */
  readonly identity: Rate;
  /** Calls without a good credential, of one remote address; health endpoints do not count. */
  readonly anonymous: Rate;
  /** Requests of one machine that say the same and are refused or held again. */
  readonly repeats: {
    /** How many of them are stored at once; spread over the window, as many more. */
    readonly stored: number;
    readonly windowMs: number;
    readonly longestRetryAfterMs: number;
  };
  /** Requests of one identity, whatever they say, that are refused, held or left to another signer. */
  readonly undecided: Rate;
  /** Certificates that one node or member is given with its own certificate: what it gets may not be what it wants. */
  readonly issued: Rate;
  /** Requests that are being signed and stored at once, and that wait for it. */
  readonly signing: { readonly running: number; readonly waiting: number };
};

/**
 * A node asks a few times a day, and 5,000 of them may stand behind one address and share one token. A denied kubelet
 * asks every 32 s for ever.
 */
export const defaultLimits: Limits = {
  identity: { perSecond: 100, burst: 200 },
  anonymous: { perSecond: 1000, burst: 20_000 },
  repeats: { stored: 5, windowMs: 3_600_000, longestRetryAfterMs: 60_000 },
  undecided: { perSecond: 10, burst: 20_000 },
  issued: { perSecond: 1, burst: 500 },
  signing: { running: 256, waiting: 4000 },
};
