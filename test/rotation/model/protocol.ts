import type { RotationKind, RotationOptions, RotationState } from '../../../src/rotation/types.js';
import { type Flaws, flawless } from './flaws.js';

/** Whose anchors a bundle has. */
export type Anchors = 'old' | 'both' | 'new';

/** One consumer that verifies, as the service has recorded it. */
export type ConsumerRecord = {
  readonly registered: boolean;
  readonly quarantined: boolean;
  /** Got its leaf without saying which bundle it holds, and has given no clean evidence since. */
  readonly joiner: boolean;
  /** Generation that its present process is recorded to have loaded; 0 unknown. */
  readonly loaded: number;
  /** False where that is known only from a handshake over a chain with the cross-certificate. */
  readonly clean: boolean;
};

/** By the ledger and the inventory: unexpired leaves that are not proven superseded, and those that are being signed. */
export type AuthorityUse = { readonly live: number; readonly inFlight: number };

/** Everything that the service knows and goes by, and nothing that it does not. */
export type ServiceState = {
  readonly kind: Exclude<RotationKind, 'keys'>;
  readonly state: RotationState;
  readonly back: boolean;
  readonly paused: boolean;
  readonly crossSigned: boolean;
  readonly preference: NonNullable<RotationOptions['preference']>;
  /** Of an emergency: before half of the time to the deadline, before the deadline, after it. */
  readonly hour: 'early' | 'half' | 'deadline';
  /** Goes up with each transition that changes the ring. */
  readonly epoch: number;
  readonly generation: number;
  /** What each generation holds, the first one first. */
  readonly bundles: readonly Anchors[];
  readonly signer: 'old' | 'new';
  readonly frozen: boolean;
  readonly crossInChains: boolean;
  readonly joinFloor: number;
  readonly joinsHeld: boolean;
  /** A class that verifies the ring has neither a consumer nor an attestation. */
  readonly undeclaredClass: boolean;
  readonly consumers: readonly ConsumerRecord[];
  readonly old: AuthorityUse;
  readonly new: AuthorityUse;
};

export const moveNames = [
  'publish',
  'begin-canary',
  'switch',
  'drain',
  'distrust',
  'retire',
  'finish',
  'replace',
  'roll-back',
  'withdrawn',
  'returned',
  'retrusted',
  'resume-return',
  'spread',
  'reissue',
  'cut',
  'recover',
  'recovered',
] as const;
export type MoveName = (typeof moveNames)[number];

export type Move = { readonly name: MoveName; readonly to: RotationState };

/** What keeps the next transition from being taken. */
export type Obstacle =
  | { readonly kind: 'consumer'; readonly index: number }
  | { readonly kind: 'class' }
  | { readonly kind: 'certificates'; readonly of: 'old' | 'new' };

export const endStates: readonly RotationState[] = ['finished', 'rolled-back', 'aborted'];

/** The transitions that are offered: the machine's own where it is not paused, and an operator's way back. */
export function serviceMoves(state: ServiceState, flaws: Flaws = flawless): readonly Move[] {
  const forward = state.paused ? undefined : forwardMove(state);
  const open = forward !== undefined && !isBlocked(forward.name, state, flaws);
  const back = wayBack(state, flaws);
  if (open) return back === undefined ? [forward] : [forward, { name: 'roll-back', to: back }];
  return back === undefined ? [] : [{ name: 'roll-back', to: back }];
}

/** What the machine would do next, whether or not its gate passes. */
export function forwardMove({ kind, state, back }: ServiceState): Move | undefined {
  switch (state) {
    case 'staged':
      return { name: 'publish', to: 'trusting' };
    case 'trusting':
      return kind === 'reissue' ? { name: 'replace', to: 'distrusting' } : { name: 'begin-canary', to: 'canary' };
    case 'canary':
      return { name: 'switch', to: 'issuing' };
    case 'issuing':
      return back ? { name: 'resume-return', to: 'returning' } : { name: 'drain', to: 'drained' };
    case 'drained':
      return { name: 'distrust', to: 'distrusting' };
    case 'distrusting':
      return kind === 'reissue' ? { name: 'finish', to: 'finished' } : { name: 'retire', to: 'cooling' };
    case 'cooling':
      return { name: 'finish', to: 'finished' };
    case 'untrusting':
      return { name: 'withdrawn', to: 'rolled-back' };
    case 'returning':
      return { name: 'returned', to: 'untrusting' };
    case 'retrusting':
      return { name: 'retrusted', to: 'issuing' };
    case 'declared':
      return { name: 'spread', to: 'spreading' };
    case 'spreading':
      return { name: 'reissue', to: 'reissuing' };
    case 'reissuing':
      return { name: 'cut', to: 'cut' };
    case 'cut':
      return { name: 'recover', to: 'recovering' };
    case 'recovering':
      return { name: 'recovered', to: 'finished' };
    case 'finished':
    case 'rolled-back':
    case 'aborted':
      return undefined;
  }
}

