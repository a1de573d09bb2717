import type { Blocker, Facts, Rotation, RotationState, VerifierClassFact, VerifierFact } from '../types.js';
import { undeclaredClasses } from './declared.js';

/** What a gate asks for, in one sentence. */
export const gateTexts: Readonly<Record<RotationState, string>> = {
  staged: 'a maintenance window is open, no other ring needs restarts, and the successor is fit',
  trusting:
    'every verifier of the ring has loaded the bundle with both, as its class has to show it; the trust soak is over; clocks are right',
  canary: 'endpoints that can be asked take a certificate of the new authority; the canary soak is over',
  issuing: 'the ledger holds no usable leaf of the old authority, and nothing is being signed with it',
  drained:
    'an operator advances it, or the drain soak is over; no join command names the old pin alone; a window is open, no other ring needs restarts',
  distrusting:
    'every verifier has loaded the bundle without the old authority, endpoints refuse it, its old watches have ended, copies have followed',
  cooling: 'the cooling time is over, and an operator lets the old key be erased unless that is automatic',
  untrusting: 'the ledger holds no usable leaf of the new authority',
  returning: 'the ledger holds no usable leaf of the new authority',
  retrusting: 'every verifier, joiners too, has loaded the bundle with both again; the trust soak is over',
  declared: 'none',
  spreading:
    'every verifier has loaded the bundle with both, or half of the deadline is over; nothing with security first',
  reissuing: 'nothing usable of the old authority is left, or the deadline is reached, or an operator advances it',
  cut: 'every verifier has loaded the bundle without the old authority, and its old watches have ended',
  recovering: 'every leaf of the old authority was replaced, or has expired',
  finished: 'none',
  'rolled-back': 'none',
  aborted: 'none',
};

/** What is known today that will keep a state from being left later on, and can be mended before. */
export function foreseen(state: RotationState, rotation: Rotation, facts: Facts): readonly Blocker[] {
  switch (state) {
    case 'trusting':
    case 'retrusting':
    case 'spreading':
      return [...classes(facts), ...facts.verifiers.flatMap((verifier) => unheard(verifier, facts))];
    case 'drained':
      return [
        ...pins(facts),
        ...(rotation.policy === 'manual' ? [operator('lets the old authority be distrusted')] : []),
      ];
    case 'distrusting':
    case 'cut':
      return [...classes(facts), ...streams(facts), ...copies(facts)];
    case 'cooling':
      return facts.timing.destroyKeys === 'operator' ? [operator('lets the old key be erased')] : [];
    default:
      return [];
  }
}

function classes({ classes: all, now, ring }: Facts): Blocker[] {
  return undeclaredClasses(all, now).map(({ class: name, description, remedy }) => ({
    subject: name,
    kind: 'class',
    requirement: `${description}: registered, or attested by name`,
    lastEvidence: 'nobody of this class is registered, and nobody has said that there is none',
    since: undefined,
    remedies: [
      remedy,
      `rotunda attestation create --ring ${ring.name} --class ${name} --statement absent --reason TEXT, where there is none`,
    ],
  }));
}

function unheard({ name, silentSince, clockSkewMs }: VerifierFact, { timing }: Facts): Blocker[] {
  const found: Blocker[] = [];
  if (silentSince !== undefined)
    found.push({
      ...{
        subject: name,
        kind: 'consumer',
        requirement: 'has to be heard of',
        lastEvidence: 'it is silent',
        since: silentSince,
      },
      remedies: [
        'bring it back',
        `rotunda consumer quarantine ${name} --reason TEXT --dry-run shows what leaving it behind would break`,
      ],
    });
  if (Math.abs(clockSkewMs ?? 0) > timing.longestSkew)
    found.push({
      ...{ subject: name, kind: 'consumer', requirement: 'its clock has to be right', since: undefined },
      lastEvidence: `its clock is ${String(Math.round(Math.abs(clockSkewMs ?? 0) / 1000))} s away`,
      remedies: ['set its clock'],
    });
  return found;
}

/** What is seen of open connections is seen once the old authority is gone; that nobody can see them is known before. */
function streams({ classes: all, verifiers, ring }: Facts): Blocker[] {
  const blind = (fact: VerifierClassFact): boolean =>
    fact.streams &&
    verifiers.some(({ class: name, streamsSince }) => name === fact.class && streamsSince === undefined);
  return all.filter(blind).map(({ class: name }) => ({
    subject: name,
    kind: 'class',
    requirement: 'watches that were opened under the old authority have to end: they outlive its removal',
    lastEvidence: 'how old its connections are is not seen',
    since: undefined,
    remedies: [
      'restart each after the removal, one after the other',
      `rotunda attestation create --ring ${ring.name} --class ${name} --statement streams-ended --reason TEXT, after it`,
    ],
  }));
}

function copies({ copies: all }: Facts): Blocker[] {
  return all
    .filter(({ generation }) => generation === undefined)
    .map(({ name, remedy }) => ({
      subject: name,
      kind: 'copy',
      requirement: 'has to follow the bundle',
      lastEvidence: 'it cannot be read from here',
      since: undefined,
      remedies: [remedy],
    }));
}

function pins({ pins: all }: Facts): Blocker[] {
  return all.map(({ name, expiresAt }) => ({
    subject: `token/${name}`,
    kind: 'pin',
    requirement: 'its join command names the pin of the old authority alone',
    lastEvidence:
      expiresAt === undefined ? 'it never expires' : `it expires ${new Date(expiresAt).toISOString().slice(0, 16)}Z`,
    since: undefined,
    remedies: [`rotunda token revoke ${name}, and give out another join command`],
  }));
}

function operator(requirement: string): Blocker {
  const remedies = ['rotunda rotation advance ID, when it is time'];
  return {
    subject: 'operator',
    kind: 'operator',
    requirement,
    lastEvidence: 'asked when it is time',
    since: undefined,
    remedies,
  };
}
