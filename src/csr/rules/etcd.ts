import type { AltName } from '../../ca/x509/types.js';
import type { MemberFacts } from '../types.js';
import { describeNames, isLoopback, namesBeyond } from './names.js';
import { failed, isMachine, missing, passed, type Rule, type RuleInput, type Verdict } from './rule.js';
import { tokenFault, tokenPurpose } from './token.js';

const administrator = 'root';

const title = (member: { readonly cluster: string; readonly name: string }): string =>
  JSON.stringify(`${member.cluster}/${member.name}`);

/** Only a member speaks for itself: with the token that was made for it, or with a certificate that it was given. */
const askedByMemberRule: Rule = {
  name: 'asked-by-the-member',
  kind: 'fact',
  check: ({ facts }) => {
    const { identity, token, member } = facts;
    if (!isMachine(identity)) return missing('asked for by a person: another person decides');
    if (identity.kind === 'token') {
      if (token === undefined) return missing('the bootstrap token is expired, revoked or unknown by now');
      const fault = tokenFault(token);
      if (fault !== undefined) return failed(fault);
      if (token.kind !== 'etcd-member')
        return failed(`the bootstrap token ${token.id} is for ${tokenPurpose(token)}, not for an etcd member`);
    } else if (identity.member === undefined) return failed('only an etcd member may ask for certificates of etcd');
    if (member === undefined) return missing('the etcd member is not enrolled');
    if (member.state === 'disabled') return failed(`the etcd member ${title(member)} is disabled`);
    return passed(`asked for by the etcd member ${title(member)}`);
  },
};

/** The common name is the etcd user of a client certificate, and a member's certificate is one too. */
const memberCommonNameRule: Rule = {
  name: 'member-common-name',
  kind: 'fact',
  check: ({ csr, facts }) => {
    const { member } = facts;
    if (member === undefined) return missing('there is no member to compare the common name with');
    const own = [member.name, ...member.dnsNames, ...member.addresses];
    if (csr.commonName === '' || own.includes(csr.commonName))
      return passed(`the common name is a name of the etcd member ${title(member)}`);
    return failed(
      `the common name ${JSON.stringify(csr.commonName)} is not a name of the etcd member ${title(member)}`,
    );
  },
};

const notAdministratorRule: Rule = {
  name: 'not-the-administrator',
  kind: 'hard',
  check: ({ csr }) =>
    csr.commonName === administrator
      ? failed('a member may not be called root, which is the administrator of etcd')
      : passed('not the administrator'),
};

const memberNamesRule: Rule = {
  name: 'names-of-the-member',
  kind: 'fact',
  check: ({ csr, facts }) => {
    const { member } = facts;
    if (member === undefined) return missing(`no member is enrolled with ${describeNames(csr.names)}`);
    const beyond = namesBeyond(csr.names, member, member.name).filter((name) => !isLoopback(name));
    if (beyond.length === 0) return passed(`every name is enrolled for the etcd member ${title(member)}`);
    return foreignVerdict(beyond, member, facts.otherMembers ?? []);
  },
};

function foreignVerdict(beyond: readonly AltName[], member: MemberFacts, others: readonly MemberFacts[]): Verdict {
  for (const other of others) {
    const theirs = beyond.filter((name) => namesBeyond([name], other, other.name).length === 0);
    if (theirs.length > 0) {
      return failed(`${describeNames(theirs)} belong to the etcd member ${title(other)} and not to ${title(member)}`);
    }
  }
  return missing(`not enrolled for the etcd member ${title(member)}: ${describeNames(beyond)}`);
}

const clientNameRule: Rule = {
  name: 'client-name-enrolled',
  kind: 'fact',
  check: ({ csr, facts }: RuleInput) => {
    const { etcdCluster: cluster, member, otherMembers = [] } = facts;
    if (csr.commonName === administrator)
      return missing('the administrator of etcd, root, is given by an administrator of this service only');
    if (member !== undefined && csr.commonName === member.name)
      return passed(`the common name is the name of the etcd member ${title(member)}`);
    const other = otherMembers.find(({ name }) => name === csr.commonName);
    if (other !== undefined) return failed(`${JSON.stringify(csr.commonName)} is the etcd member ${title(other)}`);
    if (cluster === undefined) return missing('it is not known for which etcd cluster this is');
    if (cluster.clientNames.includes(csr.commonName))
      return passed(
        `${JSON.stringify(csr.commonName)} is a client of the etcd cluster ${JSON.stringify(cluster.name)}`,
      );
    return missing(
      `${JSON.stringify(csr.commonName)} is not enrolled as a client of the etcd cluster ${JSON.stringify(cluster.name)}`,
    );
  },
};

export const etcdMemberRules: readonly Rule[] = [
  notAdministratorRule,
  askedByMemberRule,
  memberCommonNameRule,
  memberNamesRule,
];
export const etcdClientRules: readonly Rule[] = [askedByMemberRule, clientNameRule];
