import type { Blocker, Facts, Rotation, VerifierClassFact, VerifierFact } from '../types.js';
import { blockedBy, type Check, iso, mostShown, passed } from './gate.js';

/** Which verifiers must have loaded `generation`, and whether those that joined meanwhile count. */
export type TrustDemand = {
  readonly generation: number;
  /** Joiners hold the gate too. They do not while everything that is issued can be verified with what they joined with. */
  readonly joiners: boolean;
};

/** Every verifier's process has loaded the generation, and every class that verifies the ring is accounted for. */
export function trustChecks(facts: Facts, demand: TrustDemand): Check[] {
  let blocked = 0;
  const ofVerifiers = facts.verifiers.map((verifier) => {
    // Who is told of no more is counted, and not written about.
    const check = verifierCheck(verifier, facts, demand, blocked < mostShown);
    blocked += check.blockers.length;
    return check;
  });
  return [...facts.classes.map((found) => classCheck(found, facts, demand.generation)), ...ofVerifiers];
}

const untold: Check = blockedBy({
  ...{ subject: '', kind: 'consumer', requirement: '', lastEvidence: '', since: undefined, remedies: [] },
});

/** A gate over nobody is no gate: each class has members, or somebody answers by name for there being none. */
function classCheck(found: VerifierClassFact, { now, ring }: Facts, generation: number): Check {
  const { attestation, registered } = found;
  if (registered > 0) return passed();
  if (attestation !== undefined && attestation.expiresAt > now) {
    if (attestation.statement === 'absent' || attestation.generation >= generation) return passed();
  }
  const lastEvidence =
    attestation === undefined
      ? 'nobody of this class is registered, and nobody has said that there is none'
      : `${attestation.by} attested generation ${String(attestation.generation)} until ${iso(attestation.expiresAt)}`;
  return blockedBy({
    subject: found.class,
    kind: 'class',
    requirement: `${found.description}: registered, or attested by name`,
    lastEvidence,
    since: undefined,
    remedies: [
      found.remedy,
      `rotunda attestation create --ring ${ring.name} --class ${found.class} --statement absent --reason TEXT, where there is none`,
    ],
  });
}

function verifierCheck(verifier: VerifierFact, facts: Facts, demand: TrustDemand, told: boolean): Check {
  if (verifier.joiner && !demand.joiners) return passed(0);
  if (isFine(verifier, facts, demand)) return one;
  if (!told) return untold;
  return blockedBy(problemOf(verifier, facts, demand));
}

const one = passed();

/** By far the most, in a large fleet. */
function isFine(verifier: VerifierFact, { timing }: Facts, { generation }: TrustDemand): boolean {
  const { silentSince, loaded, clean, clockSkewMs = 0 } = verifier;
  return silentSince === undefined && loaded >= generation && clean && Math.abs(clockSkewMs) <= timing.longestSkew;
}

function problemOf(verifier: VerifierFact, facts: Facts, demand: TrustDemand): Blocker {
  const { generation } = demand;
  const skew = Math.abs(verifier.clockSkewMs ?? 0);
  const { name } = verifier;
  const base = { subject: name, kind: 'consumer' as const, since: verifier.acknowledgedAt };
  const remedies = remediesFor(name, facts.ring.name, generation);
  if (verifier.silentSince !== undefined) {
    const lastEvidence = `silent since ${iso(verifier.silentSince)}`;
    return { ...base, since: verifier.silentSince, requirement: 'has to be heard of', lastEvidence, remedies };
  }
  if (verifier.loaded < generation) {
    const requirement = `its process has to load bundle ${String(generation)} of ${facts.ring.name}`;
    return { ...base, requirement, lastEvidence: knownOf(verifier), remedies };
  }
  // Over a chain with the cross-certificate either authority will do, and nobody can tell which one it knows.
  if (!verifier.clean) {
    const joined = verifier.joiner ? 'it joined without saying which bundle it holds: ' : '';
    const requirement = `${joined}evidence that does not rest on the cross-certificate`;
    return { ...base, requirement, lastEvidence: knownOf(verifier), remedies };
  }
  const lastEvidence = `its clock is ${String(Math.round(skew / 1000))} s away`;
  const requirement = 'its clock has to be right';
  return { ...base, requirement, lastEvidence, remedies: ['set its clock', ...remedies.slice(-1)] };
}

function knownOf({ loaded, evidence, acknowledgedAt }: VerifierFact): string {
  if (loaded === 0)
    return evidence === undefined
      ? 'nothing is known about it'
      : `${evidence} is not enough for its class, or was of an earlier process`;
  const when = acknowledgedAt === undefined ? '' : ` at ${iso(acknowledgedAt)}`;
  return `bundle ${String(loaded)} by ${evidence ?? 'nothing'}${when}`;
}

function remediesFor(name: string, ring: string, generation: number): string[] {
  return [
    `see that it loads the bundle, with a restart where it only reads it then: rotunda consumer get ${name}`,
    `rotunda consumer acknowledge ${name} --ring ${ring} --evidence restart --delivered-at TIME --started-at TIME, where nothing reports for it`,
    `rotunda attestation create --ring ${ring} --consumer ${name} --statement loaded --generation ${String(generation)} --reason TEXT, where its class may be attested`,
    `rotunda consumer quarantine ${name} --reason TEXT --dry-run shows what leaving it behind would break`,
  ];
}

/** Verifiers must be able to use what comes: an algorithm that not everything knows is declared by each. */
export function algorithmChecks(facts: Facts): Check[] {
  const keyType = facts.new?.keyType;
  if (keyType === undefined || universal.test(keyType)) return [];
  return facts.verifiers.map(({ name, algorithms }) =>
    algorithms.includes(keyType)
      ? passed()
      : blockedBy({
          subject: name,
          kind: 'consumer',
          requirement: `it has to say that it verifies ${keyType}`,
          lastEvidence: algorithms.length === 0 ? 'it says nothing of algorithms' : `it says ${algorithms.join(', ')}`,
          since: undefined,
          remedies: [`rotunda consumer register ${name} --algorithm ${keyType}, once that was tried`],
        }),
  );
}

/** What every TLS library in use verifies. */
const universal = /^(ec-p256|ec-p384|rsa-)/;

/** Generation that the last entry into a state published. */
export function generationOf(rotation: Rotation, state: keyof Rotation['marks']): number {
  return rotation.marks[state]?.generation ?? Number.MAX_SAFE_INTEGER;
}
