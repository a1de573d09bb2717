import { describe, expect, it } from 'vitest';

import { evaluate } from '../../src/csr/evaluate.js';
import type { RequestFacts } from '../../src/csr/types.js';
import { node, type Row, serving, testRows, unbound } from './rule-rows.js';
import {
  administrator,
  clientUsages,
  csrOf,
  facts,
  identity,
  kubeletClient,
  kubeletServing,
  nodeIdentity,
  nodeSubject,
  profileOf,
  tokenFacts,
  tokenIdentity,
} from './support.js';

const upstream = { nodePolicy: 'upstream' } as const;
/** A bootstrap token whose groups do not include the one that nodeclient is bound to. */
const withoutGroup = { ...unbound, groups: ['system:bootstrappers', 'system:authenticated'] };
const clusterAdmin = identity({
  username: 'kubernetes-admin',
  groups: ['system:masters', 'system:authenticated'],
  ring: 'kubernetes',
  roles: ['cluster-admin', 'authenticated'],
});
const plain = identity({ username: 'jane', groups: ['dev', 'system:authenticated'], ring: 'kubernetes' });
const selfApproved = 'Auto approving self kubelet client certificate after SubjectAccessReview.';
const approved = 'Auto approving kubelet client certificate after SubjectAccessReview.';

const asks = { signer: kubeletClient, asks: nodeSubject('node-a') } as const;
const row = (is: string, by: RequestFacts, outcome: Row['outcome'], says: string, more: Partial<Row> = {}): Row => ({
  ...asks,
  ...{ is, by, outcome, says },
  ...more,
});

/** kube-controller-manager's sarapprove: who is recognized, who is asked about, and with which words it approves. */
testRows('as upstream approves', [
  row('a node that renews itself', facts(nodeIdentity('node-a'), upstream), 'approve', selfApproved),
  row('a bootstrap token with nodeclient', facts(unbound, upstream), 'approve', approved),
  row('with key encipherment', facts(unbound, upstream), 'approve', approved, {
    usages: [...clientUsages, 'key encipherment'],
  }),
  row(
    'a bootstrap token without nodeclient waits',
    facts(withoutGroup, upstream),
    'hold',
    'system:bootstrap:abcdef may not create certificatesigningrequests/nodeclient',
  ),
  row('a cluster administrator, who may do anything', facts(clusterAdmin, upstream), 'approve', approved),
  row(
    'an administrator of the service, who is no user of the cluster',
    facts(administrator, upstream),
    'hold',
    'approved by a person',
  ),
  row('a user without nodeclient waits', facts(plain, upstream), 'hold', 'approved by a person when a person asks'),
  row('other usages are not recognized', facts(unbound, upstream), 'hold', 'usages did not match', {
    usages: ['client auth'],
  }),
  row('another organization is not recognized', facts(unbound, upstream), 'hold', 'organization is not system:nodes', {
    asks: { subject: [['CN', 'system:node:node-a']] },
  }),
  row('a name that is none of a node is not recognized', facts(unbound, upstream), 'hold', 'does not begin with', {
    asks: {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'node-a'],
      ],
    },
  }),
  row('a DNS name is not recognized', facts(unbound, upstream), 'hold', 'DNS subjectAltNames are not allowed', {
    asks: { ...nodeSubject('node-a'), dns: ['node-a'] },
  }),
  row('an IP address is not recognized', facts(unbound, upstream), 'hold', 'IP subjectAltNames are not allowed', {
    asks: { ...nodeSubject('node-a'), ips: ['10.0.0.1'] },
  }),
  row('an email is not recognized', facts(unbound, upstream), 'hold', 'Email subjectAltNames are not allowed', {
    csr: { names: [{ kind: 'email', value: 'a@example.com' }] },
  }),
  row('a URI is not recognized', facts(unbound, upstream), 'hold', 'URI subjectAltNames are not allowed', {
    csr: { names: [{ kind: 'uri', value: 'https://example.com' }] },
  }),
  row(
    'a bound token stays bound',
    facts(tokenIdentity(tokenFacts({ node: 'node-b' })), upstream),
    'deny',
    'bound to the node "node-b"',
  ),
]);

testRows('where nodes are to be enrolled', [
  row('a cluster administrator waits for a person', facts(clusterAdmin), 'hold', 'approved by a person'),
  row(
    'an expected node does not help a token without nodeclient',
    facts(withoutGroup, { node: node() }),
    'hold',
    'may not create certificatesigningrequests/nodeclient: make the token with the group',
  ),
  row('an expected node and a token with nodeclient', facts(unbound, { node: node() }), 'approve', approved),
]);

describe('a serving certificate whose names are not enrolled', () => {
  const hold = (names: { dns?: string[]; ips?: string[] }, known?: RequestFacts['node']): string => {
    const profile = profileOf(kubeletServing);
    const by = facts(nodeIdentity('node-a'), known === undefined ? {} : { node: known });
    const csr = csrOf(serving(names.dns ?? [], names.ips ?? []));
    return evaluate(profile, csr, ['digital signature', 'server auth'], by).message;
  };

  it('is held with the command that enrols them', () => {
    expect(hold({ dns: ['a.example.com'], ips: ['10.0.0.9', 'fd00::9'] }, node({ addresses: ['10.0.0.9'] }))).toBe(
      'not enrolled for the node "node-a": DNS a.example.com, IP fd00::9 (rotunda node update node-a --add-dns a.example.com --add-address fd00::9)',
    );
    expect(hold({ dns: ['node-a'], ips: ['10.0.0.9'] })).toBe(
      'the node "node-a" is not enrolled: enrol it with DNS node-a, IP 10.0.0.9 (rotunda node create node-a --address 10.0.0.9)',
    );
  });

  it('gives no command with a name that a shell could take for something else', () => {
    const profile = profileOf(kubeletServing);
    const csr = csrOf(serving(['node-a'], []));
    for (const value of ['$(reboot)', '-x', 'a;b', '*.example.com', 'a b']) {
      const asked = { ...csr, names: [{ kind: 'dns', value } as const] };
      const by = facts(nodeIdentity('node-a'), { node: node() });
      expect(evaluate(profile, asked, ['digital signature', 'server auth'], by).message).not.toContain('rotunda node');
    }
  });
});
