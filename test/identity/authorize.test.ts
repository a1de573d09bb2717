import { describe, expect, test } from 'vitest';

import { authorize } from '../../src/identity/authorize.js';
import { kubernetesRoles, reviewedIdentity } from '../../src/identity/roles.js';
import { rules } from '../../src/identity/rules.js';
import { kubeadmNodeGroup } from '../../src/identity/token-format.js';
import type { Attributes, Identity, Role } from '../../src/identity/types.js';
import { person } from './rooms.js';

const csr = (verb: string, subresource?: string): Attributes => ({
  verb,
  group: 'certificates.k8s.io',
  resource: 'certificatesigningrequests',
  ...(subresource !== undefined && { subresource }),
});
const signer = (verb: string, name?: string): Attributes => ({
  verb,
  group: 'certificates.k8s.io',
  resource: 'signers',
  ...(name !== undefined && { name }),
});
const native = (verb: string, resource: string, subresource?: string): Attributes => ({
  verb,
  group: 'rotunda.dev',
  resource,
  ...(subresource !== undefined && { subresource }),
});
const core = (verb: string, resource: string, more: { name?: string; namespace?: string } = {}): Attributes => ({
  verb,
  group: '',
  resource,
  ...more,
});
const path = (path_: string, verb = 'get'): Attributes => ({ verb, path: path_ });
const clusterInfo = core('get', 'configmaps', { namespace: 'kube-public', name: 'cluster-info' });
const secrets = core('list', 'secrets', { namespace: 'kube-system' });
const system = (name: string): Attributes => core('get', 'configmaps', { namespace: 'kube-system', name });
const readers: readonly Who[] = ['admin', 'operator', 'viewer', 'cluster-admin'];

const bootstrapper: Identity = {
  ...person('system:bootstrap:abcdef', 'bootstrapper'),
  kind: 'token',
  groups: ['system:bootstrappers', 'system:authenticated'],
};
const who = {
  admin: person('admin', 'admin'),
  operator: person('olga', 'operator'),
  viewer: person('vera', 'viewer'),
  'cluster-admin': person('root', 'cluster-admin'),
  node: { ...person('system:node:node-a', 'node'), node: 'node-a' },
  bootstrapper,
  kubeadm: { ...bootstrapper, groups: ['system:bootstrappers', kubeadmNodeGroup, 'system:authenticated'] },
  member: person('rotunda:etcd-member:main:e0', 'member'),
  plain: person('plain'),
  anonymous: { ...person('system:anonymous'), kind: 'anonymous', roles: ['anonymous'] } as Identity,
};
type Who = keyof typeof who;

