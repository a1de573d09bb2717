import type { Topology } from '../../config/types.js';
import { type EvidenceKind, evidenceKinds } from '../../rotation/types.js';
import { builtInClasses, type ConsumerClass, undeclared } from './built-in-classes.js';
import type { KeptEvidence, Purpose, RingRole } from './types.js';

/** One class as it verifies in one ring. */
export type VerifyingClass = {
  readonly class: string;
  readonly description: string;
  readonly purposes: readonly Purpose[];
  readonly minimum: EvidenceKind;
  /** Evidence that counts. */
  readonly accepted: readonly EvidenceKind[];
  readonly readAtStart: boolean;
  readonly streams: boolean;
  readonly remedy: string;
};

/** What an operator may demand of a class instead, by its name. */
export type Minimums = Readonly<Record<string, EvidenceKind>>;

/**
 * Where a ring gets another certificate for the same key: a canary shows which key is trusted, and not which certificate
 * of it is there, so that the consumer's own word has to do.
 */
export const sameKeyMinimums: Minimums = Object.fromEntries(
  builtInClasses
    .filter(({ verifies }) => Object.values(verifies).some(({ minimum }) => minimum === 'canary-probe'))
    .map(({ name }) => [name, 'self-report']),
);

/**
 * What shows a certificate that somebody connects with. A handshake with this service shows what a process verifies servers
 * with: the files for clients are others, in every program here, and may be older.
 */
const ofClients: readonly Purpose[] = ['kubernetesClient', 'etcdPeer', 'etcdClient', 'frontProxy'];

const byName = new Map(builtInClasses.map((known) => [known.name, known]));

export function classNamed(name: string): ConsumerClass | undefined {
  return byName.get(name) ?? (name === undeclared.name ? undeclared : undefined);
}

/** What a ring is used for. */
export function purposesOf(topology: Topology, ring: string): readonly Purpose[] {
  return (Object.keys(topology) as Purpose[]).filter((purpose) => topology[purpose] === ring);
}

/** What an operator may demand, and whether the ring is one of signing keys. */
export type RingFacts = { readonly minimums?: Minimums; readonly signingKeys?: boolean };

/** The built-in classes that verify certificates of a ring, each with what counts there. Never empty. */
export function classesOf(topology: Topology, ring: string, facts: RingFacts = {}): readonly VerifyingClass[] {
  const { minimums = {}, signingKeys = false } = facts;
  const purposes = purposesOf(topology, ring);
  if (purposes.length === 0) {
    const expected = signingKeys ? builtInClasses.filter(({ verifiesOthers }) => verifiesOthers !== undefined) : [];
    return [...expected, undeclared].map((known) => verifying(known, [], minimums));
  }
  return builtInClasses.flatMap((known) => {
    const verified = purposes.filter((purpose) => known.verifies[purpose] !== undefined);
    return verified.length === 0 ? [] : [verifying(known, verified, minimums)];
  });
}

/** How a class verifies in a ring, whether or not it is a built-in one that is expected there. */
export function verifyingIn(topology: Topology, ring: string, name: string, minimums: Minimums = {}): VerifyingClass {
  const known = classNamed(name) ?? { ...undeclared, name, description: `Consumers of the class ${name}` };
  const purposes = purposesOf(topology, ring).filter((purpose) => known.verifies[purpose] !== undefined);
  return verifying(known, purposes, minimums);
}

/** The rings of a class by the topology; undefined for a class that is not built in. */
export function ringsOfClass(topology: Topology, name: string): readonly RingRole[] | undefined {
  const known = classNamed(name);
  if (known === undefined) return undefined;
  const verified = new Set((Object.keys(known.verifies) as Purpose[]).map((purpose) => topology[purpose]));
  const presented = new Set(known.presents.map((purpose) => topology[purpose]));
  return [...new Set([...verified, ...presented])].map((ring) => ({
    ring,
    verifies: verified.has(ring),
    presents: presented.has(ring),
  }));
}

/** What a built-in class has to do with one ring by the topology. */
export function roleIn(topology: Topology, ring: string, name: string): Omit<RingRole, 'ring'> {
  const role = ringsOfClass(topology, name)?.find((found) => found.ring === ring);
  return { verifies: role?.verifies === true, presents: role?.presents === true };
}

/** Whether everybody of a class verifies in a ring, once it has to do with that. */
export function alwaysVerifies(topology: Topology, ring: string, name: string): boolean {
  if (purposesOf(topology, ring).length === 0) return classNamed(name)?.verifiesOthers !== undefined;
  return roleIn(topology, ring, name).verifies;
}

function verifying(known: ConsumerClass, purposes: readonly Purpose[], minimums: Minimums): VerifyingClass {
  const ofTopology = purposes.flatMap((purpose) => known.verifies[purpose] ?? []);
  const found = purposes.length === 0 && known.verifiesOthers !== undefined ? [known.verifiesOthers] : ofTopology;
  const readAtStart = found.some((one) => one.readAtStart === true);
  // A process that began after the file was there has read all its files.
  const own = readAtStart ? 'restart' : strongest(found.map(({ minimum }) => minimum));
  const demanded = Object.hasOwn(minimums, known.name) ? minimums[known.name] : undefined;
  const minimum = demanded === undefined ? own : readAtStart ? strongest([demanded, 'restart']) : demanded;
  const unprobed = found.some((one) => one.readAtStart === true && one.probed !== true);
  const unseen: readonly EvidenceKind[] = [
    ...(unprobed ? (['canary-probe'] as const) : []),
    ...(purposes.some((purpose) => ofClients.includes(purpose)) ? (['reverse-handshake'] as const) : []),
  ];
  return {
    class: known.name,
    description: known.description,
    purposes,
    minimum,
    accepted: evidenceKinds.filter((kind) => rank(kind) >= rank(minimum) && !unseen.includes(kind)),
    readAtStart,
    streams: known.streams,
    remedy: known.remedy,
  };
}

function strongest(kinds: readonly EvidenceKind[]): EvidenceKind {
  return kinds.reduce((a, b) => (rank(b) > rank(a) ? b : a), kinds[0] ?? 'self-report');
}

/** Weakest first. */
export function rank(kind: EvidenceKind): number {
  return evidenceKinds.indexOf(kind);
}

/** Evidence that this service gathers itself; nobody can claim it. */
export function isGathered(kind: KeptEvidence): boolean {
  return kind !== 'self-report' && kind !== 'restart';
}
