import { describe, expect, it } from 'vitest';

import type { ReadCsr } from '../../src/ca/x509/types.js';
import { evaluate } from '../../src/csr/evaluate.js';
import type { NodeFacts, RequestFacts } from '../../src/csr/types.js';
import type { CsrContent } from '../support/pkcs10.js';
import {
  administrator,
  apiserverClient,
  clientUsages,
  csrOf,
  facts,
  identity,
  kubeletClient,
  kubeletServing,
  memberIdentity,
  nodeIdentity,
  nodeSubject,
  profileOf,
  serverUsages,
  tokenFacts,
  tokenIdentity,
} from './support.js';

type Row = {
  readonly is: string;
  readonly signer: string;
  readonly asks: CsrContent;
  readonly usages?: readonly string[];
  readonly by: RequestFacts;
  readonly csr?: Partial<ReadCsr>;
  readonly outcome: 'approve' | 'deny' | 'hold';
  readonly says: string;
};

const both = [...serverUsages, 'client auth'];
const bound = tokenIdentity(tokenFacts());
const unbound = tokenIdentity({ id: 'abcdef', kind: 'unbound', reusable: true, state: 'active', claims: {} });
const memberToken = tokenIdentity({
  id: 'aaaaaa',
  kind: 'etcd-member',
  cluster: 'main',
  member: 'm1',
  reusable: false,
  state: 'active',
  claims: {},
});
const planeToken = tokenIdentity({
  id: 'bbbbbb',
  kind: 'control-plane',
  node: 'cp-1',
  reusable: false,
  state: 'active',
  claims: {},
});
const used = tokenIdentity(tokenFacts({ state: 'used' }));
const node = (change: Partial<NodeFacts> = {}): NodeFacts => ({
  name: 'node-a',
  state: 'expected',
  addresses: [],
  dnsNames: [],
  ...change,
});
const enrolled = node({ state: 'joined', addresses: ['10.0.0.1', 'fd00::1'], dnsNames: ['Node-A.example.com'] });
const member = {
  cluster: 'main',
  name: 'm1',
  state: 'expected',
  addresses: ['10.1.0.1'],
  dnsNames: ['m1.example.com'],
} as const;
const other = { ...member, name: 'm2', addresses: ['10.1.0.2'], dnsNames: ['m2.example.com'] };
const serving = (dns: string[], ips: string[], name = 'node-a'): CsrContent => ({ ...nodeSubject(name), dns, ips });
const named = (cn: string, ...o: string[]): CsrContent => ({
  subject: [...o.map((v) => ['O', v] as const), ['CN', cn]],
});
const peer = 'etcd.rotunda.dev/peer';
const client = 'etcd.rotunda.dev/client';
const plane = (name: string): string => `kubeadm.rotunda.dev/${name}`;

