import { authorize } from '../../identity/authorize.js';
import { reviewedIdentity } from '../../identity/roles.js';
import type { Identity, TokenFacts } from '../../identity/types.js';
import { kubeadmNodeGroup } from '../../identity/token-format.js';
import type { NodeFacts } from '../types.js';
import { addNamesCommand, enrolCommand } from './commands.js';
import { describeNames, namesBeyond } from './names.js';
import { callingNode, failed, missing, nodeNameOf, passed, type Rule, type RuleInput, type Verdict } from './rule.js';
import { tokenFault, tokenPurpose } from './token.js';

const quote = (name: string): string => JSON.stringify(name);

const notBannedRule: Rule = {
  name: 'not-banned',
  kind: 'fact',
  check: ({ facts, csr }) => {
    if (facts.banned !== undefined) return failed(`${csr.commonName} is banned: ${facts.banned}`);
    if (facts.node?.state === 'disabled') return failed(`the node ${quote(facts.node.name)} is disabled`);
    return passed('not banned');
  },
};

/** A bound token gets its own node, an unbound one a node that is expected, a node itself, and everybody else a person. */
const mayBecomeNodeRule: Rule = {
  name: 'may-become-node',
  kind: 'fact',
  check: (input) => {
    const { identity } = input.facts;
    const node = nodeNameOf(input.csr.commonName) ?? '';
    if (identity.kind === 'token')
      return input.facts.token === undefined ? goneToken() : tokenVerdict(input.facts.token, node, input);
    const caller = callingNode(identity);
    if (caller !== undefined) return selfVerdict(caller, node, input);
    if (identity.member !== undefined) return failed('an etcd member may not ask for the certificate of a node');
    return personVerdict(input);
  },
};

/**
 * The review that upstream's approver asks for: whether the user, by name and groups, may create this subresource of
 * requests. What the service's own ring gives is no right of a Kubernetes user.
 */
function mayCreate(
  { identity, nodeclient }: RuleInput['facts'],
  subresource: 'nodeclient' | 'selfnodeclient',
): boolean {
  // The RBAC of an API server may say more of its own users.
  if (subresource === 'nodeclient' && nodeclient === true) return true;
  const [group, resource] = ['certificates.k8s.io', 'certificatesigningrequests'];
  return authorize(reviewedIdentity(identity), { verb: 'create', group, resource, subresource }).allowed;
}

function mayNot({ username }: Identity, subresource: string): string {
  return `${username} may not create certificatesigningrequests/${subresource}`;
}

/** Upstream approves for whoever was given nodeclient, a person too. */
function personVerdict({ facts }: RuleInput): Verdict {
  if (facts.nodePolicy === 'upstream' && mayCreate(facts, 'nodeclient'))
    return passed(
      `${facts.identity.username} may create certificatesigningrequests/nodeclient, and any node name is approved, as configured`,
    );
  return missing('asked for by a person: another person decides');
}

function goneToken(): Verdict {
  return missing(
    'the bootstrap token is expired, revoked or unknown by now: ask again with another one, or have a person approve',
  );
}

function tokenVerdict(token: TokenFacts, node: string, input: RuleInput): Verdict {
  const fault = tokenFault(token);
  if (fault !== undefined) return failed(fault);
  if (token.kind === 'node') {
    if (token.node === node) return passed(`the bootstrap token ${token.id} is bound to the node ${quote(node)}`);
    return failed(
      `the bootstrap token ${token.id} is bound to the node ${quote(token.node ?? '')} and may not ask for a certificate of the node ${quote(node)}`,
    );
  }
  if (token.kind === 'unbound') return unboundVerdict(token, node, input);
  return failed(`the bootstrap token ${token.id} is for ${tokenPurpose(token)}, not for the node ${quote(node)}`);
}

function unboundVerdict(token: TokenFacts, node: string, { facts }: RuleInput): Verdict {
  if (!mayCreate(facts, 'nodeclient')) {
    return missing(
      `${mayNot(facts.identity, 'nodeclient')}: make the token with the group ${kubeadmNodeGroup}, or approve by hand`,
    );
  }
  if (facts.nodePolicy === 'upstream')
    return passed('any node name is approved for any bootstrap token, as configured');
  if (facts.node === undefined) {
    return missing(
      `the node ${quote(node)} is not enrolled and the bootstrap token ${token.id} is not bound to it: enrol the node, or approve by hand`,
    );
  }
  if (facts.node.state !== 'expected') {
    return missing(
      `the node ${quote(node)} has joined already: if this machine is to take its place, say so with \`rotunda node replace ${node}\`, or approve by hand`,
    );
  }
  return passed(`the node ${quote(node)} is enrolled and expected`);
}

function selfVerdict(caller: string, node: string, { profile, facts }: RuleInput): Verdict {
  if (caller !== node)
    return failed(`the node ${quote(caller)} may not ask for a certificate of the node ${quote(node)}`);
  const { ring } = facts.identity;
  if (profile.approval === 'node-client' && !mayCreate(facts, 'selfnodeclient'))
    return missing(`${mayNot(facts.identity, 'selfnodeclient')}: a person decides`);
  if (profile.approval === 'node-client' && ring !== undefined && ring !== profile.ring) {
    return failed(`an identity of the ring ${ring} cannot become one of the ring ${profile.ring}`);
  }
  return passed(`the node ${quote(node)} asks for itself`);
}

const servedByItselfRule: Rule = {
  name: 'asked-by-the-node',
  kind: 'fact',
  check: (input) => {
    const { identity, token } = input.facts;
    const node = nodeNameOf(input.csr.commonName) ?? '';
    const caller = callingNode(identity);
    if (caller !== undefined) return selfVerdict(caller, node, input);
    if (identity.member !== undefined) return failed('an etcd member may not ask for the certificate of a node');
    if (token !== undefined && token.kind !== 'unbound' && token.node !== node) {
      return failed(
        `the bootstrap token ${token.id} is for ${tokenPurpose(token)} and may not ask for a certificate of the node ${quote(node)}`,
      );
    }
    if (identity.kind === 'token')
      return missing(
        'a serving certificate is given to the node itself, by its client certificate; or a person approves',
      );
    return missing('asked for by a person: another person decides');
  },
};

const namesEnrolledRule: Rule = {
  name: 'names-enrolled',
  kind: 'fact',
  check: ({ csr, facts }) => {
    const { node } = facts;
    const name = nodeNameOf(csr.commonName) ?? '';
    if (node === undefined) {
      const text = `the node ${quote(name)} is not enrolled: enrol it with ${describeNames(csr.names)}`;
      return missing(`${text}${hint(enrolCommand(name, csr.names))}`);
    }
    return enrolledVerdict(csr.names, node);
  },
};

function enrolledVerdict(names: RuleInput['csr']['names'], node: NodeFacts): Verdict {
  const beyond = namesBeyond(names, node, node.name);
  if (beyond.length === 0) return passed(`every name is enrolled for the node ${quote(node.name)}`);
  return missing(
    `not enrolled for the node ${quote(node.name)}: ${describeNames(beyond)}${hint(addNamesCommand(node.name, beyond))}`,
  );
}

function hint(command: string | undefined): string {
  return command === undefined ? '' : ` (${command})`;
}

export const nodeClientRules: readonly Rule[] = [notBannedRule, mayBecomeNodeRule];
export const nodeServingRules: readonly Rule[] = [notBannedRule, servedByItselfRule, namesEnrolledRule];
