import { type Flaws, flawless } from './flaws.js';
import type { Anchors, MoveName, ServiceState } from './protocol.js';

/** What a transition changes. */
export type Effect = {
  readonly publish?: Anchors;
  readonly signer?: 'old' | 'new';
  readonly frozen?: boolean;
  readonly joinsHeld?: boolean;
  /** Joiners that state a generation must hold the one that is published. */
  readonly raiseFloor?: boolean;
  readonly crossInChains?: boolean;
  readonly back?: boolean;
  /** The ring changes, and with it its epoch. */
  readonly ring: boolean;
};

type Asked = Pick<ServiceState, 'kind' | 'state' | 'crossSigned'>;

/** What `name` does, when taken from `state`. */
export function effectOf(name: MoveName, state: Asked, flaws: Flaws = flawless): Effect {
  const { crossSigned } = state;
  switch (name) {
    case 'publish':
      return { publish: 'both', raiseFloor: true, ring: true };
    case 'begin-canary': {
      const joinsHeld = !crossSigned && flaws['not-held'] !== true && flaws['held-only-from-issuing'] !== true;
      return { joinsHeld, ring: true };
    }
    case 'switch': {
      const joinsHeld = !crossSigned && flaws['not-held'] !== true;
      return { signer: 'new', crossInChains: crossSigned, joinsHeld, ring: true };
    }
    case 'distrust':
      return { publish: 'new', raiseFloor: true, joinsHeld: true, ring: true };
    case 'replace':
      return { publish: 'new', raiseFloor: true, ring: true };
    case 'retire':
      return { crossInChains: false, ring: true };
    case 'finish':
      return { joinsHeld: false, ring: true };
    case 'roll-back':
      return backwards(state, flaws);
    case 'resume-return':
      return toOld(crossSigned, flaws);
    case 'returned':
      return { publish: 'old', raiseFloor: true, ring: true };
    case 'withdrawn':
      return { joinsHeld: false, ring: true };
    case 'retrusted':
      return { ring: true };
    case 'spread':
      return { publish: 'both', raiseFloor: true, joinsHeld: true, ring: true };
    case 'reissue':
      return { signer: 'new', frozen: false, ring: true };
    case 'cut':
      return { publish: 'new', raiseFloor: true, joinsHeld: false, ring: true };
    case 'drain':
    case 'recover':
    case 'recovered':
      return { ring: false };
  }
}

function toOld(crossSigned: boolean, flaws: Flaws): Effect {
  const held = flaws['held-only-while-new-signs'] === true ? { joinsHeld: false } : {};
  return { signer: 'old', back: true, ring: true, ...(crossSigned ? {} : held) };
}

function backwards({ state, crossSigned }: Asked, flaws: Flaws): Effect {
  switch (state) {
    case 'issuing':
    case 'drained':
    case 'reissuing':
      return flaws['new-trust-dropped-at-once'] === true
        ? { publish: 'old', raiseFloor: true, signer: 'old', back: true, ring: true }
        : toOld(crossSigned, flaws);
    case 'distrusting':
    case 'cooling': {
      const raiseFloor = flaws['floor-not-raised-on-retrust'] !== true;
      const joinsHeld = flaws['admitted-again-after-distrust'] !== true;
      return { publish: 'both', raiseFloor, joinsHeld, back: true, ring: true };
    }
    case 'staged':
      return { back: true, ring: true };
    default:
      return { publish: 'old', raiseFloor: true, back: true, ring: true };
  }
}
