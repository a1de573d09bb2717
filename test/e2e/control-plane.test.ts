import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { opensslVerify } from '../ca/verifiers.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { csrPem, keyPem, newEcKey } from '../support/pkcs10.js';
import {
  certificateOf,
  startTestService,
  type TestAnswer,
  type TestClient,
  type TestService,
} from '../support/service.js';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';

type Row = {
  readonly profile: string;
  readonly ring: string;
  readonly subject: readonly (readonly ['CN' | 'O', string])[];
  readonly purposes: readonly string[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
};

const apiserverNames = ['cp1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'api.example.org'];
const etcdNames = { dns: ['cp1', 'localhost'], ips: ['192.0.2.1', '127.0.0.1', '::1'] };
const client = [clientAuth];
const both = [serverAuth, clientAuth];

/** What `kubeadm init` makes on the machine cp1. */
const rows: readonly Row[] = [
  {
    profile: 'apiserver',
    ring: 'kubernetes',
    subject: [['CN', 'kube-apiserver']],
    purposes: [serverAuth],
    dns: apiserverNames,
    ips: ['10.96.0.1', '192.0.2.1'],
  },
  {
    profile: 'apiserver-kubelet-client',
    ring: 'kubernetes',
    subject: [['CN', 'kube-apiserver-kubelet-client']],
    purposes: client,
  },
  { profile: 'front-proxy-client', ring: 'front-proxy', subject: [['CN', 'front-proxy-client']], purposes: client },
  { profile: 'etcd-server', ring: 'etcd', subject: [['CN', 'cp1']], purposes: both, ...etcdNames },
  { profile: 'etcd-peer', ring: 'etcd', subject: [['CN', 'cp1']], purposes: both, ...etcdNames },
  {
    profile: 'etcd-healthcheck-client',
    ring: 'etcd',
    subject: [['CN', 'kube-etcd-healthcheck-client']],
    purposes: client,
  },
  { profile: 'apiserver-etcd-client', ring: 'etcd', subject: [['CN', 'kube-apiserver-etcd-client']], purposes: client },
  {
    profile: 'admin',
    ring: 'kubernetes',
    subject: [
      ['O', 'kubeadm:cluster-admins'],
      ['CN', 'kubernetes-admin'],
    ],
    purposes: client,
  },
  {
    profile: 'super-admin',
    ring: 'kubernetes',
    subject: [
      ['O', 'system:masters'],
      ['CN', 'kubernetes-super-admin'],
    ],
    purposes: client,
  },
  {
    profile: 'controller-manager',
    ring: 'kubernetes',
    subject: [['CN', 'system:kube-controller-manager']],
    purposes: client,
  },
  { profile: 'scheduler', ring: 'kubernetes', subject: [['CN', 'system:kube-scheduler']], purposes: client },
];

describeWithPeer('openssl', "a control plane's machine with its token", () => {
  let rotunda: TestService;
  let admin: TestClient;
  let machine: TestClient;

  beforeAll(async () => {
    rotunda = await startTestService();
    admin = rotunda.client(rotunda.admin);
    const made = await admin.send('POST', '/pki/v1/tokens', { body: { controlPlane: 'cp1' } });
    machine = rotunda.client({ token: made.json<{ token: string }>().token });
  });

  afterAll(() => rotunda.stop());

  const ask = (caller: TestClient, { profile, subject, dns, ips }: Row, key = newEcKey()): Promise<TestAnswer> => {
    const request = csrPem(key, {
      subject,
      ...(dns === undefined ? {} : { dns }),
      ...(ips === undefined ? {} : { ips }),
    });
    return caller.send('POST', '/pki/v1/requests', { body: { signerName: `kubeadm.rotunda.dev/${profile}`, request } });
  };

  it.each(rows)('gets $profile', async (row) => {
    const answer = await ask(machine, row);
    expect(answer.status, answer.text).toBe(201);
    const leaf = answer.json<{ certificate: string }>().certificate;
    const headers = { accept: 'application/pem-certificate-chain' };
    const anchors = (await rotunda.client().send('GET', `/pki/v1/rings/${row.ring}/bundle`, { headers })).text;
    for (const purpose of row.purposes) {
      const name = purpose === clientAuth ? 'sslclient' : 'sslserver';
      expect(opensslVerify(requirePeer('openssl'), { leaf, anchors }, name)).toContain('OK');
    }
    const certificate = new X509Certificate(leaf);
    expect(certificate.subject).toBe(row.subject.map(([type, value]) => `${type}=${value}`).join('\n'));
    expect(certificate.keyUsage).toEqual(row.purposes);
    for (const dns of row.dns ?? []) expect(certificate.checkHost(dns)).toBe(dns);
    for (const ip of row.ips ?? []) expect(certificate.checkIP(ip)).toBe(ip);
  });

  it('gets each certificate once, and only under its own name', async () => {
    const [row] = rows;
    if (row === undefined) throw new Error('no rows');
    const made = await admin.send('POST', '/pki/v1/tokens', { body: { controlPlane: 'cp2' } });
    const other = rotunda.client({ token: made.json<{ token: string }>().token });
    const stolen = rows.find(({ profile }) => profile === 'etcd-peer') ?? row;
    const denied = await ask(other, stolen);
    expect(denied.status, denied.text).toBe(403);
    expect(denied.text).toContain('cp1');
    const key = newEcKey();
    const scheduler = rows.find(({ profile }) => profile === 'scheduler') ?? row;
    const first = await ask(other, scheduler, key);
    const pair = { cert: first.json<{ certificate: string }>().certificate, key: keyPem(key) };
    expect((await rotunda.client(pair).send('GET', '/pki/v1/whoami')).status).toBe(200);
    expect((await ask(other, scheduler)).status).toBe(403);
  });

  it('is the only one but a person', async () => {
    const node = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: 'worker' } } });
    const worker = rotunda.client({ token: node.json<{ token: string }>().token });
    for (const row of rows) expect([row.profile, (await ask(worker, row)).status]).toEqual([row.profile, 403]);
    for (const row of rows) {
      const held = await ask(admin, row);
      expect([row.profile, held.status]).toEqual([row.profile, 202]);
      const { name } = held.json<{ name: string }>();
      await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
      expect(await certificateOf(admin, name), row.profile).toContain('BEGIN CERTIFICATE');
    }
  });
});
