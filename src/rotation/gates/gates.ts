import type { Facts, Gate, Rotation, RotationState } from '../types.js';
import { drainChecks } from './drain.js';
import { pinChecks, removalChecks } from './distrust.js';
import { blockedBy, type Check, gateOf, notBefore, operatorCheck, passed } from './gate.js';
import { acceptanceChecks, refusalChecks } from './probes.js';
import { algorithmChecks, generationOf, trustChecks } from './trust.js';

export type GateFunction = (rotation: Rotation, facts: Facts) => Gate;

/** A successor can be published now: it is what it has to be, the window is open, and no other ring needs restarts. */
export const startGate: GateFunction = (rotation, facts) =>
  gateOf('start', [...preflightChecks(facts), ...windowChecks(facts), ...restartChecks(facts)]);

/** G1: every verifier has loaded the bundle that holds both, and caches have had their time. */
export const trustGate: GateFunction = (rotation, facts) => {
  const state = rotation.state === 'retrusting' ? 'retrusting' : 'trusting';
  const generation = generationOf(rotation, state);
  // Who knows the old authority alone can verify what the new one issues as long as chains carry the cross-certificate;
  // once a bundle without the old one was out, a joiner may hold that.
  const joiners = !rotation.crossSigned || state === 'retrusting';
  return gateOf('trust', [
    ...trustChecks(facts, { generation, joiners }),
    ...algorithmChecks(facts),
    ...soakChecks(rotation, facts, state, facts.timing.trustSoak, 'caches have to have seen the bundle'),
    ...validChecks(facts),
  ]);
};

/** G2: where anybody can be asked, certificates of the new authority are taken; and what G1 was about still holds. */
export const canaryGate: GateFunction = (rotation, facts) =>
  gateOf('canary', [
    // A machine that was put back to an earlier state since then has said so: it must not be left behind.
    ...trustChecks(facts, { generation: generationOf(rotation, 'trusting'), joiners: !rotation.crossSigned }),
    ...acceptanceChecks(rotation, facts),
    ...soakChecks(rotation, facts, 'canary', facts.timing.canarySoak, 'canaries have to have sung'),
  ]);

/** G3: nothing in use was issued by the old authority. */
export const drainGate: GateFunction = (rotation, facts) =>
  rotation.kind === 'keys'
    ? gateOf('drain', tokenChecks(rotation, facts, 'issuing', 'old'))
    : gateOf('drain', drainChecks(facts, facts.oldUse, rotation.oldKey));

/** The way back: nothing in use was issued by the new authority. */
export const returnGate: GateFunction = (rotation, facts) =>
  rotation.kind === 'keys'
    ? gateOf('drain', tokenChecks(rotation, facts, 'returning', 'new'))
    : gateOf('drain', drainChecks(facts, facts.newUse, rotation.newKey));

/** Tokens are in no ledger: the longest that one may live has to pass. */
function tokenChecks(rotation: Rotation, facts: Facts, state: 'issuing' | 'returning', key: 'old' | 'new'): Check[] {
  const since = rotation.marks[state]?.at ?? rotation.stateSince;
  const expired = notBefore(
    since + facts.timing.longestToken,
    facts.now,
    `the last token of the ${key} key has to have expired`,
  );
  if (state === 'issuing' || rotation.advanced === state) return [expired];
  return [expired, operatorCheck(rotation, 'say that the API servers have signed with the old key again for as long')];
}

/** Before the old authority is taken out: a person said so or enough time has passed, and nothing rests on it. */
export const approvalGate: GateFunction = (rotation, facts) => {
  const { now, timing } = facts;
  const approved = rotation.advanced === 'drained';
  const soak = rotation.stateSince + timing.drainSoak;
  return gateOf('approval', [
    approved
      ? passed()
      : notBefore(soak, now, 'nothing may have needed the old authority for a while, or an operator advances'),
    ...(rotation.kind === 'keys' ? [] : drainChecks(facts, facts.oldUse, rotation.oldKey)),
    ...pinChecks(facts.pins),
    ...windowChecks(facts),
    ...restartChecks(facts),
  ]);
};

/** G4: every verifier has dropped the old authority, and nothing goes on believing it. */
export const distrustGate: GateFunction = (rotation, facts) => {
  const generation = generationOf(rotation, 'distrusting');
  const at = rotation.marks.distrusting?.at ?? 0;
  return gateOf('distrust', [
    ...trustChecks(facts, { generation, joiners: true }),
    ...(rotation.kind === 'planned' ? refusalChecks(facts, { key: rotation.oldKey, since: at }) : []),
    ...(rotation.kind === 'planned' ? removalChecks(facts, at, generation) : []),
  ]);
};