/** Every question, with those whom it is allowed; nobody else may. */
const table: readonly (readonly [string, Attributes, readonly Who[]])[] = [
  [
    'create a request',
    csr('create'),
    ['admin', 'operator', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member'],
  ],
  [
    'get a request',
    csr('get'),
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member'],
  ],
  ['list requests', csr('list'), ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm']],
  ['watch requests', csr('watch'), ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm']],
  ['update a request', csr('update'), ['admin', 'operator', 'cluster-admin']],
  ['patch a request', csr('patch'), ['admin', 'operator', 'cluster-admin']],
  ['delete a request', csr('delete'), ['admin', 'operator', 'cluster-admin']],
  ['delete requests', csr('deletecollection'), ['admin', 'operator', 'cluster-admin']],
  ['update an approval', csr('update', 'approval'), ['admin', 'operator', 'cluster-admin']],
  ['patch an approval', csr('patch', 'approval'), ['admin', 'operator', 'cluster-admin']],
  ['read an approval', csr('get', 'approval'), ['admin', 'operator', 'viewer', 'cluster-admin']],
  ['update a status', csr('update', 'status'), ['admin', 'operator', 'cluster-admin']],
  ['nodeclient', csr('create', 'nodeclient'), ['admin', 'cluster-admin', 'kubeadm']],
  ['selfnodeclient', csr('create', 'selfnodeclient'), ['admin', 'cluster-admin', 'node']],
  [
    'approve for kubernetes',
    signer('approve', 'kubernetes.io/kube-apiserver-client'),
    ['admin', 'operator', 'cluster-admin'],
  ],
  ['sign for kubernetes', signer('sign', 'kubernetes.io/*'), ['admin', 'operator', 'cluster-admin']],
  ['approve for a stranger', signer('approve', 'example.com/custom'), ['admin', 'operator', 'cluster-admin']],
  ['approve for etcd', signer('approve', 'etcd.rotunda.dev/peer'), ['admin', 'operator']],
  ['approve for every etcd signer', signer('approve', 'etcd.rotunda.dev/*'), ['admin', 'operator']],
  ['approve for the control plane', signer('approve', 'kubeadm.rotunda.dev/super-admin'), ['admin']],
  ['approve for every control plane signer', signer('approve', 'kubeadm.rotunda.dev/*'), ['admin']],
  ['approve for the service itself', signer('approve', 'rotunda.dev/client'), ['admin']],
  ['approve for all of the service itself', signer('approve', 'rotunda.dev/*'), ['admin']],
  ['approve for every signer', signer('approve'), ['admin']],
  ['approve for every signer, by star', signer('approve', '*'), ['admin']],
  [
    'approve for one that only looks like it',
    signer('approve', 'notrotunda.dev/x'),
    ['admin', 'operator', 'cluster-admin'],
  ],
  [
    'see who I am',
    { verb: 'create', group: 'authentication.k8s.io', resource: 'selfsubjectreviews' },
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  [
    'see what I may',
    { verb: 'create', group: 'authorization.k8s.io', resource: 'selfsubjectaccessreviews' },
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  [
    'list what I may',
    { verb: 'create', group: 'authorization.k8s.io', resource: 'selfsubjectrulesreviews' },
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  [
    'see what others may',
    { verb: 'create', group: 'authorization.k8s.io', resource: 'subjectaccessreviews' },
    ['admin', 'cluster-admin'],
  ],
  ['secrets', secrets, ['admin', 'operator']],
  ['secrets of all namespaces', core('list', 'secrets'), ['admin', 'operator']],
  ['secrets of another namespace', core('list', 'secrets', { namespace: 'default' }), ['admin']],
  ['make tokens as secrets', core('create', 'secrets', { namespace: 'kube-system' }), ['admin', 'operator']],
  ['cluster-info', clusterInfo, ['admin', 'operator', 'viewer', 'cluster-admin', 'anonymous']],
  ['another ConfigMap', core('get', 'configmaps', { namespace: 'kube-public', name: 'other' }), readers],
  ['list ConfigMaps', core('list', 'configmaps', { namespace: 'kube-public' }), readers],
  ['import a ConfigMap', core('create', 'configmaps', { namespace: 'kube-system' }), ['admin']],
  ['kubeadm-config', system('kubeadm-config'), [...readers, 'node', 'kubeadm']],
  ['kubelet-config', system('kubelet-config'), [...readers, 'node', 'kubeadm']],
  ['kube-proxy', system('kube-proxy'), readers],
  [
    'kube-root-ca.crt',
    core('get', 'configmaps', { namespace: 'default', name: 'kube-root-ca.crt' }),
    [...readers, 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  ['events', core('list', 'events', { namespace: 'default' }), ['admin', 'operator', 'viewer', 'cluster-admin']],
  ['write events', core('create', 'events', { namespace: 'default' }), ['admin', 'cluster-admin']],
  [
    '/version',
    path('/version'),
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain', 'anonymous'],
  ],
  [
    '/readyz',
    path('/readyz'),
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain', 'anonymous'],
  ],
  [
    '/apis',
    path('/apis'),
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  [
    '/api/v1',
    path('/api/v1'),
    ['admin', 'operator', 'viewer', 'cluster-admin', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain'],
  ],
  ['/apiserver', path('/apiserver'), ['admin', 'operator', 'viewer', 'cluster-admin']],
  ['/metrics', path('/metrics'), ['admin', 'operator', 'viewer', 'cluster-admin']],
  ['POST /version', path('/version', 'post'), ['admin']],
  [
    'bundles',
    native('get', 'bundles'),
    ['admin', 'operator', 'viewer', 'node', 'bootstrapper', 'kubeadm', 'member', 'plain', 'anonymous', 'cluster-admin'],
  ],
  ['rings', native('list', 'rings'), ['admin', 'operator', 'viewer']],
  ['authorities', native('get', 'authorities'), ['admin', 'operator', 'viewer']],
  ['change a ring', native('update', 'rings'), ['admin']],
  ['start a rotation', native('create', 'rotations'), ['admin']],
  ['certificates', native('list', 'certificates'), ['admin', 'operator', 'viewer']],
  ['revoke', native('update', 'certificates', 'revoke'), ['admin', 'operator']],
  ['tokens', native('list', 'tokens'), ['admin', 'operator', 'viewer']],
  ['make tokens', native('create', 'tokens'), ['admin', 'operator']],
  ['revoke tokens', native('delete', 'tokens'), ['admin', 'operator']],
  ['nodes', native('get', 'nodes'), ['admin', 'operator', 'viewer']],
  ['enrol', native('create', 'nodes'), ['admin', 'operator']],
  ['disable', native('update', 'nodes', 'disable'), ['admin', 'operator']],
  ['etcd clusters', native('create', 'etcdclusters'), ['admin', 'operator']],
  ['etcd members', native('delete', 'etcdmembers'), ['admin', 'operator']],
];

describe('who may do what', () => {
  test.each(table)('%s', (_title, attributes, allowed) => {
    const found = (Object.keys(who) as Who[]).filter((name) => authorize(who[name], attributes).allowed);
    expect(found.sort()).toEqual([...allowed].sort());
  });

  test('roles add up, and the service itself may everything', () => {
    expect(authorize(person('x', 'viewer', 'cluster-admin'), native('list', 'rings')).allowed).toBe(true);
    expect(
      authorize({ ...person('system:rotunda'), kind: 'internal', roles: [] }, native('update', 'rings')).allowed,
    ).toBe(true);
    expect(Object.keys(rules)).toHaveLength(12);
  });

  test('an API server lets its users through to requests, and to nothing beside', () => {
    const may = (identity: Identity) =>
      table.filter(([, attributes]) => authorize(identity, attributes).allowed).map(([title]) => title);
    const through = may({ ...person('alice', 'proxied'), roles: ['proxied'] });
    const requests = table.filter(
      ([, asked]) => 'resource' in asked && asked.resource === 'certificatesigningrequests',
    );
    expect(through).toEqual(
      requests.filter(([, asked]) => !/nodeclient/.test(JSON.stringify(asked))).map(([title]) => title),
    );
    const masters = may({ ...person('root', 'proxied'), roles: ['proxied', 'proxied-admin'] });
    const more = table.filter(([title]) => masters.includes(title) && !through.includes(title));
    expect(more.length).toBeGreaterThan(0);
    for (const [, asked] of more)
      expect(JSON.stringify(asked)).toMatch(/"signers".*"(kubernetes\.io|example\.|notrotunda\.)/);
  });

  test('the reasons of refusals are upstream’s', () => {
    expect(authorize(who.plain, csr('get'))).toEqual({ allowed: false, reason: '' });
    expect(authorize(who.node, secrets)).toEqual({ allowed: false, reason: 'No Object name found' });
    expect(authorize(who.node, clusterInfo).reason).toBe("no relationship found between node 'node-a' and this object");
    expect(authorize(who.node, core('list', 'secrets')).reason).toBe('can only read namespaced object of this type');
    expect(authorize(who.node, core('create', 'secrets', { namespace: 'x' })).reason).toBe(
      'can only read resources of this type',
    );
    expect(authorize(who.node, csr('delete')).reason).toBe('');
  });

  test('what a name and groups are worth in a review', () => {
    const roles = (username: string, ...groups: string[]): readonly Role[] =>
      reviewedIdentity({ username, groups }).roles;
    expect(kubernetesRoles('system:node:a', ['system:nodes'])).toEqual(['node']);
    expect(roles('system:node:a', 'system:nodes', 'system:authenticated')).toEqual(['node', 'authenticated']);
    expect(roles('system:node:a')).toEqual([]);
    expect(roles('bob', 'system:masters')).toEqual(['cluster-admin']);
    expect(roles('bob', 'rotunda:admins', 'system:authenticated')).toEqual(['authenticated']);
    expect(roles('system:bootstrap:abcdef', 'system:bootstrappers')).toEqual(['bootstrapper']);
    expect(roles('system:anonymous', 'system:unauthenticated')).toEqual(['anonymous']);
    expect(authorize(reviewedIdentity({ username: 'bob', groups: [] }), core('get', 'pods'))).toEqual({
      allowed: false,
      reason: '',
    });
  });
});
