import type { DomainChange } from './domain.js';
import * as gates from './gates/gates.js';
import type { Rotation, RotationKind, RotationState } from './types.js';

export type TransitionName =
  | 'publish'
  | 'begin-canary'
  | 'switch'
  | 'drain'
  | 'distrust'
  | 'retire'
  | 'finish'
  | 'replace'
  | 'roll-back'
  | 'withdrawn'
  | 'returned'
  | 'retrusted'
  | 'resume-return'
  | 'spread'
  | 'reissue'
  | 'cut'
  | 'recover'
  | 'recovered';

/** What is to be done outside the database once a transition is durable. Each can be done twice. */
export type EffectKind = 'own-certificates' | 'published-objects' | 'renewals' | 'probes' | 'copies' | 'notify';

export type RingChange = Omit<DomainChange, 'ring' | 'epoch'>;

export type Transition = {
  readonly name: TransitionName;
  readonly kinds: readonly RotationKind[];
  readonly from: readonly RotationState[];
  readonly to: RotationState;
  readonly by: 'machine' | 'operator';
  readonly gate: gates.GateFunction;
  /** Undefined where the ring stays as it is. */
  readonly change?: (rotation: Rotation) => RingChange;
  readonly effects: readonly EffectKind[];
  /** Only on the way back, or only not. */
  readonly back?: boolean;
};

const all: readonly EffectKind[] = ['own-certificates', 'published-objects', 'probes', 'notify'];

/** The signer is the old authority again; what the new one issued is replaced. */
const returnToOld = ({ oldKey, newKey, crossSigned }: Rotation): RingChange => ({
  signer: oldKey,
  cross: 'none',
  states: { [oldKey]: 'active', [newKey]: 'draining' },
  ...(crossSigned ? {} : { joinsHeld: true }),
});

const withoutNew = ({ oldKey, newKey, kind }: Rotation): RingChange => ({
  anchors: [oldKey],
  raiseFloor: true,
  ...(kind === 'reissue' ? { certificates: 'previous' } : { states: { [newKey]: 'draining' } }),
});

const forward: readonly Transition[] = [
  {
    ...{ name: 'publish', kinds: ['planned', 'reissue', 'keys'], from: ['staged'], to: 'trusting', by: 'machine' },
    gate: gates.startGate,
    change: ({ oldKey, newKey, kind }) =>
      kind === 'reissue'
        ? { anchors: [oldKey], certificates: 'both', raiseFloor: true }
        : { anchors: [oldKey, newKey], raiseFloor: true, states: { [newKey]: 'trusted' } },
    effects: all,
  },
  {
    ...{ name: 'begin-canary', kinds: ['planned'], from: ['trusting'], to: 'canary', by: 'machine' },
    gate: gates.trustGate,
    change: ({ crossSigned }) => ({ joinsHeld: !crossSigned }),
    effects: ['probes', 'notify'],
  },
  {
    ...{ name: 'switch', kinds: ['planned'], from: ['canary'], to: 'issuing', by: 'machine' },
    gate: gates.canaryGate,
    change: ({ oldKey, newKey, crossSigned }) => ({
      signer: newKey,
      cross: crossSigned ? { from: oldKey, to: newKey } : 'none',
      states: { [newKey]: 'active', [oldKey]: 'draining' },
    }),
    effects: [...all, 'renewals'],
  },
  {
    ...{ name: 'switch', kinds: ['keys'], from: ['trusting'], to: 'issuing', by: 'machine' },
    gate: gates.keySwitchGate,
    change: ({ oldKey, newKey }) => ({ signer: newKey, states: { [newKey]: 'active', [oldKey]: 'draining' } }),
    effects: ['notify'],
  },
  {
    ...{ name: 'drain', kinds: ['planned', 'keys'], from: ['issuing'], to: 'drained', by: 'machine', back: false },
    gate: gates.drainGate,
    effects: ['notify'],
  },
  {
    ...{ name: 'distrust', kinds: ['planned', 'keys'], from: ['drained'], to: 'distrusting', by: 'machine' },
    gate: gates.approvalGate,
    change: ({ oldKey, newKey }) => ({
      anchors: [newKey],
      raiseFloor: true,
      joinsHeld: true,
      states: { [oldKey]: 'distrusted' },
    }),
    effects: [...all, 'copies'],
  },
  {
    ...{ name: 'replace', kinds: ['reissue'], from: ['trusting'], to: 'distrusting', by: 'machine' },
    gate: gates.trustGate,
    change: ({ oldKey }) => ({ anchors: [oldKey], certificates: 'newest', raiseFloor: true }),
    effects: all,
  },
  {
    ...{ name: 'retire', kinds: ['planned'], from: ['distrusting'], to: 'cooling', by: 'machine' },
    gate: gates.distrustGate,
    change: ({ oldKey }) => ({ cross: 'none', seal: oldKey }),
    effects: all,
  },
  {
    ...{ name: 'finish', kinds: ['planned'], from: ['cooling'], to: 'finished', by: 'machine' },
    gate: gates.coolingGate,
    change: ({ oldKey }) => ({ destroy: oldKey, joinsHeld: false }),
    effects: ['notify'],
  },
  {
    ...{ name: 'finish', kinds: ['reissue'], from: ['distrusting'], to: 'finished', by: 'machine' },
    gate: gates.distrustGate,
    change: () => ({ joinsHeld: false }),
    effects: all,
  },
  {
    ...{ name: 'finish', kinds: ['keys'], from: ['distrusting'], to: 'finished', by: 'machine' },
    gate: gates.distrustGate,
    change: ({ oldKey }) => ({ destroy: oldKey, joinsHeld: false }),
    effects: ['notify'],
  },
];

