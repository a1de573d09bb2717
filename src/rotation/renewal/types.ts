import type { Identity } from '../../identity/types.js';

/**
 * When a client renews. `informed`: it asks for its window. `kubelet`: it draws its own time between 70 and 90 % of the
 * life of its certificate. `fixed`: at one point of that life.
 */
export type RenewalClient =
  { readonly kind: 'informed' } | { readonly kind: 'kubelet' } | { readonly kind: 'fixed'; readonly at: number };

/** Between two times, milliseconds; `until` is not part of it. */
export type Window = { readonly from: number; readonly until: number };

/** What a window may be. Shares are of the life of a certificate, from notBefore to notAfter. */
export type RenewalPolicy = {
  /** Where informed clients renew. */
  readonly window: { readonly from: number; readonly until: number };
  /** For how long the service may be away without one certificate expiring, milliseconds; 0: as it comes. */
  readonly outageMs: number;
  /** The least share of its life that a certificate keeps where the service steers by shortening it; 1: it does not. */
  readonly shortest: number;
};

/** Why some certificates are to be renewed at another time than was planned for them. */
export const renewalReasons = ['rotation', 'compromise', 'capacity'] as const;
export type RenewalReason = (typeof renewalReasons)[number];

/** Asks the holders of some certificates to renew, each at its own point between two times. */
export type RenewalRule = {
  readonly id: string;
  readonly ring: string;
  /** SKI of the authority that has signed them; any when left out. */
  readonly authority?: string;
  readonly profile?: string;
  /** When the first one is due, milliseconds. */
  readonly notBefore: number;
  /** Over how long they are spread, milliseconds. */
  readonly width: number;
  readonly reason: RenewalReason;
  /** What was issued later is not meant. */
  readonly createdAt: number;
};

/** A certificate as far as its renewal goes. Times in milliseconds. */
export type RenewalSubject = {
  /** Lower-case hex. */
  readonly serial: string;
  readonly ring: string;
  readonly authority: string;
  readonly profile: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly issuedAt: number;
};

/** What issuing needs of the planning of renewals. Costs no query. */
export type RenewalPlanning = {
  /**
   * When a certificate of this profile ends, and when it is to be renewed; milliseconds. `life` is what it may have at most:
   * it is made shorter only where configuration says so and nobody has asked for a certain one (`asked`).
   */
  choose(
    profile: { readonly signerName: string },
    life: { readonly notBefore: number; readonly notAfter: number },
    asked: boolean,
  ): { readonly notAfter: number; readonly renewFrom: number; readonly renewUntil: number };
  /** Counts one that has come to be. */
  issued(order: {
    readonly profile: string;
    readonly renewFrom?: number | undefined;
    readonly renewUntil?: number | undefined;
  }): void;
  /** Lets who renews through, or throws 'too-many-requests' with the time to come again. */
  admit(identity: Identity): Promise<void>;
};