const nodeClient: Row[] = [
  {
    is: 'bound token, own node',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(bound),
    outcome: 'approve',
    says: 'Auto approving kubelet client certificate after SubjectAccessReview.',
  },
  {
    is: 'bound token, other node',
    signer: kubeletClient,
    asks: nodeSubject('node-b'),
    by: facts(bound),
    outcome: 'deny',
    says: 'is bound to the node "node-a" and may not ask for a certificate of the node "node-b"',
  },
  {
    is: 'used token',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(used),
    outcome: 'deny',
    says: 'is used up',
  },
  {
    is: 'revoked token',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(tokenIdentity(tokenFacts({ state: 'revoked' }))),
    outcome: 'deny',
    says: 'is revoked',
  },
  {
    is: 'token that is gone',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(identity({ kind: 'token' })),
    outcome: 'hold',
    says: 'expired, revoked or unknown',
  },
  {
    is: 'banned node',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(bound, { banned: 'node disabled' }),
    outcome: 'deny',
    says: 'banned: node disabled',
  },
  {
    is: 'unbound token, expected node',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(unbound, { node: node() }),
    outcome: 'approve',
    says: 'Auto approving kubelet client',
  },
  {
    is: 'unbound token, joined node',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(unbound, { node: node({ state: 'joined' }) }),
    outcome: 'hold',
    says: 'has joined already',
  },
  {
    is: 'unbound token, disabled node',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(unbound, { node: node({ state: 'disabled' }) }),
    outcome: 'deny',
    says: 'is disabled',
  },
  {
    is: 'unbound token, unknown node',
    signer: kubeletClient,
    asks: nodeSubject('node-x'),
    by: facts(unbound),
    outcome: 'hold',
    says: '"node-x" is not enrolled',
  },
  {
    is: 'unbound token, upstream policy',
    signer: kubeletClient,
    asks: nodeSubject('node-x'),
    by: facts(unbound, { nodePolicy: 'upstream' }),
    outcome: 'approve',
    says: 'Auto approving kubelet client',
  },
  {
    is: 'token of an etcd member',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(memberToken),
    outcome: 'deny',
    says: 'is for the etcd member "main/m1", not for the node "node-a"',
  },
  {
    is: 'node renews itself',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(nodeIdentity('node-a')),
    outcome: 'approve',
    says: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  },
  {
    is: 'node, other node',
    signer: kubeletClient,
    asks: nodeSubject('node-b'),
    by: facts(nodeIdentity('node-a')),
    outcome: 'deny',
    says: 'may not ask',
  },
  {
    is: 'node of another ring',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts({ ...nodeIdentity('node-a'), ring: 'etcd' }),
    outcome: 'deny',
    says: 'ring etcd',
  },
  {
    is: 'etcd member',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(memberIdentity('main', 'm1')),
    outcome: 'deny',
    says: 'an etcd member may not',
  },
  {
    is: 'person',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    by: facts(administrator),
    outcome: 'hold',
    says: 'approved by a person',
  },
  {
    is: 'person, broken hard rule',
    signer: kubeletClient,
    asks: named('bob', 'system:nodes'),
    by: facts(administrator),
    outcome: 'hold',
    says: 'does not begin with system:node:',
  },
];

const hard: Row[] = [
  {
    is: 'no O',
    signer: kubeletClient,
    asks: named('system:node:node-a'),
    by: facts(bound),
    outcome: 'deny',
    says: 'subject organization is not system:nodes',
  },
  {
    is: 'O twice',
    signer: kubeletClient,
    asks: named('system:node:node-a', 'system:nodes', 'system:nodes'),
    by: facts(bound),
    outcome: 'deny',
    says: 'subject organization is not system:nodes',
  },
  {
    is: 'DNS name',
    signer: kubeletClient,
    asks: serving(['node-a'], []),
    by: facts(bound),
    outcome: 'deny',
    says: 'DNS subjectAltNames are not allowed',
  },
  {
    is: 'address',
    signer: kubeletClient,
    asks: serving([], ['10.0.0.1']),
    by: facts(bound),
    outcome: 'deny',
    says: 'IP subjectAltNames are not allowed',
  },
  {
    is: 'server usage',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    usages: serverUsages,
    by: facts(bound),
    outcome: 'deny',
    says: 'usages did not match [client auth digital signature key encipherment]',
  },
  {
    is: 'key encipherment too',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    usages: ['key encipherment', ...clientUsages],
    by: facts(bound),
    outcome: 'approve',
    says: 'Auto',
  },
  {
    is: 'CA asked for',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    csr: { requestsCa: true },
    by: facts(bound),
    outcome: 'deny',
    says: 'CA certificate',
  },
  {
    is: 'problem of the reader',
    signer: kubeletClient,
    asks: nodeSubject('node-a'),
    csr: { problems: [{ field: 'key', rule: 'rsa-size', message: 'is too short' }] },
    by: facts(bound),
    outcome: 'deny',
    says: 'key: is too short',
  },
  {
    is: 'no names',
    signer: kubeletServing,
    asks: nodeSubject('node-a'),
    usages: serverUsages,
    by: facts(nodeIdentity('node-a'), { node: enrolled }),
    outcome: 'deny',
    says: 'DNS or IP subjectAltName is required',
  },
  {
    is: 'client without client auth',
    signer: apiserverClient,
    asks: named('bob'),
    usages: ['digital signature'],
    by: facts(administrator),
    outcome: 'hold',
    says: 'missing required usage for client certificate: client auth',
  },
  {
    is: 'client with server auth',
    signer: apiserverClient,
    asks: named('bob'),
    usages: ['client auth', 'server auth'],
    by: facts(administrator),
    outcome: 'hold',
    says: 'invalid usage for client certificate: server auth',
  },
  {
    is: 'system:masters',
    signer: apiserverClient,
    asks: named('bob', 'system:masters'),
    usages: ['client auth'],
    by: facts(unbound),
    outcome: 'deny',
    says: 'reserved',
  },
  {
    is: 'rotunda:admins',
    signer: apiserverClient,
    asks: named('bob', 'Rotunda:admins'),
    usages: ['client auth'],
    by: facts(unbound),
    outcome: 'deny',
    says: 'reserved',
  },
  {
    is: 'system group in etcd',
    signer: client,
    asks: named('app', 'system:nodes'),
    usages: ['client auth'],
    by: facts(memberToken),
    outcome: 'deny',
    says: 'reserved',
  },
  {
    is: 'own client, wrong group',
    signer: 'rotunda.dev/client',
    asks: named('bob', 'dev'),
    usages: ['client auth'],
    by: facts(administrator),
    outcome: 'hold',
    says: 'not exactly one of',
  },
  {
    is: 'own client',
    signer: 'rotunda.dev/client',
    asks: named('bob', 'rotunda:viewers'),
    usages: ['client auth'],
    by: facts(administrator),
    outcome: 'hold',
    says: 'approved by a person when a person asks',
  },
];

