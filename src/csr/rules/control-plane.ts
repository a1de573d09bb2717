import { describeNames, isLoopback, namesBeyond } from './names.js';
import { failed, isMachine, missing, passed, type Rule } from './rule.js';
import { tokenFault, tokenPurpose } from './token.js';

const quote = (name: string): string => JSON.stringify(name);

const controlPlaneTokenRule: Rule = {
  name: 'control-plane-token',
  kind: 'fact',
  check: ({ facts: { identity, token } }) => {
    if (!isMachine(identity)) return missing('asked for by a person: another person decides');
    if (token === undefined) return missing('asked for without a control-plane token: a person decides');
    const fault = tokenFault(token);
    if (fault !== undefined) return failed(fault);
    if (token.kind === 'control-plane') return passed(`the bootstrap token ${token.id} is for ${tokenPurpose(token)}`);
    return failed(`the bootstrap token ${token.id} is for ${tokenPurpose(token)}, not for a control plane`);
  },
};

const nodeNotDisabledRule: Rule = {
  name: 'node-not-disabled',
  kind: 'fact',
  check: ({ facts: { node } }) =>
    node?.state === 'disabled'
      ? failed(`the node ${quote(node.name)} is disabled`)
      : passed('the node is not disabled'),
};

/** kubeadm's etcd certificates are named after their node; all others have a fixed common name, which the profile checks. */
const ownNameRule: Rule = {
  name: 'name-of-the-node',
  kind: 'fact',
  check: ({ profile, csr, facts: { token } }) => {
    if (profile.commonName !== undefined || token?.node === undefined)
      return passed('the common name is fixed by the profile or by a person');
    if (csr.commonName === token.node) return passed(`the common name is that of the node ${quote(token.node)}`);
    return failed(
      `the bootstrap token ${token.id} is for ${tokenPurpose(token)} and may not ask for the common name ${quote(csr.commonName)}`,
    );
  },
};

/** Addresses of etcd certificates, where the node is enrolled with any. An API server's service address is known to nobody here. */
const ownNamesRule: Rule = {
  name: 'names-of-the-node',
  kind: 'fact',
  check: ({ profile, csr, facts: { node } }) => {
    if (profile.commonName !== undefined || node === undefined || node.addresses.length === 0)
      return passed('no names are enrolled to compare with');
    const beyond = namesBeyond(csr.names, node, node.name).filter((name) => !isLoopback(name));
    if (beyond.length === 0) return passed(`every name is enrolled for the node ${quote(node.name)}`);
    return missing(`not enrolled for the node ${quote(node.name)}: ${describeNames(beyond)}`);
  },
};

const byPersonRule: Rule = {
  name: 'by-a-person',
  kind: 'fact',
  check: () => missing('this kind of certificate is approved by a person'),
};

export const controlPlaneRules: readonly Rule[] = [
  controlPlaneTokenRule,
  nodeNotDisabledRule,
  ownNameRule,
  ownNamesRule,
];
export const personRules: readonly Rule[] = [byPersonRule];
