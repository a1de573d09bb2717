import { X509Certificate } from 'node:crypto';

import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { ringLeaf } from '../support/front-proxy.js';
import { attachedCluster, requestsPath } from '../support/kubernetes/attached.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type ApiAnswer, type Cluster, startCluster } from '../support/kubernetes/cluster.js';
import { administrator } from '../support/kubernetes/rotunda.js';
import { csrPem, type CsrContent, keyPem, newEcKey } from '../support/pkcs10.js';
import { certificateOf, type TlsCredential } from '../support/service.js';

const kubeletSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
const clientSigner = 'kubernetes.io/kube-apiserver-client';
const approving = ['certificatesigningrequests/approval'];

type Csr = {
  readonly metadata: { readonly name: string };
  readonly spec: { username: string; groups: string[]; extra?: Record<string, string[]> };
  readonly status: { readonly certificate?: string };
};

describeWithKubernetes(['etcd', 'kube-apiserver', 'kubectl'], 'users of a real API server', () => {
  let cluster: Cluster;
  let agent: Agent;
  const agents: Agent[] = [];
  const { kubernetes, untilCsr } = attachedCluster(() => cluster);

  beforeAll(async () => {
    cluster = await startCluster();
    agent = agentOf(cluster.pki.superAdmin);
    const csr = 'certificatesigningrequests';
    await grant('asker', 'Group', 'system:authenticated', [{ verbs: ['create', 'get'], resources: [csr] }]);
    await grant('nodes', 'Group', 'system:nodes', [{ verbs: ['create', 'get', 'list'], resources: [csr] }]);
    await grant('half', 'User', 'half', [{ verbs: ['update', 'patch'], resources: approving }]);
    await grant('approver', 'User', 'approver', [
      { verbs: ['update', 'patch'], resources: approving },
      { verbs: ['approve'], resources: ['signers'], resourceNames: ['kubernetes.io/*'] },
    ]);
    const attached = await kubernetes('attach', '-o', 'json');
    expect(attached.code, attached.err).toBe(0);
  });

  afterAll(async () => {
    await Promise.all(agents.map((one) => one.destroy()));
    await cluster.stop();
  });

  function agentOf(credential: TlsCredential): Agent {
    const made = new Agent({ connect: { ca: cluster.pki.bundles.kubernetes, ...credential } });
    agents.push(made);
    return made;
  }

  /** A ClusterRole over certificates.k8s.io and its binding. */
  async function grant(name: string, kind: string, subject: string, rules: readonly object[]): Promise<void> {
    const base = '/apis/rbac.authorization.k8s.io/v1';
    const apiGroup = 'rbac.authorization.k8s.io';
    const role = { metadata: { name }, rules: rules.map((rule) => ({ apiGroups: ['certificates.k8s.io'], ...rule })) };
    const binding = {
      metadata: { name },
      roleRef: { apiGroup, kind: 'ClusterRole', name },
      subjects: [{ apiGroup, kind, name: subject }],
    };
    for (const [path, body] of [
      ['clusterroles', role],
      ['clusterrolebindings', binding],
    ] as const)
      expect((await cluster.send('POST', `${base}/${path}`, body)).status).toBe(201);
  }

  async function send(
    headers: readonly string[],
    method: string,
    path: string,
    { body, through = agent }: { body?: unknown; through?: Agent } = {},
  ): Promise<ApiAnswer> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await request(`${cluster.url}${path}`, {
      method: method as 'GET',
      dispatcher: through,
      headers: ['accept', 'application/json', 'content-type', type, ...headers],
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, text, json: <T>() => JSON.parse(text) as T };
  }

  const as = (user: string, ...groups: string[]): string[] => [
    ...['Impersonate-User', user],
    ...groups.flatMap((group) => ['Impersonate-Group', Buffer.from(group).toString('latin1')]),
  ];

  const body = (signerName: string, content: CsrContent, key = newEcKey()): object => ({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { generateName: 'csr-' },
    spec: {
      request: Buffer.from(csrPem(key, content)).toString('base64'),
      signerName,
      usages: ['digital signature', 'client auth'],
    },
  });

  async function created(headers: readonly string[], asked: object, through = agent): Promise<Csr> {
    const answer = await send(headers, 'POST', requestsPath, { body: asked, through });
    expect(answer.status, answer.text).toBe(201);
    return answer.json();
  }

  function approve(headers: readonly string[], name: string): Promise<ApiAnswer> {
    const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'by hand' }];
    return send(headers, 'PATCH', `${requestsPath}/${name}/approval`, { body: { status: { conditions } } });
  }

  const person = (name: string): CsrContent => ({ subject: [['CN', name]] });

  it('are themselves, however many share its connections', async () => {
    const users = Array.from({ length: 100 }, (_, i) => `user-${String(i)}`);
    const seen = await Promise.all(
      users.map(async (user) => {
        const groups = [`of ${user}, and others`, 'zoë', 'system:authenticated'];
        const headers = [...as(user, ...groups), 'Impersonate-Extra-example.org%2Fscopes', `a,${user}`];
        const { spec } = await created(headers, body(clientSigner, person(user)));
        return spec;
      }),
    );
    expect(seen.map(({ username }) => username)).toEqual(users);
    for (const [i, { groups, extra }] of seen.entries()) {
      const user = users[i] ?? '';
      expect(groups).toEqual([`of ${user}, and others`, 'zoë', 'system:authenticated']);
      expect(extra).toEqual({ 'example.org/scopes': [`a,${user}`] });
    }
  });

  it('cannot smuggle another past it', async () => {
    const smuggled = ['X-Remote-User', 'root', 'X-Remote-Group', 'system:masters', 'X-Remote-Uid', '0'];
    const extra = ['X-Remote-Extra-Authentication.kubernetes.io%2Fcredential-Id', 'X509SHA256=00'];
    const { spec } = await created([...as('mallory'), ...smuggled, ...extra], body(clientSigner, person('mallory')));
    expect(spec).toMatchObject({ username: 'mallory', groups: ['system:authenticated'] });
    expect(spec.extra).toBeUndefined();
  });

  it('approve when its RBAC says so', async () => {
    const { metadata } = await created(as('app'), body(clientSigner, person('app')));
    const half = await approve(as('half'), metadata.name);
    expect(half.status).toBe(403);
    expect(half.text).toContain('user not permitted to approve requests with signerName');
    const given = await approve(as('approver'), metadata.name);
    expect(given.status, given.text).toBe(200);
    await untilCsr(metadata.name, ({ status }) => status.certificate !== undefined);
    const own = await created(as('app'), body(clientSigner, person('system:kube-scheduler')));
    expect((await approve(as('approver'), own.metadata.name)).text).toContain('belongs to the cluster itself');
    expect((await approve([], own.metadata.name)).status).toBe(200);
  });

  it('do not include its old approver and signer, nor does anybody else sign', async () => {
    const manager = as('system:serviceaccount:kube-system:certificate-controller', 'system:authenticated');
    const { metadata } = await created(as('app'), body(clientSigner, person('app')));
    // Its role allows it PUT only, and the API server lets that through.
    const put = async (who: readonly string[], subresource: string, status: object): Promise<ApiAnswer> => {
      const current = (await send([], 'GET', `${requestsPath}/${metadata.name}`)).json<object>();
      return send(who, 'PUT', `${requestsPath}/${metadata.name}/${subresource}`, { body: { ...current, status } });
    };
    const conditions = [{ type: 'Approved', status: 'True', reason: 'AutoApproved', message: 'by itself' }];
    const refused = await put(manager, 'approval', { conditions });
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('-certificatesigningrequest-approving-controller');
    const { cert } = await ringLeaf(cluster.rotunda, { ring: 'kubernetes', name: 'app' });
    const status = { certificate: Buffer.from(cert).toString('base64') };
    expect((await put(manager, 'status', status)).text).toContain('-certificatesigningrequest-signing-controller');
    expect((await put([], 'status', status)).text).toContain('are set by Rotunda and by nobody else');
    const foreign = await created(as('app'), body('example.org/other', person('app')));
    expect((await approve([], foreign.metadata.name)).status).toBe(200);
    const set = await send([], 'PATCH', `${requestsPath}/${foreign.metadata.name}/status`, { body: { status } });
    expect(set.status, set.text).toBe(200);
  });

  it('are nodes by their certificates: the first use counts, and so does a ban', async () => {
    const admin = administrator(cluster.rotunda);
    const token = await admin.token({ name: 'n1' });
    const key = newEcKey();
    const subject: CsrContent = {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'system:node:n1'],
      ],
    };
    const direct = cluster.rotunda.client({ token });
    const asked = await direct.send('POST', requestsPath, { body: body(kubeletSigner, subject, key) });
    const cert = await certificateOf(admin.client, asked.json<Csr>().metadata.name);
    const node = agentOf({ cert, key: keyPem(key) });
    const tokens = cluster.rotunda.service.context.tokens;
    expect((await tokens.get(token.slice(0, 6))).state).toBe('active');
    const { spec } = await created([], body(kubeletSigner, subject), node);
    const fingerprint = new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(spec.username).toBe('system:node:n1');
    expect(spec.extra?.['authentication.kubernetes.io/credential-id']).toEqual([`X509SHA256=${fingerprint}`]);
    expect((await tokens.get(token.slice(0, 6))).state).toBe('used');
    const other = { subject: subject.subject.map(([type, v]) => [type, v.replace('n1', 'n2')] as const) };
    const foreign = await send([], 'POST', requestsPath, { body: body(kubeletSigner, other), through: node });
    expect(foreign.text).toContain('can only create a node CSR with CN=system:node:n1');
    const serial = new X509Certificate(cert).serialNumber.toLowerCase();
    await admin.post(`/pki/v1/certificates/${serial}/revoke`, { reason: 'keyCompromise' });
    const refused = await send([], 'GET', requestsPath, { through: node });
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('is banned: keyCompromise');
  });
});
