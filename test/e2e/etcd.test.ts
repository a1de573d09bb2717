import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { etcdctl, type Member, type MemberFiles, planMembers, startMember, writePair } from '../support/etcd.js';
import { requestClientCertificate } from '../support/kubelet.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { csrPem, keyPem, newEcKey } from '../support/pkcs10.js';
import { startTestService, type TestService } from '../support/service.js';

const cluster = 'main';
const loopback = ['127.0.0.1', '::1'];

type Pair = { cert: string; key: string };
type Bearer = { token: string };

describeWithPeer(['etcd', 'etcdctl'], 'three etcd members with certificates from the service', () => {
  let rotunda: TestService;
  let dir: string;
  let members: Member[];
  let files: MemberFiles[];
  const processes: ChildProcess[] = [];

  const admin = (method: string, route: string, body?: unknown): Promise<{ status: number; text: string }> =>
    rotunda.client(rotunda.admin).send(method, route, body === undefined ? {} : { body });

  /** What runs beside a member: it knows the service's address and bundle, and its own token, nothing else. */
  async function obtain(
    member: Member,
    credential: Bearer | Pair,
    profile: 'peer' | 'server' | 'client',
    as = member.name,
  ): Promise<Pair> {
    const key = newEcKey();
    const names = profile === 'client' ? {} : { dns: [as, 'localhost'], ips: loopback };
    const request = csrPem(key, { subject: [['CN', as]], ...names });
    const signerName = `etcd.rotunda.dev/${profile}`;
    const answer = await rotunda.client(credential).send('POST', '/pki/v1/requests', { body: { signerName, request } });
    if (answer.status !== 201) throw new Error(`${String(answer.status)} ${answer.text}`);
    return { cert: answer.json<{ certificate: string }>().certificate, key: keyPem(key) };
  }

  async function tokenFor(member: Member): Promise<Bearer> {
    const answer = await admin('POST', '/pki/v1/tokens', { etcdMember: { cluster, name: member.name } });
    expect(answer.status, answer.text).toBe(201);
    return JSON.parse(answer.text) as Bearer;
  }

  beforeAll(async () => {
    rotunda = await startTestService();
    dir = mkdtempSync(path.join(tmpdir(), 'rotunda-etcd-'));
    members = await planMembers(3, dir);
    expect(
      (await admin('POST', '/pki/v1/etcd-clusters', { name: cluster, clientNames: ['kube-apiserver-etcd-client'] }))
        .status,
    ).toBe(201);
    for (const { name, peerUrl, clientUrl } of members) {
      const body = { name, peerUrls: [peerUrl], clientUrls: [clientUrl] };
      const added = await admin('POST', `/pki/v1/etcd-clusters/${cluster}/members`, body);
      expect(added.status, added.text).toBe(201);
    }
    const bundle = await rotunda
      .client()
      .send('GET', '/pki/v1/rings/etcd/bundle', { headers: { accept: 'application/pem-certificate-chain' } });
    files = await Promise.all(members.map((member) => filesFor(member, bundle.text)));
    for (const [index, member] of members.entries()) {
      const own = files[index];
      if (own !== undefined) processes.push(startMember(requirePeer('etcd'), member, own, members));
    }
  });

  async function filesFor(member: Member, bundle: string): Promise<MemberFiles> {
    const token = await tokenFor(member);
    const ca = path.join(member.dir, 'ca.crt');
    writeFileSync(ca, bundle);
    return {
      ca,
      peer: writePair(member, 'peer', await obtain(member, token, 'peer')),
      server: writePair(member, 'server', await obtain(member, token, 'server')),
      client: writePair(member, 'client', await obtain(member, token, 'client')),
    };
  }

  afterAll(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await rotunda.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  function at<T>(list: readonly T[], index: number): T {
    const item = list[index];
    if (item === undefined) throw new Error(`no item ${String(index)}`);
    return item;
  }

  const ctl = (pair: string, args: readonly string[], timeoutSeconds?: number): Promise<string> =>
    etcdctl(
      requirePeer('etcdctl'),
      {
        endpoints: members.map((member) => member.clientUrl),
        pair,
        ca: at(files, 0).ca,
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      },
      args,
    );

  it('form one cluster over mutual TLS, and keep what is written', async () => {
    await healthy();
    expect(await ctl(at(files, 0).client, ['put', 'greeting', 'hello'])).toContain('OK');
    expect(await ctl(at(files, 2).client, ['get', 'greeting', '--print-value-only'])).toBe('hello\n');
    expect((await ctl(at(files, 1).client, ['member', 'list'])).trim().split('\n')).toHaveLength(3);
  });

  /** Members may need a moment to find each other. */
  async function healthy(): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      try {
        await ctl(at(files, 0).client, ['endpoint', 'health'], 5);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  it('refuse a client whose certificate is of another ring', async () => {
    const { token } = JSON.parse((await admin('POST', '/pki/v1/tokens', { node: { name: 'worker' } })).text) as Bearer;
    const kubelet = await requestClientCertificate({ url: rotunda.url, ca: rotunda.ca, nodeName: 'worker', token });
    const pair = writePair({ dir }, 'kubelet', kubelet);
    await expect(ctl(pair, ['get', 'greeting'], 3)).rejects.toThrow();
    await expect(ctl(at(files, 0).client, ['get', 'greeting'], 10)).resolves.toContain('hello');
  });

  it('cannot get a certificate with the name of another member', async () => {
    const token = await tokenFor(at(members, 0));
    await expect(obtain(at(members, 0), token, 'peer', 'm2')).rejects.toThrow(/^403 .*m2/s);
  });

  it('renew with the certificate they have, for themselves and no other', async () => {
    const { server } = at(files, 1);
    const pair = { cert: readFileSync(`${server}.crt`, 'utf8'), key: readFileSync(`${server}.key`, 'utf8') };
    const renewed = await obtain(at(members, 1), pair, 'server');
    expect(renewed.cert).toContain('BEGIN CERTIFICATE');
    await expect(obtain(at(members, 1), pair, 'server', 'm3')).rejects.toThrow(/^403 /);
    writePair(at(members, 1), 'server', renewed);
    await healthy();
  });

  it('get each profile once with one token', async () => {
    const token = await tokenFor(at(members, 2));
    const first = await obtain(at(members, 2), token, 'server');
    await rotunda.client(first).send('GET', '/pki/v1/whoami');
    await expect(obtain(at(members, 2), token, 'server')).rejects.toThrow(/^40[13] /);
  });
});
