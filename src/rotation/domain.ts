import type { Kysely } from 'kysely';

import type { Schema } from '../store/schema.js';
import type { AuthorityFact, AuthorityUse, Facts, RotationOptions } from './types.js';

import type { WriteTx } from '../store/types.js';

/** What a transition does to a ring, all of it or nothing. */
export type DomainChange = {
  readonly ring: string;
  /** The ring's epoch that it was decided in; it goes up by one. */
  readonly epoch: number;
  /** What is published from now on, by authority; the present bundle when left out. */
  readonly anchors?: readonly string[];
  /**
   * Which of the certificates that an authority issued to itself are published: its newest, the one before that, or these
   * two. When left out, what the present bundle has of it, or the newest where that has none.
   */
  readonly certificates?: 'newest' | 'previous' | 'both';
  /** The newest certificate of this authority is not used any more, and never again. */
  readonly withdraw?: string;
  readonly signer?: string;
  readonly frozen?: boolean;
  /** Joiners that state a generation must hold the one that is published here. */
  readonly raiseFloor?: boolean;
  readonly joinsHeld?: boolean;
  /** Whether chains carry the certificate by which the old authority vouches for the new one. */
  readonly cross?: { readonly from: string; readonly to: string } | 'none';
  readonly states?: Readonly<Record<string, AuthorityFact['state']>>;
  readonly taint?: string;
  readonly seal?: string;
  readonly unseal?: string;
  /** Its private key is erased. */
  readonly destroy?: string;
};

export type PreparedChange = {
  /** Generation of the bundle once it is applied. */
  readonly generation: number;
  /** False when the ring is in another epoch by now; nothing is written then. */
  apply(tx: WriteTx, now: number): Promise<boolean>;
};

/** An authority that was made and is not stored yet. */
export type Successor = {
  readonly key: string;
  /** It has a certificate by the present authority. */
  readonly crossSigned: boolean;
  store(tx: WriteTx, now: number): Promise<void>;
};

export type DomainQuestion = {
  readonly ring: string;
  readonly oldKey: string;
  readonly newKey: string;
  readonly now: number;
};

export type DomainFacts = {
  readonly ring: Facts['ring'];
  readonly old: AuthorityFact | undefined;
  readonly new: AuthorityFact | undefined;
  readonly oldUse: AuthorityUse;
  readonly newUse: AuthorityUse;
};

/** The rings of one kind, as the state machine changes them. Keys are used outside transactions only. */
export type TrustDomain = {
  /** Throws RotundaError 'not-found', 'invalid' for what cannot be made. */
  successor(
    ring: string,
    options: RotationOptions & { readonly crossSign: boolean; readonly sameKey: boolean },
  ): Promise<Successor>;
  prepare(change: DomainChange): Promise<PreparedChange>;
  /** What the database holds of a ring and two of its authorities. */
  facts(db: Kysely<Schema>, asked: DomainQuestion): Promise<DomainFacts>;
  /** Takes over what was changed, so that this process goes by it. */
  reload(): Promise<void>;
};
