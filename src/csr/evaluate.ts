import type { Identity } from '../identity/types.js';
import { controlPlaneRules, personRules } from './rules/control-plane.js';
import { etcdClientRules, etcdMemberRules } from './rules/etcd.js';
import { hardRules } from './rules/hard.js';
import { nodeClientRules, nodeServingRules } from './rules/node.js';
import { vouchedForRule } from './rules/proxied.js';
import { callingNode, isMachine, type Rule, type RuleInput } from './rules/rule.js';
import type { Decision, Evaluate, Profile, RuleResult } from './types.js';

const factRules: Readonly<Record<Profile['approval'], readonly Rule[]>> = {
  'node-client': nodeClientRules,
  'node-serving': nodeServingRules,
  'etcd-member': etcdMemberRules,
  'etcd-client': etcdClientRules,
  'control-plane': controlPlaneRules,
  person: personRules,
};

const minuteMs = 60_000;
const rulesOf = new WeakMap<Profile, readonly Rule[]>();

/**
 * Every rule of the profile over one request. A broken rule denies, a missing fact holds, and only when all pass it is
 * approved. What a person asks for is never denied, so that approving it shows what is wrong: a rule of the profile
 * leaves it to a person, but for what upstream's approver would approve where it is configured.
 */
export const evaluate: Evaluate = (profile, csr, usages, facts) => {
  const rules = runRules({ profile, csr, usages, facts });
  const broken = rules.filter((rule) => rule.outcome === 'failed');
  const allPassed = rules.every((rule) => rule.outcome === 'passed');
  if (!isMachine(facts.identity) && !allPassed) return heldForPerson(profile, rules, broken);
  const hard = broken.find((rule) => rule.kind === 'hard');
  if (hard !== undefined && profile.approval === 'node-client' && facts.nodePolicy === 'upstream')
    return unrecognized(rules, broken);
  if (hard !== undefined || broken.length > 0) {
    return {
      outcome: 'deny',
      reason: hard === undefined ? 'NotEntitled' : 'ProfileViolation',
      message: joined(broken),
      rules,
    };
  }
  const open = rules.filter((rule) => rule.outcome === 'missing');
  if (open.length > 0) {
    const reason = profile.approval === 'person' ? 'NeedsApproval' : 'FactsMissing';
    return { outcome: 'hold', reason, message: joined(open), retryAt: facts.now + minuteMs, rules };
  }
  return { outcome: 'approve', reason: 'AutoApproved', message: approval(profile, facts.identity), rules };
};

/** The first hard rule that is broken, in upstream's order: what a signer says when it refuses an approved request. */
export function firstViolation(rules: readonly RuleResult[]): string | undefined {
  return rules.find((rule) => rule.kind === 'hard' && rule.outcome === 'failed')?.message;
}

function heldForPerson(profile: Profile, rules: readonly RuleResult[], broken: readonly RuleResult[]): Decision {
  const message = `${profile.signerName} is approved by a person when a person asks`;
  return {
    outcome: 'hold',
    reason: 'NeedsApproval',
    message: broken.length === 0 ? message : `${message}; broken: ${joined(broken)}`,
    rules,
  };
}

/** Upstream's approver leaves alone what it does not recognize as a kubelet's, so as configured it waits for a person. */
function unrecognized(rules: readonly RuleResult[], broken: readonly RuleResult[]): Decision {
  const message = `not recognized as the request of a kubelet, which is left to a person as configured: ${joined(broken)}`;
  return { outcome: 'hold', reason: 'NotRecognized', message, rules };
}

function runRules(input: RuleInput): RuleResult[] {
  let rules = rulesOf.get(input.profile);
  if (rules === undefined) {
    rules = [...hardRules(input.profile), ...factRules[input.profile.approval]];
    rulesOf.set(input.profile, rules);
  }
  const proxied = input.facts.identity.proxied === undefined ? [] : [vouchedForRule];
  return [...rules, ...proxied].map(({ name, kind, check }) => {
    const { outcome, message } = check(input);
    return { rule: name, kind, outcome, message };
  });
}

function joined(rules: readonly RuleResult[]): string {
  return rules.map((rule) => rule.message).join('; ');
}

/** Upstream's words for the signers that upstream approves, since programs match on them. */
function approval(profile: Profile, identity: Identity): string {
  switch (profile.approval) {
    case 'node-client':
      return `Auto approving ${callingNode(identity) === undefined ? '' : 'self '}kubelet client certificate after SubjectAccessReview.`;
    case 'node-serving':
      return 'Auto approving kubelet serving certificate: the node asks for itself and every name is enrolled.';
    case 'etcd-member':
      return 'Auto approving etcd certificate: the member asks for itself and every name is enrolled.';
    case 'etcd-client':
      return 'Auto approving etcd client certificate: a member asks and the name is enrolled.';
    case 'control-plane':
      return 'Auto approving control plane certificate: asked for with a control-plane token.';
    case 'person':
      return 'Auto approving.';
  }
}