/** G5: the old key has been put away long enough to be erased, and an operator agrees. */
export const coolingGate: GateFunction = (rotation, facts) => {
  const at = (rotation.marks.cooling?.at ?? rotation.stateSince) + facts.timing.cooling;
  return gateOf('cooling', [
    notBefore(at, facts.now, 'the old key stays for a way back'),
    rotation.advanced === 'cooling' || facts.timing.destroyKeys === 'automatic'
      ? passed()
      : operatorCheck(rotation, 'erase the old key for good'),
  ]);
};

/** Emergency: whether to begin with re-issuing. */
export const spreadGate: GateFunction = (rotation, facts) => {
  const generation = generationOf(rotation, 'spreading');
  const { deadline = 0, preference } = rotation.options;
  // A rotation that was taken over may have begun long before.
  const declaredAt = rotation.marks.declared?.at ?? rotation.startedAt;
  const half = declaredAt + (deadline - declaredAt) / 2;
  if (preference === 'security-first' || rotation.advanced === 'spreading' || facts.now >= half)
    return gateOf('spread', [passed()]);
  return gateOf('spread', trustChecks(facts, { generation, joiners: true }));
};

/** Emergency: stragglers are cut off at the deadline, or when there are none left. */
export const cutGate: GateFunction = (rotation, facts) => {
  const { deadline = 0 } = rotation.options;
  if (facts.now >= deadline || rotation.advanced === 'reissuing') return gateOf('cut', [passed()]);
  const gate = gateOf('cut', drainChecks(facts, facts.oldUse, rotation.oldKey));
  return gate.passes ? gate : { ...gate, opensAt: deadline };
};

/** Emergency: whoever is there has dropped the old authority, and its open connections with it. */
export const recoverGate: GateFunction = (rotation, facts) => {
  if (rotation.advanced === rotation.state) return gateOf('recover', [passed()]);
  const generation = generationOf(rotation, 'cut');
  const at = rotation.marks.cut?.at ?? 0;
  return gateOf('recover', [
    ...trustChecks(facts, { generation, joiners: true }),
    ...removalChecks(facts, at, generation),
  ]);
};

/** Emergency: who was left behind has come back, or its certificates have expired. */
export const recoveredGate: GateFunction = (rotation, facts) =>
  rotation.advanced === rotation.state
    ? gateOf('recover', [passed()])
    : gateOf('recover', [
        // Who joined since without a word may trust the tainted authority.
        ...trustChecks(facts, { generation: generationOf(rotation, 'cut'), joiners: true }),
        ...drainChecks(facts, facts.oldUse, rotation.oldKey),
      ]);

export const openGate: GateFunction = () => gateOf('start', [passed()]);

/** Signing keys are born and used elsewhere: somebody says that the new one is in use. */
export const keySwitchGate: GateFunction = (rotation, facts) => {
  const trust = trustGate(rotation, facts);
  if (rotation.advanced === 'trusting') return trust;
  const operator = operatorCheck(rotation, 'let the API servers sign with the new key');
  return {
    ...trust,
    passes: false,
    blockers: [...trust.blockers, ...operator.blockers],
    blocked: trust.blocked + 1,
    required: trust.required + 1,
  };
};

function preflightChecks({ preflight }: Facts): Check[] {
  return preflight.map((problem) =>
    blockedBy({
      subject: 'the new authority',
      kind: 'authority',
      requirement: 'has to be fit to be published',
      lastEvidence: problem,
      since: undefined,
      remedies: ['rotunda rotation rollback, and start another'],
    }),
  );
}

function windowChecks({ window, now }: Facts): Check[] {
  if (window.open) return [passed()];
  if (window.next !== undefined) return [notBefore(window.next, now, 'the next maintenance window has to open')];
  const remedies = ['rotation.windows in the configuration'];
  const text = { requirement: 'a maintenance window has to open', lastEvidence: 'none ever opens' };
  return [blockedBy({ subject: 'time', kind: 'time', ...text, since: undefined, remedies })];
}

function restartChecks({ restarting }: Facts): Check[] {
  if (restarting === undefined) return [passed()];
  return [
    blockedBy({
      subject: restarting,
      kind: 'operator',
      requirement: 'one rotation at a time may need restarts',
      lastEvidence: `${restarting} is in such a phase`,
      since: undefined,
      remedies: [`wait for it: rotunda rotation explain ${restarting}`],
    }),
  ];
}

function soakChecks(
  rotation: Rotation,
  facts: Facts,
  state: RotationState,
  soak: number,
  requirement: string,
): Check[] {
  return [notBefore((rotation.marks[state]?.at ?? rotation.stateSince) + soak, facts.now, requirement)];
}

/** A verifier whose clock is behind by as much as is allowed must find the new authority valid. */
function validChecks({ new: next, timing, now }: Facts): Check[] {
  if (next === undefined) return [];
  return [notBefore(next.notBefore + timing.longestSkew, now, 'the new authority has to be valid by every clock')];
}