const nodeServing: Row[] = [
  {
    is: 'enrolled names, any case and form',
    signer: kubeletServing,
    asks: serving(['node-a', 'NODE-A.example.com'], ['10.0.0.1', 'fd00::1']),
    by: facts(nodeIdentity('node-a'), { node: enrolled }),
    outcome: 'approve',
    says: 'kubelet serving',
  },
  {
    is: 'name not enrolled',
    signer: kubeletServing,
    asks: serving(['node-a', 'evil.example.com'], ['10.0.0.9']),
    by: facts(nodeIdentity('node-a'), { node: enrolled }),
    outcome: 'hold',
    says: 'not enrolled for the node "node-a": DNS evil.example.com, IP 10.0.0.9',
  },
  {
    is: 'node not enrolled',
    signer: kubeletServing,
    asks: serving(['node-a'], []),
    by: facts(nodeIdentity('node-a')),
    outcome: 'hold',
    says: 'is not enrolled',
  },
  {
    is: 'no addresses enrolled',
    signer: kubeletServing,
    asks: serving(['node-a'], ['10.0.0.1']),
    by: facts(nodeIdentity('node-a'), { node: node() }),
    outcome: 'hold',
    says: 'IP 10.0.0.1',
  },
  {
    is: 'bound token',
    signer: kubeletServing,
    asks: serving(['node-a'], []),
    by: facts(bound, { node: enrolled }),
    outcome: 'hold',
    says: 'given to the node itself',
  },
  {
    is: 'unbound token',
    signer: kubeletServing,
    asks: serving(['node-a'], []),
    by: facts(unbound, { node: enrolled }),
    outcome: 'hold',
    says: 'given to the node itself',
  },
  {
    is: 'token of another node',
    signer: kubeletServing,
    asks: serving(['node-b'], [], 'node-b'),
    by: facts(bound),
    outcome: 'deny',
    says: 'may not ask for a certificate of the node "node-b"',
  },
  {
    is: 'disabled node',
    signer: kubeletServing,
    asks: serving(['node-a'], []),
    by: facts(nodeIdentity('node-a'), { node: { ...enrolled, state: 'disabled' } }),
    outcome: 'deny',
    says: 'is disabled',
  },
  {
    is: 'person',
    signer: kubeletServing,
    asks: serving(['node-a'], []),
    by: facts(administrator, { node: enrolled }),
    outcome: 'hold',
    says: 'approved by a person',
  },
];

