import { planned } from './beginning.js';
import type { Plan } from './world.js';

/** A schedule that goes wrong where something is left out of the protocol. */
export type Known = {
  readonly name: string;
  /** Where they do not meet the service under a certificate of their own ring, nothing but the protocol keeps them out. */
  readonly flavour?: 'etcd';
  readonly plan: Plan;
  readonly schedule: string;
  readonly ends: 'finished' | 'rolled-back' | 'aborted';
};

const bare: Plan = { ...planned, crossSign: false };
/** How often everybody has to do what is expected until the rotation is there. */
const depths = { staged: 0, trusting: 1, canary: 2, issuing: 3, drained: 4, distrusting: 5, cooling: 6 } as const;

function at(state: keyof typeof depths, plan: Plan = planned): Plan {
  return { ...plan, depth: depths[state] };
}

/** Everybody does what is expected, time and again, but for one machine. */
const without = (machine: number, times: number): string =>
  Array.from({ length: times }, () => `everyone(0,${String(machine + 6)})`).join('; ');
const nobodyLeft = (times: number): string => Array.from({ length: times }, () => 'everyone(0,15)').join('; ');

/** Joins with the first bundle that there was: saying so, or not. */
const stale = { stated: 'join(2,1)', silent: 'join(2,3)' };

export const knownSchedules: readonly Known[] = [
  {
    name: 'a machine that does not load the bundle',
    ...{ plan: at('trusting', bare), schedule: without(0, 4), ends: 'finished' },
  },
  {
    name: 'a machine that is put back to an earlier state once it has shown its trust, and says so',
    plan: bare,
    schedule: `snapshot(0,0); ${nobodyLeft(2)}; restore(0,0); report(0,0); ${without(0, 3)}`,
    ends: 'finished',
  },
  {
    name: 'a machine that goes on with its old certificate',
    ...{ plan: at('issuing'), schedule: without(0, 5), ends: 'finished' },
  },
  {
    name: 'a machine that was given a successor, and does not use it',
    ...{ plan: at('issuing'), schedule: `ask(0,0); ${without(0, 5)}`, ends: 'finished' },
  },
  {
    name: 'a machine that is built anew with an old bundle, after it had shown its trust',
    plan: at('trusting', bare),
    schedule: `deliver(0,0); restart(0,0); report(0,0); join(0,3); ${without(0, 3)}`,
    ends: 'finished',
  },
  {
    name: 'a certificate that is used again after its successor was',
    plan: at('canary'),
    schedule: `snapshot(0,0); ${nobodyLeft(2)}; restore(0,0); time(0,3); use(0,0); ${without(0, 4)}`,
    ends: 'finished',
  },
  {
    name: 'a joiner with an old bundle, who says so',
    flavour: 'etcd',
    ...{ plan: at('issuing', bare), schedule: `${stale.stated}; ${nobodyLeft(3)}`, ends: 'finished' },
  },
  {
    name: 'a joiner with an old bundle, who does not say so, before the switch',
    ...{ plan: at('trusting', bare), schedule: `${stale.silent}; ${without(2, 4)}`, ends: 'finished' },
  },
  {
    name: 'a joiner with an old bundle, who does not say so, while a rollback drains',
    ...{ plan: at('drained', bare), schedule: `rollback(0,0); turn(0,0); ${stale.silent}`, ends: 'rolled-back' },
  },
  {
    name: 'a joiner who knows the new authority by the cross-certificate alone',
    ...{ plan: at('issuing'), schedule: `${stale.silent}; ${without(2, 6)}`, ends: 'finished' },
  },
  {
    name: 'a joiner whose request waited while the ring was frozen, with what is too old by then',
    flavour: 'etcd',
    plan: { ...planned, kind: 'emergency', preference: 'security-first' },
    schedule: 'join(2,0); turn(0,0); time(0,1); turn(0,0)',
    ends: 'finished',
  },
  {
    name: 'a rollback while certificates of the new authority are in use',
    ...{ plan: at('drained'), schedule: `rollback(0,0); ${without(0, 3)}`, ends: 'rolled-back' },
  },
  {
    name: 'a rollback while a machine has dropped the old authority',
    plan: at('distrusting'),
    schedule: `${without(1, 1)}; rollback(0,0); ${without(0, 4)}`,
    ends: 'rolled-back',
  },
  {
    name: 'a handshake over the cross-certificate, which does not show that both are known',
    plan: at('distrusting'),
    schedule: `${without(1, 1)}; rollback(0,0); turn(0,0); vouch(0,0); ${without(0, 3)}`,
    ends: 'rolled-back',
  },
  {
    name: 'a connection that the old authority let in',
    plan: at('canary'),
    schedule: `watch(0,0); ${without(3, 1)}; ask(3,0); install(3,0); reload(3,0); use(3,0); ${without(3, 3)}; deliver(3,0); reload(3,0); report(3,0); ${without(3, 3)}`,
    ends: 'finished',
  },
  {
    name: 'an emergency in the middle of a rotation',
    ...{ plan: at('canary'), schedule: 'declare(0,0); everyone(0,15)', ends: 'finished' },
  },
  {
    name: 'an emergency once the new authority signs',
    ...{ plan: at('drained'), schedule: `declare(0,0); ask(0,0); ${nobodyLeft(2)}`, ends: 'finished' },
  },
  {
    name: 'two that begin at once',
    ...{ plan: planned, schedule: 'rollback(0,0); declare(0,0) & start(0,2); everyone(0,15)', ends: 'finished' },
  },
  {
    name: 'a service that dies when an emergency is declared, and nobody hears that it was',
    ...{ plan: planned, schedule: 'rollback(0,0); declare(0,0) dies at write 5, durable; turn(0,0)', ends: 'finished' },
  },
  {
    name: 'another certificate for the same key, where API servers verify',
    ...{ plan: { ...planned, kind: 'reissue' }, schedule: nobodyLeft(3), ends: 'finished' },
  },
  {
    name: 'a clock that is far away',
    plan: { ...bare },
    schedule: `everyone(0,15); skew(0,3); ${nobodyLeft(3)}; skew(0,0); ${nobodyLeft(2)}`,
    ends: 'finished',
  },
  {
    name: 'a machine that is quarantined and joins anew',
    plan: at('trusting'),
    schedule: `quarantine(0,0); ${without(0, 3)}; ask(0,0); join(0,0); ${nobodyLeft(2)}`,
    ends: 'finished',
  },
];