const back: readonly Transition[] = [
  {
    ...{ name: 'roll-back', kinds: ['planned', 'reissue', 'keys'], from: ['staged'], to: 'aborted', by: 'operator' },
    gate: gates.openGate,
    change: ({ newKey, kind }) => (kind === 'reissue' ? { withdraw: newKey } : { destroy: newKey }),
    effects: ['notify'],
  },
  {
    ...{ name: 'roll-back', kinds: ['planned', 'reissue', 'keys'], from: ['trusting', 'canary'], to: 'untrusting' },
    ...{ by: 'operator', gate: gates.openGate, change: withoutNew, effects: all },
  },
  {
    ...{ name: 'roll-back', kinds: ['planned', 'keys'], from: ['issuing', 'drained'], to: 'returning', by: 'operator' },
    ...{ gate: gates.openGate, change: returnToOld, effects: [...all, 'renewals'] },
  },
  {
    ...{ name: 'roll-back', kinds: ['planned', 'keys'], from: ['distrusting', 'cooling'], to: 'retrusting' },
    by: 'operator',
    gate: gates.openGate,
    change: ({ oldKey, newKey }) => ({
      anchors: [newKey, oldKey],
      raiseFloor: true,
      joinsHeld: true,
      unseal: oldKey,
      states: { [oldKey]: 'trusted' },
    }),
    effects: all,
  },
  {
    ...{ name: 'retrusted', kinds: ['planned', 'keys'], from: ['retrusting'], to: 'issuing', by: 'machine' },
    gate: gates.trustGate,
    change: ({ oldKey }) => ({ states: { [oldKey]: 'draining' } }),
    effects: ['notify'],
  },
  {
    ...{ name: 'resume-return', kinds: ['planned', 'keys'], from: ['issuing'], to: 'returning', by: 'machine' },
    ...{ back: true, gate: gates.openGate, change: returnToOld, effects: [...all, 'renewals'] },
  },
  {
    ...{ name: 'returned', kinds: ['planned', 'keys'], from: ['returning'], to: 'untrusting', by: 'machine' },
    ...{ gate: gates.returnGate, change: withoutNew, effects: all },
  },
  {
    ...{ name: 'withdrawn', kinds: ['planned', 'reissue', 'keys'], from: ['untrusting'], to: 'rolled-back' },
    by: 'machine',
    gate: (rotation, facts) => (rotation.kind === 'planned' ? gates.returnGate : gates.openGate)(rotation, facts),
    change: ({ newKey, kind }) => ({
      ...(kind === 'reissue' ? { withdraw: newKey } : { destroy: newKey }),
      joinsHeld: false,
    }),
    effects: ['notify'],
  },
];

const emergency: readonly Transition[] = [
  {
    ...{ name: 'spread', kinds: ['emergency'], from: ['declared'], to: 'spreading', by: 'machine' },
    gate: gates.openGate,
    change: ({ oldKey, newKey }) => ({
      anchors: [newKey, oldKey],
      raiseFloor: true,
      joinsHeld: true,
      states: { [newKey]: 'trusted' },
    }),
    effects: all,
  },
  {
    ...{ name: 'reissue', kinds: ['emergency'], from: ['spreading'], to: 'reissuing', by: 'machine' },
    gate: gates.spreadGate,
    change: ({ oldKey, newKey }) => ({
      signer: newKey,
      frozen: false,
      states: { [newKey]: 'active', [oldKey]: 'draining' },
    }),
    effects: [...all, 'renewals'],
  },
  {
    ...{ name: 'cut', kinds: ['emergency'], from: ['reissuing'], to: 'cut', by: 'machine' },
    gate: gates.cutGate,
    change: ({ oldKey, newKey }) => ({ anchors: [newKey], raiseFloor: true, joinsHeld: false, destroy: oldKey }),
    effects: [...all, 'copies'],
  },
  {
    ...{ name: 'recover', kinds: ['emergency'], from: ['cut'], to: 'recovering', by: 'machine' },
    ...{ gate: gates.recoverGate, effects: ['notify'] },
  },
  {
    ...{ name: 'recovered', kinds: ['emergency'], from: ['recovering'], to: 'finished', by: 'machine' },
    ...{ gate: gates.recoveredGate, effects: ['notify'] },
  },
];

/** Every way from one state to another. */
export const transitions: readonly Transition[] = [...forward, ...back, ...emergency];
