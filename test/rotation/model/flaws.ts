/** Ways to build the protocol wrongly, each a gate, a guard or an order that is left out. One at a time makes a mutant. */
export type Flaw =
  // The state machine's own.
  | 'no-trust-gate'
  | 'no-trust-recheck'
  | 'membership-snapshot'
  | 'empty-class-passes'
  | 'no-drain-gate'
  | 'in-flight-ignored'
  | 'last-report-drain'
  | 'expired-leaves-count'
  | 'no-distrust-gate'
  | 'joiner-does-not-hold-retirement'
  | 'unclean-evidence-retires'
  | 'unclean-evidence-of-members-retires'
  | 'unclean-evidence-retrusts'
  | 'new-trust-dropped-at-once'
  | 'no-retrust-gate'
  | 'no-return-gate'
  | 'floor-not-raised-on-retrust'
  | 'generation-goes-back'
  | 'not-held'
  | 'held-only-from-issuing'
  | 'held-only-while-new-signs'
  | 'admitted-again-after-distrust'
  | 'emergency-rolls-back'
  | 'cut-waits-for-stragglers'
  | 'facts-not-read-again'
  | 'no-compare-and-swap'
  // Of the rooms around it.
  | 'file-level-acknowledgement'
  | 'earlier-process-counts'
  | 'cross-certified-evidence'
  | 'forged-acknowledgement'
  | 'successor-issued-supersedes'
  | 'no-answer-horizon'
  | 'row-after-signature'
  | 'signer-not-fenced'
  | 'tainted-signs-again'
  | 'no-floor-check'
  | 'registered-late'
  | 'returns-without-floor'
  | 'no-quarantine';

/** The flaws that a run has; an absent one is not there. */
export type Flaws = { readonly [F in Flaw]?: true };

export const flawless: Flaws = {};