const peerNames = { ...named('m1'), dns: ['m1.example.com', 'localhost'], ips: ['10.1.0.1', '127.0.0.1'] };
const etcd: Row[] = [
  {
    is: 'own names by token',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(memberToken, { member }),
    outcome: 'approve',
    says: 'etcd certificate',
  },
  {
    is: 'own names by certificate',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(memberIdentity('main', 'm1'), { member }),
    outcome: 'approve',
    says: 'etcd certificate',
  },
  {
    is: 'name of another member',
    signer: peer,
    asks: { ...named('m1'), dns: ['m2.example.com'] },
    usages: both,
    by: facts(memberToken, { member, otherMembers: [other] }),
    outcome: 'deny',
    says: 'DNS m2.example.com belong to the etcd member "main/m2"',
  },
  {
    is: 'name of nobody',
    signer: peer,
    asks: { ...named('m1'), dns: ['new.example.com'] },
    usages: both,
    by: facts(memberToken, { member, otherMembers: [other] }),
    outcome: 'hold',
    says: 'not enrolled for the etcd member "main/m1": DNS new.example.com',
  },
  {
    is: 'foreign common name',
    signer: peer,
    asks: { ...peerNames, ...named('m2') },
    usages: both,
    by: facts(memberToken, { member }),
    outcome: 'deny',
    says: 'common name "m2" is not a name of the etcd member',
  },
  {
    is: 'root',
    signer: peer,
    asks: { ...peerNames, ...named('root') },
    usages: both,
    by: facts(memberToken, { member }),
    outcome: 'deny',
    says: 'may not be called root',
  },
  {
    is: 'token of a node',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(bound, { member }),
    outcome: 'deny',
    says: 'not for an etcd member',
  },
  {
    is: 'node',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(nodeIdentity('node-a')),
    outcome: 'deny',
    says: 'only an etcd member',
  },
  {
    is: 'disabled member',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(memberToken, { member: { ...member, state: 'disabled' } }),
    outcome: 'deny',
    says: 'is disabled',
  },
  {
    is: 'member that is gone',
    signer: peer,
    asks: peerNames,
    usages: both,
    by: facts(memberToken),
    outcome: 'hold',
    says: 'is not enrolled',
  },
  {
    is: 'without client auth',
    signer: peer,
    asks: peerNames,
    usages: serverUsages,
    by: facts(memberToken, { member }),
    outcome: 'deny',
    says: 'usages did not match',
  },
  {
    is: 'enrolled client',
    signer: client,
    asks: named('app'),
    by: facts(memberToken, { member, etcdCluster: { name: 'main', clientNames: ['app'] } }),
    outcome: 'approve',
    says: 'etcd client',
  },
  {
    is: 'unknown client',
    signer: client,
    asks: named('spy'),
    by: facts(memberToken, { member, etcdCluster: { name: 'main', clientNames: ['app'] } }),
    outcome: 'hold',
    says: 'not enrolled as a client',
  },
  {
    is: 'root as client',
    signer: client,
    asks: named('root'),
    by: facts(memberToken, { member, etcdCluster: { name: 'main', clientNames: ['root'] } }),
    outcome: 'hold',
    says: 'administrator',
  },
  {
    is: 'client for a node',
    signer: client,
    asks: named('app'),
    by: facts(bound),
    outcome: 'deny',
    says: 'not for an etcd member',
  },
  {
    is: 'client by a person',
    signer: client,
    asks: named('app'),
    by: facts(administrator),
    outcome: 'hold',
    says: 'approved by a person',
  },
];

