import type { Blocker, CopyFact, Facts, PinFact, VerifierClassFact, VerifierFact } from '../types.js';
import { blockedBy, type Check, iso, passed } from './gate.js';

/** Join commands that name the old authority alone: whoever uses one once it is gone is turned away. */
export function pinChecks(pins: readonly PinFact[]): Check[] {
  return pins.map(({ name, expiresAt }) =>
    blockedBy({
      subject: `token/${name}`,
      kind: 'pin',
      requirement: 'a join command that was given out with it names the pin of the old authority alone',
      lastEvidence: expiresAt === undefined ? 'it never expires' : `it expires ${iso(expiresAt)}`,
      since: undefined,
      remedies: [`rotunda token revoke ${name}, and give out another join command`, 'wait until it has expired'],
    }),
  );
}

/**
 * What taking an anchor out of a bundle does not end: connections that were authenticated before, and copies that
 * somebody else keeps. `at` is when the bundle without it was published.
 */
export function removalChecks(facts: Facts, at: number, generation: number): Check[] {
  return [
    ...facts.classes.filter(({ streams }) => streams).map((found) => streamCheck(found, facts, at)),
    ...facts.copies.map((copy) => copyCheck(copy, facts, { at, generation })),
  ];
}

function streamCheck(found: VerifierClassFact, { verifiers, ring }: Facts, at: number): Check {
  if ((found.streamsEndedAt ?? 0) >= at) return passed();
  const members = verifiers.filter((verifier) => verifier.class === found.class);
  const open = members.filter((verifier) => (verifier.streamsSince ?? Number.NEGATIVE_INFINITY) < at);
  if (members.length > 0 && open.length === 0) return passed(members.length);
  if (members.length === 0) return passed(0);
  return blockedBy(...open.map((verifier) => streamBlocker(verifier, found, ring.name)));
}

function streamBlocker({ name, streamsSince }: VerifierFact, found: VerifierClassFact, ring: string): Blocker {
  return {
    subject: name,
    kind: 'consumer',
    requirement: 'its watches that were opened under the old authority have to end: they outlive its removal',
    lastEvidence:
      streamsSince === undefined ? 'how old its connections are is not seen' : `its oldest began ${iso(streamsSince)}`,
    since: streamsSince,
    remedies: [
      `restart it; then rotunda consumer acknowledge ${name} --ring ${ring} --evidence restart --delivered-at TIME --started-at TIME`,
      `rotunda attestation create --ring ${ring} --class ${found.class} --statement streams-ended --reason TEXT`,
    ],
  };
}

/** Who reads the copy: without an API server there is none. */
const copying = 'kube-apiserver';

function copyCheck(
  copy: CopyFact,
  { verifiers, classes }: Facts,
  { at, generation }: { readonly at: number; readonly generation: number },
): Check {
  if (copy.generation === undefined) {
    if (!verifiers.some((verifier) => verifier.class === copying)) return passed(0);
    // Somebody has looked at it from where it can be seen.
    if (classes.some((found) => found.class === copying && (found.streamsEndedAt ?? 0) >= at)) return passed();
  }
  if (copy.generation !== undefined && !copy.holdsOld && copy.generation >= generation) return passed();
  const lastEvidence =
    copy.generation === undefined
      ? 'it cannot be read from here'
      : copy.holdsOld
        ? 'it still holds the old authority'
        : `it holds bundle ${String(copy.generation)}`;
  const requirement = `the copy has to follow bundle ${String(generation)}: who reads it goes on believing the old authority`;
  return blockedBy({
    subject: copy.name,
    kind: 'copy',
    requirement,
    lastEvidence,
    since: undefined,
    remedies: [copy.remedy],
  });
}
