import type { ReadCsr } from '../ca/x509/types.js';
import type { Nodes } from '../fleet/types.js';
import { evaluate, firstViolation } from './evaluate.js';
import { gatherFacts, type FactSources } from './facts.js';
import { validityOf } from './lifetime.js';
import type { Question } from './replay-questions.js';
import { identityThen, looksForNode, type RecordedFacts } from './requester.js';
import { wholeSeconds } from './time.js';
import type { Decision, Profile, RequestFacts, RuleResult } from './types.js';

/** Facts as they were when it was decided, or as they are now. A token's are always as they were. */
export type FactsMode = 'recorded' | 'today';

/** What one policy says to one question. */
export type Verdict = {
  /** `fail`: a person approved it and a hard rule is broken. `unserved`: there is no profile for the signer. */
  readonly outcome: 'approve' | 'deny' | 'hold' | 'fail' | 'unserved';
  readonly reason: string;
  readonly message: string;
  /** Of what would be issued. */
  readonly ring?: string;
  readonly lifetimeSeconds?: number;
  readonly rules: readonly RuleResult[];
};

export type AskedPolicy = {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly nodeApproval: RequestFacts['nodePolicy'];
};

type Asking = {
  readonly sources: FactSources;
  readonly policy: AskedPolicy;
  readonly question: Question;
  readonly csr: ReadCsr;
  readonly mode: FactsMode;
};

const ruleReasons: readonly string[] = ['ProfileViolation', 'NotEntitled'];

/** Whether a person decided it, which no policy would have done otherwise but for its hard rules. */
export function personDecided({ state, reason }: Question): 'approved' | 'denied' | undefined {
  if (state === 'denied') return ruleReasons.includes(reason) ? undefined : 'denied';
  if (state === 'pending') return undefined;
  return reason === 'AutoApproved' ? undefined : 'approved';
}

/** What the policy says to the question, and whether facts of today had to stand in for facts that were not recorded. */
export async function verdictOf(asking: Asking): Promise<{ verdict: Verdict; ofToday: boolean }> {
  const { policy, question, csr } = asking;
  const { signerName, usages = [] } = question.spec;
  const profile = policy.profiles.get(signerName);
  if (profile === undefined) {
    const message = `no profile has the signer name ${signerName}`;
    return { verdict: { outcome: 'unserved', reason: 'UnknownSigner', message, rules: [] }, ofToday: false };
  }
  const { facts, ofToday } = await factsFor(asking, profile);
  const decision = evaluate(profile, csr, usages, facts);
  const { outcome, reason, message, rules } = decision;
  const given = { ring: profile.ring, lifetimeSeconds: lifetimeOf(profile, question) };
  if (personDecided(question) !== 'approved') {
    return { verdict: { outcome, reason, message, rules, ...(outcome === 'approve' ? given : {}) }, ofToday };
  }
  const violation = firstViolation(rules) ?? (facts.banned === undefined ? undefined : `banned: ${facts.banned}`);
  const verdict: Verdict =
    violation === undefined
      ? { outcome: 'approve', reason: question.reason, message: 'approved by a person', rules, ...given }
      : { outcome: 'fail', reason: 'SignerValidationFailure', message: violation, rules };
  return { verdict, ofToday };
}

/** The decision of the rules of this policy; undefined where it has no profile for the signer. */
export async function decisionThen(asking: Asking): Promise<Decision | undefined> {
  const profile = asking.policy.profiles.get(asking.question.spec.signerName);
  if (profile === undefined) return undefined;
  const { facts } = await factsFor(asking, profile);
  return evaluate(profile, asking.csr, asking.question.spec.usages ?? [], facts);
}

function lifetimeOf(profile: Profile, { spec, createdAt }: Question): number {
  const { notAfter } = validityOf(profile, spec.expirationSeconds, createdAt);
  return (notAfter - wholeSeconds(createdAt)) / 1000;
}

async function factsFor(
  { sources, policy, question, csr, mode }: Asking,
  profile: Profile,
): Promise<{ facts: RequestFacts; ofToday: boolean }> {
  const { requester, spec, createdAt: now } = question;
  const { facts: recorded } = requester;
  const token = recorded?.token === undefined ? undefined : { ...recorded.token, claims: {} };
  const identity = identityThen(requester, spec, token);
  const nodePolicy = policy.nodeApproval;
  if (mode === 'recorded' && recorded !== undefined && wereSeen(recorded, profile, { token, nodePolicy })) {
    const { node, member, otherMembers, etcdCluster, banned, nodeclient } = recorded;
    const seen = { node: node ?? undefined, member, otherMembers, etcdCluster, banned, nodeclient, token };
    return { facts: { identity, now, nodePolicy, ...definedOf(seen) }, ofToday: false };
  }
  const nodes = asBeforeJoining(sources.nodes, now);
  // Without the API server: thousands of past requests are no reason to ask it.
  const { etcd, bans } = sources;
  const facts = await gatherFacts({ nodes, etcd, bans, nodePolicy }, { profile, csr, identity, now });
  return { facts, ofToday: mode === 'recorded' };
}

/** Whether the rules that decided looked at all that the rules of this policy look at. */
function wereSeen(
  recorded: RecordedFacts,
  profile: Profile,
  asked: Pick<RequestFacts, 'nodePolicy'> & { readonly token: RequestFacts['token'] | undefined },
): boolean {
  if (recorded.approval !== profile.approval) return false;
  const { token, nodePolicy } = asked;
  const looks = looksForNode({ nodePolicy, ...definedOf({ token }) });
  return profile.approval !== 'node-client' || !looks || recorded.node !== undefined;
}

/** Enrolment as of now, but a node that has joined since was expected then. */
function asBeforeJoining(nodes: Pick<Nodes, 'find'>, then: number): Pick<Nodes, 'find'> {
  return {
    find: async (name) => {
      const node = await nodes.find(name);
      const joinedSince = node?.state === 'joined' && (node.joinedAt === undefined || node.joinedAt >= then);
      return joinedSince ? { ...node, state: 'expected' } : node;
    },
  };
}

function definedOf<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