const serverNames = { dns: ['kubernetes', 'cp-1'], ips: ['10.96.0.1'] };
const controlPlane: Row[] = [
  {
    is: 'apiserver by token',
    signer: plane('apiserver'),
    asks: { ...named('kube-apiserver'), ...serverNames },
    usages: serverUsages,
    by: facts(planeToken),
    outcome: 'approve',
    says: 'control plane',
  },
  {
    is: 'apiserver by the token of a node',
    signer: plane('apiserver'),
    asks: { ...named('kube-apiserver'), ...serverNames },
    usages: serverUsages,
    by: facts(bound),
    outcome: 'deny',
    says: 'not for a control plane',
  },
  {
    is: 'apiserver by a node',
    signer: plane('apiserver'),
    asks: { ...named('kube-apiserver'), ...serverNames },
    usages: serverUsages,
    by: facts(nodeIdentity('cp-1')),
    outcome: 'hold',
    says: 'a person decides',
  },
  {
    is: 'apiserver by a person',
    signer: plane('apiserver'),
    asks: { ...named('kube-apiserver'), ...serverNames },
    usages: serverUsages,
    by: facts(administrator),
    outcome: 'hold',
    says: 'approved by a person',
  },
  {
    is: 'wrong common name',
    signer: plane('scheduler'),
    asks: named('system:kube-controller-manager'),
    by: facts(planeToken),
    outcome: 'deny',
    says: 'subject common name is not system:kube-scheduler',
  },
  {
    is: 'masters for super-admin',
    signer: plane('super-admin'),
    asks: named('kubernetes-super-admin', 'system:masters'),
    by: facts(planeToken),
    outcome: 'approve',
    says: 'control plane',
  },
  {
    is: 'masters for admin',
    signer: plane('admin'),
    asks: named('kubernetes-admin', 'system:masters'),
    by: facts(planeToken),
    outcome: 'deny',
    says: 'subject organization is not "kubeadm:cluster-admins"',
  },
  {
    is: 'etcd server of its node',
    signer: plane('etcd-server'),
    asks: { ...named('cp-1'), dns: ['cp-1', 'localhost'] },
    usages: both,
    by: facts(planeToken),
    outcome: 'approve',
    says: 'control plane',
  },
  {
    is: 'etcd server of another node',
    signer: plane('etcd-server'),
    asks: { ...named('cp-2'), dns: ['cp-2'] },
    usages: both,
    by: facts(planeToken),
    outcome: 'deny',
    says: 'may not ask for the common name "cp-2"',
  },
  {
    is: 'etcd server beyond what is enrolled',
    signer: plane('etcd-server'),
    asks: { ...named('cp-1'), ips: ['10.0.0.9', '::1'] },
    usages: both,
    by: facts(planeToken, { node: node({ name: 'cp-1', addresses: ['10.0.0.1'] }) }),
    outcome: 'hold',
    says: 'IP 10.0.0.9',
  },
];

describe.each([
  ['hard rules', hard],
  ['client certificates of nodes', nodeClient],
  ['serving certificates of nodes', nodeServing],
  ['etcd', etcd],
  ['control plane', controlPlane],
] as const)('%s', (_title, rows) => {
  it.each(rows)('$signer, $is: $outcome', ({ signer, asks, usages, by, csr, outcome, says }) => {
    const decision = evaluate(
      profileOf(signer),
      { ...csrOf(asks), ...csr },
      usages ?? (signer === kubeletServing ? serverUsages : clientUsages),
      by,
    );
    expect({ outcome: decision.outcome, message: decision.message }).toEqual({
      outcome,
      message: expect.stringContaining(says) as string,
    });
  });
});

describe('explanations', () => {
  it('names every rule with its verdict', () => {
    const decision = evaluate(profileOf(kubeletClient), csrOf(nodeSubject('node-b')), clientUsages, facts(bound));
    const names = decision.rules.map((rule) => rule.rule);
    expect(new Set(names).size).toBe(names.length);
    expect(decision.rules.filter((rule) => rule.outcome === 'failed').map((rule) => rule.rule)).toEqual([
      'may-become-node',
    ]);
    for (const rule of decision.rules) expect(rule.message).not.toBe('');
  });

  it('never gives a retry time to what waits for a person', () => {
    expect(
      evaluate(profileOf(kubeletClient), csrOf(nodeSubject('node-a')), clientUsages, facts(administrator)).retryAt,
    ).toBeUndefined();
    expect(
      evaluate(profileOf(kubeletClient), csrOf(nodeSubject('node-x')), clientUsages, facts(unbound)).retryAt,
    ).toBeGreaterThan(0);
  });
});
