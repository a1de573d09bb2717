import type { EvidenceKind, Facts, ProbeFact, Rotation } from '../types.js';
import { blockedBy, type Check, iso, operatorCheck, passed } from './gate.js';

/** Evidence that is a certificate of the new authority, taken by the verifier. */
const byHandshake: readonly EvidenceKind[] = ['canary-probe', 'reverse-handshake'];

type Asked = { readonly key: string; readonly since: number };

/**
 * Certificates of the new authority are taken wherever anybody can be asked. Where nobody can, somebody has shaken hands
 * with it, or a person says that it may sign: bundles that are said to be loaded are not yet certificates that work.
 */
export function acceptanceChecks(rotation: Rotation, facts: Facts): Check[] {
  const { newKey, marks, advanced } = rotation;
  const asked = { key: newKey, since: marks.canary?.at ?? 0 };
  const checks = endpointChecks('accepts', facts, asked);
  if (checks.some(({ held, blockers }) => held + blockers.length > 0)) return checks;
  const others = facts.verifiers.filter(({ evidence }) => evidence !== 'in-process');
  const generation = marks.trusting?.generation ?? Number.MAX_SAFE_INTEGER;
  const shown = others.some(
    ({ evidence, loaded }) => evidence !== undefined && byHandshake.includes(evidence) && loaded >= generation,
  );
  // Of nobody but this service's own replicas a person has said that there is nobody else.
  if (others.length === 0 || shown || advanced === 'canary') return [passed()];
  const { blockers } = operatorCheck(
    rotation,
    'nobody could be asked to take a certificate of the new authority: a person has to say that it may sign',
  );
  const register = 'rotunda consumer register NAME --endpoint HOST:PORT lets it be probed';
  return [blockedBy(...blockers.map((one) => ({ ...one, remedies: [register, ...one.remedies] })))];
}

/** The old authority's certificates are turned away wherever anybody can be asked. */
export function refusalChecks(facts: Facts, asked: Asked): Check[] {
  return endpointChecks('refuses', facts, asked);
}

const words = {
  accepts: { has: 'take a certificate of the new authority', yes: 'it took one, before', no: 'it refused one' },
  refuses: { has: 'refuse a certificate of the old authority', yes: 'it refused one, before', no: 'it took one' },
} as const;

type Kind = 'accepts' | 'refuses';
type Endpoint = Facts['endpoints'][number];

function endpointChecks(kind: Kind, { endpoints, probes }: Facts, asked: Asked): Check[] {
  const looks = new Map<string, ProbeFact[]>();
  for (const probe of probes) {
    const known = looks.get(nameOf(probe));
    if (known === undefined) looks.set(nameOf(probe), [probe]);
    else known.push(probe);
  }
  return endpoints.map((endpoint) => endpointCheck(kind, endpoint, looks.get(nameOf(endpoint)) ?? [], asked));
}

function nameOf({ consumer, endpoint }: Endpoint): string {
  return `${consumer} ${endpoint}`;
}

/** Holds nothing and blocks nothing where the endpoint was looked at and has nothing to say about authorities. */
function endpointCheck(
  kind: Kind,
  { consumer, endpoint }: Endpoint,
  rows: readonly ProbeFact[],
  { key, since }: Asked,
): Check {
  const answer = rows.find((probe) => probe.kind === kind && probe.key === key);
  if (answer?.outcome === 'yes' && answer.at >= since) return passed();
  if (answer === undefined && rows.some(({ at }) => at >= since)) return passed(0);
  return blockedBy({
    subject: consumer,
    kind: 'probe',
    requirement: `${endpoint} has to ${words[kind].has}`,
    lastEvidence: seen(kind, answer),
    since: answer?.at,
    remedies: ['see that it loads the bundle; the next probe looks again'],
  });
}

function seen(kind: Kind, answer: ProbeFact | undefined): string {
  if (answer === undefined) return 'it was not looked at yet';
  const { outcome, at } = answer;
  return `${outcome === 'unreachable' ? 'it was not reached' : words[kind][outcome]} at ${iso(at)}`;
}