/** Where an operator's roll-back leads; undefined where there is no way back. */
export function wayBack({ kind, state }: ServiceState, flaws: Flaws = flawless): RotationState | undefined {
  if (kind === 'emergency' && !(flaws['emergency-rolls-back'] === true && state === 'reissuing')) return undefined;
  switch (state) {
    case 'staged':
      return 'aborted';
    case 'trusting':
    case 'canary':
      return 'untrusting';
    case 'issuing':
    case 'drained':
      return flaws['new-trust-dropped-at-once'] === true ? 'untrusting' : 'returning';
    case 'reissuing':
      return 'returning';
    case 'distrusting':
    case 'cooling':
      return kind === 'reissue' ? undefined : 'retrusting';
    default:
      return undefined;
  }
}

/** Everything that keeps the machine's next transition from being taken, by name; empty where it can be taken. */
export function obstacles(state: ServiceState, flaws: Flaws = flawless): readonly Obstacle[] {
  const forward = forwardMove(state);
  if (forward === undefined) return [];
  const found: Obstacle[] = [];
  collect(forward.name, state, flaws, found);
  return found;
}

function isBlocked(name: MoveName, state: ServiceState, flaws: Flaws): boolean {
  return collect(name, state, flaws, undefined);
}

/** Whether a gate is shut. With a list, everything that shuts it is put there; without, the first thing is enough. */
function collect(name: MoveName, state: ServiceState, flaws: Flaws, into: Obstacle[] | undefined): boolean {
  switch (name) {
    case 'begin-canary':
    case 'replace':
      if (flaws['no-trust-gate'] === true) return false;
      return untrusted(state, { joiners: !state.crossSigned, unclean: false }, flaws, into);
    case 'switch':
      // Who was registered, rejoined or restarted since the gate passed counts as well.
      if (flaws['no-trust-gate'] === true || flaws['no-trust-recheck'] === true) return false;
      return untrusted(state, { joiners: !state.crossSigned, unclean: false }, flaws, into);
    case 'drain':
    case 'distrust':
      return flaws['no-drain-gate'] === true ? false : used(state, 'old', flaws, into);
    case 'retire': {
      if (flaws['no-distrust-gate'] === true) return false;
      const ofMembers = flaws['unclean-evidence-of-members-retires'] === true ? 'of-members' : false;
      const unclean = flaws['unclean-evidence-retires'] === true || ofMembers;
      return untrusted(state, { joiners: flaws['joiner-does-not-hold-retirement'] !== true, unclean }, flaws, into);
    }
    case 'retrusted': {
      if (flaws['no-retrust-gate'] === true) return false;
      // Whoever joined without a word may have loaded the bundle that lacked the old authority.
      const unclean = flaws['unclean-evidence-retrusts'] === true;
      return untrusted(state, { joiners: true, unclean }, flaws, into);
    }
    case 'returned':
    case 'withdrawn':
      return flaws['no-return-gate'] === true ? false : used(state, 'new', flaws, into);
    case 'reissue':
      if (state.preference === 'security-first' || state.hour !== 'early') return false;
      return untrusted(state, { joiners: true, unclean: false }, flaws, into);
    case 'cut':
      if (state.hour === 'deadline' && flaws['cut-waits-for-stragglers'] !== true) return false;
      return used(state, 'old', flaws, into);
    case 'recover':
      return untrusted(state, { joiners: true, unclean: false }, flaws, into);
    case 'recovered': {
      // Who joined since without a word may trust the tainted authority, which is somebody else's.
      if (flaws['no-trust-recheck'] !== true && untrusted(state, { joiners: true, unclean: false }, flaws, into)) {
        if (into === undefined) return true;
        used(state, 'old', flaws, into);
        return true;
      }
      return used(state, 'old', flaws, into);
    }
    case 'finish':
      return state.kind === 'reissue' && untrusted(state, { joiners: true, unclean: false }, flaws, into);
    default:
      return false;
  }
}

type Demand = {
  /** Those that joined without a word count too. */
  readonly joiners: boolean;
  /** Evidence over a cross-certified chain counts too: of everybody, or of those that did not join without a word. */
  readonly unclean: boolean | 'of-members';
};

/** Somebody is not known to have loaded the current bundle, or a class is not accounted for. */
function untrusted(state: ServiceState, demand: Demand, flaws: Flaws, into: Obstacle[] | undefined): boolean {
  let shut = false;
  if (state.undeclaredClass && flaws['empty-class-passes'] !== true) {
    if (into === undefined) return true;
    into.push({ kind: 'class' });
    shut = true;
  }
  for (let index = 0; index < state.consumers.length; index += 1) {
    const consumer = state.consumers[index];
    if (consumer === undefined || !consumer.registered || consumer.quarantined) continue;
    if (consumer.joiner && !demand.joiners) continue;
    const unclean = demand.unclean === 'of-members' ? !consumer.joiner : demand.unclean;
    if (consumer.loaded >= state.generation && (consumer.clean || unclean)) continue;
    if (into === undefined) return true;
    into.push({ kind: 'consumer', index });
    shut = true;
  }
  return shut;
}

/** Something may still be presented that the authority issued. */
function used(state: ServiceState, of: 'old' | 'new', flaws: Flaws, into: Obstacle[] | undefined): boolean {
  const { live, inFlight } = state[of];
  if (live === 0 && (inFlight === 0 || flaws['in-flight-ignored'] === true)) return false;
  into?.push({ kind: 'certificates', of });
  return true;
}
