import { type KeyObject, X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { AccessReviewer } from '../../../src/identity/access-reviewer.js';
import type { Attributes, Identity } from '../../../src/identity/types.js';
import { type ProxiedUser, proxyClient, type ProxyClient, ringLeaf } from '../../support/front-proxy.js';
import { csrPem, type CsrContent, newEcKey } from '../../support/pkcs10.js';
import { startTestService, type TestAnswer, type TestClient, type TestService } from '../../support/service.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const signers = {
  kubelet: 'kubernetes.io/kube-apiserver-client-kubelet',
  client: 'kubernetes.io/kube-apiserver-client',
  foreign: 'example.com/custom',
} as const;
const kubeadmGroup = 'system:bootstrappers:kubeadm:default-node-token';

const masters: ProxiedUser = { user: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
const kubeadmAdmin: ProxiedUser = { user: 'kubernetes-admin', groups: ['kubeadm:cluster-admins'] };
const account: ProxiedUser = {
  user: 'system:serviceaccount:cert-manager:approver',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:cert-manager', 'system:authenticated'],
};
const controllerManagers: ProxiedUser[] = [
  { user: 'system:serviceaccount:kube-system:certificate-controller', groups: ['system:serviceaccounts'] },
  { user: 'system:kube-controller-manager', groups: ['system:authenticated'] },
];
const bootstrap = (id: string): ProxiedUser => ({
  user: `system:bootstrap:${id}`,
  groups: ['system:bootstrappers', kubeadmGroup, 'system:authenticated'],
});
const nodeUser = (name: string, certificate?: string): ProxiedUser => ({
  user: `system:node:${name}`,
  groups: ['system:nodes', 'system:authenticated'],
  ...(certificate === undefined
    ? {}
    : { extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprintOf(certificate)}`] } }),
});
const nodeSubject = (name: string): CsrContent => ({
  subject: [
    ['O', 'system:nodes'],
    ['CN', `system:node:${name}`],
  ],
});

type Csr = {
  metadata: { name: string; annotations?: Record<string, string> };
  spec: { username: string; groups: string[]; extra?: Record<string, string[]> };
  status: { certificate?: string; conditions?: { type: string; reason: string; message: string }[] };
};

let started: TestService;
let proxy: ProxyClient;
let admin: TestClient;
/** What the API server is asked, and whom it allows it. */
const asked: { username: string; attributes: Attributes }[] = [];
let allowed: (username: string, attributes: Attributes) => boolean | undefined;

beforeAll(async () => {
  const accessReviewer: AccessReviewer = {
    review: ({ username }, attributes) => {
      asked.push({ username, attributes });
      const verdict = allowed(username, attributes);
      return Promise.resolve(verdict === undefined ? undefined : { allowed: verdict, reason: '' });
    },
  };
  started = await startTestService({ overrides: { accessReviewer } });
  proxy = proxyClient(started, await ringLeaf(started), 1);
  admin = started.client(started.admin);
  allowed = () => undefined;
});

afterAll(async () => {
  await proxy.close();
  await started.stop();
});

function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
}

async function operator(): Promise<Identity> {
  return { ...(await started.service.context.authenticator.authenticate({})), kind: 'internal', username: 'admin' };
}

function ask(
  who: ProxiedUser,
  signerName: string,
  content: CsrContent,
  key: KeyObject = newEcKey(),
): Promise<TestAnswer> {
  const request = Buffer.from(csrPem(key, content)).toString('base64');
  const spec = { request, signerName, usages: ['digital signature', 'client auth'] };
  return proxy.as(who, 'POST', collection, { body: { metadata: { generateName: 'csr-' }, spec } });
}

async function created(answer: Promise<TestAnswer>): Promise<string> {
  const done = await answer;
  expect(done.status, done.text).toBe(201);
  return done.json<Csr>().metadata.name;
}

async function read(name: string): Promise<Csr> {
  return (await admin.send('GET', `${collection}/${name}`)).json<Csr>();
}

async function issued(name: string): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const { status } = await read(name);
    if (status.certificate !== undefined) return Buffer.from(status.certificate, 'base64').toString();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(JSON.stringify((await read(name)).status));
}

const merge = { contentType: 'application/merge-patch+json' };

function approve(who: ProxiedUser, name: string, type = 'Approved'): Promise<TestAnswer> {
  const conditions = [{ type, status: 'True', reason: 'Test', message: 'by hand' }];
  return proxy.as(who, 'PATCH', `${collection}/${name}/approval`, { body: { status: { conditions } }, ...merge });
}

function setCertificate(who: ProxiedUser, name: string, pem: string): Promise<TestAnswer> {
  const certificate = Buffer.from(pem).toString('base64');
  return proxy.as(who, 'PATCH', `${collection}/${name}/status`, { body: { status: { certificate } }, ...merge });
}

function messageOf(answer: TestAnswer): string {
  return `${String(answer.status)} ${answer.json<{ message: string }>().message}`;
}

describe('what an API server asks by itself', () => {
  const aggregator: ProxiedUser = { user: 'system:kube-aggregator', groups: ['system:masters'] };
  const discovery =
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

  test('availability, discovery and OpenAPI', async () => {
    const resources = await proxy.as(aggregator, 'GET', '/apis/certificates.k8s.io/v1');
    expect(resources.json()).toMatchObject({ kind: 'APIResourceList', groupVersion: 'certificates.k8s.io/v1' });
    const groups = await proxy.as(aggregator, 'GET', '/apis', { headers: ['Accept', discovery] });
    expect(groups.status).toBe(200);
    expect(groups.json()).toMatchObject({ kind: 'APIGroupDiscoveryList' });
    expect(groups.text).toContain('certificatesigningrequests');
    const opener: ProxiedUser = { user: 'system:aggregator' };
    expect((await proxy.as(opener, 'GET', '/openapi/v3')).status).toBe(200);
    expect((await proxy.as(opener, 'GET', '/openapi/v3/apis/certificates.k8s.io/v1')).status).toBe(200);
    expect((await proxy.as(opener, 'GET', '/openapi/v2')).status).toBe(404);
    expect((await proxy.as(aggregator, 'GET', '/openapi/v2')).status).toBe(404);
  });

  test('its masters have power over requests, and over nothing else', async () => {
    for (const who of [masters, { ...masters, groups: ['system:masters', 'rotunda:admins'] }]) {
      expect((await proxy.as(who, 'GET', collection)).status).toBe(200);
      for (const path of ['tokens', 'nodes', 'certificates', 'rings'])
        expect((await proxy.as(who, 'GET', `/pki/v1/${path}`)).status, path).toBe(403);
      const token = { metadata: { name: 'bootstrap-token-abcdef' }, type: 'bootstrap.kubernetes.io/token' };
      const secrets = '/api/v1/namespaces/kube-system/secrets';
      expect((await proxy.as(who, 'POST', secrets, { body: token })).status).toBe(403);
      expect((await proxy.as(who, 'GET', secrets)).status).toBe(403);
      expect((await proxy.as(who, 'GET', '/metrics')).status).toBe(403);
    }
  });

  test.each(['system:rotunda', 'rotunda:etcd-member:main:e0'])('nobody is %s', async (user) => {
    expect(messageOf(await proxy.as({ ...masters, user }, 'GET', collection))).toMatch(
      /^403 no API server gives the name/,
    );
  });
});

describe('machines', () => {
  async function tokenFor(node?: string): Promise<string> {
    const draft =
      node === undefined ? { groups: [kubeadmGroup] } : { node: { name: node, addresses: [], dnsNames: [] } };
    return (await started.service.context.tokens.create(draft, await operator())).token.id;
  }

  test('a token of Rotunda is known by its id, used up by its certificate, and then refused', async () => {
    const id = await tokenFor('bound');
    const name = await created(ask(bootstrap(id), signers.kubelet, nodeSubject('bound')));
    const certificate = await issued(name);
    expect((await read(name)).spec.groups).toEqual(bootstrap(id).groups);
    const wrong = await created(ask(bootstrap(id), signers.kubelet, nodeSubject('another')));
    const [denied] = (await read(wrong)).status.conditions ?? [];
    expect(denied?.type).toBe('Denied');
    expect(denied?.message).toContain('bound to the node "bound"');
    expect((await proxy.as(nodeUser('bound', certificate), 'GET', collection)).status).toBe(200);
    expect((await started.service.context.tokens.get(id)).state).toBe('used');
    const again = await ask(bootstrap(id), signers.kubelet, nodeSubject('bound'));
    expect(messageOf(again)).toMatch(new RegExp(`^403 bootstrap token ${id} is used up: make another`));
  });

  test('one that is revoked is refused, whatever the API server thinks', async () => {
    const id = await tokenFor('revoked');
    await started.service.context.tokens.revoke(id, await operator());
    expect(messageOf(await proxy.as(bootstrap(id), 'GET', collection))).toContain(`bootstrap token ${id} is revoked`);
  });

  test('a token of the API server’s own serves nodes that are expected', async () => {
    const name = await created(ask(bootstrap('zzzzzz'), signers.kubelet, nodeSubject('later')));
    const waiting = await read(name);
    expect(waiting.status.conditions).toBeUndefined();
    expect(waiting.metadata.annotations?.['rotunda.dev/hold-reason']).toContain('"later" is not enrolled');
    await started.service.context.nodes.enrol({ name: 'later', addresses: [], dnsNames: [] }, await operator());
    expect(new X509Certificate(await issued(name)).subject).toContain('CN=system:node:later');
    const direct = await created(ask(bootstrap('zzzzzz'), signers.kubelet, nodeSubject('unknown')));
    expect((await read(direct)).status.certificate).toBeUndefined();
  });

  test('whether a token may make nodes is the API server’s to say, where its groups do not', async () => {
    const plain: ProxiedUser = { user: 'system:bootstrap:yyyyyy', groups: ['system:bootstrappers'] };
    await started.service.context.nodes.enrol({ name: 'by-rbac', addresses: [], dnsNames: [] }, await operator());
    allowed = () => false;
    const name = await created(ask(plain, signers.kubelet, nodeSubject('by-rbac')));
    expect((await read(name)).metadata.annotations?.['rotunda.dev/hold-reason']).toContain('nodeclient');
    asked.length = 0;
    allowed = () => true;
    expect(await issued(await created(ask(plain, signers.kubelet, nodeSubject('by-rbac'))))).toContain('BEGIN');
    expect(asked.map(({ attributes }) => attributes)).toContainEqual({
      ...{ verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
      subresource: 'nodeclient',
    });
    allowed = () => undefined;
  });

  test('a node renews for itself and for no other', async () => {
    const id = await tokenFor('renewing');
    const first = await issued(await created(ask(bootstrap(id), signers.kubelet, nodeSubject('renewing'))));
    const self = nodeUser('renewing', first);
    expect(await issued(await created(ask(self, signers.kubelet, nodeSubject('renewing'))))).toContain('BEGIN');
    const other = await ask(self, signers.kubelet, nodeSubject('bound'));
    expect(messageOf(other)).toMatch(/^403 .*can only create a node CSR with CN=system:node:renewing/);
  });

  test('a banned certificate and a disabled node are refused, and a watch that is open ends', async () => {
    const id = await tokenFor('banned');
    const certificate = await issued(await created(ask(bootstrap(id), signers.kubelet, nodeSubject('banned'))));
    const self = nodeUser('banned', certificate);
    expect((await proxy.as(self, 'GET', collection)).status).toBe(200);
    const serial = new X509Certificate(certificate).serialNumber.toLowerCase().padStart(32, '0');
    await started.service.context.revocation.revoke(serial, { actor: await operator() });
    expect(messageOf(await proxy.as(self, 'GET', collection))).toMatch(/^403 certificate .* is banned/);
    expect((await proxy.as(nodeUser('banned'), 'GET', collection)).status).toBe(200);
    // With one connection only, it would keep every other request waiting.
    const watching = proxyClient(started, await ringLeaf(started), 1);
    const watch = watching.as(nodeUser('banned'), 'GET', `${collection}?watch=true&timeoutSeconds=600`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await started.service.context.nodes.disable('banned', { actor: await operator(), reason: 'stolen' });
    expect((await watch).status).toBe(200);
    await watching.close();
    expect(messageOf(await proxy.as(nodeUser('banned'), 'GET', collection))).toMatch(/^403 .* is banned: stolen/);
    await started.service.context.nodes.enable('banned', await operator());
    expect((await proxy.as(nodeUser('banned'), 'GET', collection)).status).toBe(200);
  });

  test('the fingerprint of somebody else’s certificate says nothing', async () => {
    const id = await tokenFor('loud');
    const certificate = await issued(await created(ask(bootstrap(id), signers.kubelet, nodeSubject('loud'))));
    expect((await proxy.as(nodeUser('quiet', certificate), 'GET', collection)).status).toBe(200);
    expect((await started.service.context.tokens.get(id)).state).toBe('active');
  });

  test('etcd, the control plane and Rotunda itself are not to be had', async () => {
    const control = await started.service.context.tokens.create({ controlPlane: 'cp1' }, await operator());
    for (const signerName of ['kubeadm.rotunda.dev/super-admin', 'kubeadm.rotunda.dev/front-proxy-client']) {
      const subject: CsrContent['subject'] = signerName.endsWith('super-admin')
        ? [
            ['O', 'system:masters'],
            ['CN', 'kubernetes-super-admin'],
          ]
        : [['CN', 'front-proxy-client']];
      const name = await created(ask(bootstrap(control.token.id), signerName, { subject }));
      const held = await read(name);
      expect(held.status.certificate).toBeUndefined();
      expect(held.metadata.annotations?.['rotunda.dev/hold-reason']).toContain('not given through the API server');
      expect(messageOf(await approve(masters, name))).toMatch(/^403 .*not given through the API server/);
      expect((await admin.send('PATCH', `${collection}/${name}/approval`, approvedBy)).status).toBe(200);
      await issued(name);
    }
  });
});

const approvedBy = {
  body: { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Test' }] } },
  headers: { 'content-type': 'application/merge-patch+json' },
};

describe('who approves and signs', () => {
  const person = (name: string): CsrContent => ({ subject: [['CN', name]] });

  test('what a service account asks for waits for a person', async () => {
    const name = await created(ask(account, signers.client, person('app')));
    expect((await read(name)).status).toEqual({});
    expect((await read(name)).spec.username).toBe(account.user);
    expect((await approve(masters, name)).status).toBe(200);
    expect(new X509Certificate(await issued(name)).subject).toBe('CN=app');
  });

  test.each(controllerManagers)('approvals by $user do not count, nor do its certificates', async (manager) => {
    allowed = () => true;
    const name = await created(ask(account, signers.client, person('app')));
    const refused =
      /^403 .*approved and signed by Rotunda.*--controllers=\*,-certificatesigningrequest-approving-controller/;
    expect(messageOf(await approve(manager, name))).toMatch(refused);
    const foreign = await ringLeaf(started, { ring: 'kubernetes', name: 'app' });
    expect(messageOf(await setCertificate(manager, name, foreign.cert))).toMatch(refused);
    expect((await read(name)).status).toEqual({});
    const theirs = await created(ask(account, signers.foreign, person('app')));
    expect((await approve(manager, theirs)).status).toBe(200);
    allowed = () => undefined;
  });

  test('nobody but Rotunda sets certificates of its signers; those of others keep upstream’s rules', async () => {
    const foreign = await ringLeaf(started, { ring: 'kubernetes', name: 'app' });
    const name = await created(ask(account, signers.client, person('app')));
    expect(messageOf(await setCertificate(masters, name, foreign.cert))).toMatch(
      /^403 .*set by Rotunda and by nobody else/,
    );
    const dry = await proxy.as(masters, 'PATCH', `${collection}/${name}/status?dryRun=All`, {
      body: { status: { certificate: Buffer.from(foreign.cert).toString('base64') } },
      ...merge,
    });
    expect(dry.status).toBe(403);
    const custom = { status: { conditions: [{ type: 'Seen', status: 'True', reason: 'Test' }] } };
    const seen = await proxy.as(masters, 'PATCH', `${collection}/${name}/status`, { body: custom, ...merge });
    expect(seen.status).toBe(200);
    const theirs = await created(ask(account, signers.foreign, person('app')));
    expect((await approve(masters, theirs)).status).toBe(200);
    expect((await setCertificate(masters, theirs, foreign.cert)).status).toBe(200);
    expect(await issued(theirs)).toBe(foreign.cert);
  });

  test('the API server is asked who may approve and sign, by signer and by its domain', async () => {
    const name = await created(ask(masters, signers.foreign, person('app')));
    const foreign = await ringLeaf(started, { ring: 'kubernetes', name: 'app' });
    allowed = () => false;
    asked.length = 0;
    expect(messageOf(await approve(account, name))).toContain(
      'user not permitted to approve requests with signerName "example.com/custom"',
    );
    expect(asked).toEqual(
      ['example.com/custom', 'example.com/*'].map((signer) => ({
        username: account.user,
        attributes: { verb: 'approve', group: 'certificates.k8s.io', resource: 'signers', name: signer },
      })),
    );
    allowed = (_username, attributes) => 'name' in attributes && attributes.name === 'example.com/*';
    expect((await approve(account, name)).status).toBe(200);
    allowed = (_username, { verb }) => verb === 'approve';
    expect(messageOf(await setCertificate(account, name, foreign.cert))).toContain('user not permitted to sign');
    allowed = (_username, { verb }) => verb === 'sign';
    expect((await setCertificate(account, name, foreign.cert)).status).toBe(200);
    asked.length = 0;
    const annotate = { body: { metadata: { annotations: { a: 'b' } } }, ...merge };
    expect((await proxy.as(account, 'PATCH', `${collection}/${name}`, annotate)).status).toBe(200);
    expect(asked).toEqual([]);
    allowed = () => undefined;
  });

  test('who may approve users of the cluster itself must hold its whole power', async () => {
    const name = await created(ask(account, signers.client, person('system:kube-scheduler')));
    allowed = (_username, { verb }) => verb === 'approve';
    expect(messageOf(await approve(account, name))).toMatch(/belongs to the cluster itself/);
    allowed = () => true;
    expect((await approve(account, name)).status).toBe(200);
    await issued(name);
    allowed = () => undefined;
  });

  test('where nobody can be asked, the administrators of kubeadm and system:masters may', async () => {
    const name = await created(ask(account, signers.client, person('app')));
    expect((await approve(account, name)).status).toBe(403);
    expect((await approve(kubeadmAdmin, name)).status).toBe(200);
    await issued(name);
  });
});
