/** The time as the service sees it. Injected everywhere, so that tests can jump it. */
export type Clock = {
  now(): Date;
  /** Milliseconds since some moment, which no setting of the clock changes; left out where `now` is made up. */
  monotonic?(): number;
};

/** Cryptographically strong bytes. Injected, so that tests can be repeated. */
export type Random = { bytes(count: number): Buffer };
