import { X509Certificate } from 'node:crypto';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { requestClientCertificate } from '../support/kubelet.js';
import { describeWithPeer, type PeerName, requirePeer } from '../support/peers.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';
import { startTestService, type TestService } from '../support/service.js';

const run = promisify(execFile);
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

let rotunda: TestService;
let home: string;

beforeAll(async () => {
  rotunda = await startTestService();
  home = mkdtempSync(path.join(tmpdir(), 'rotunda-kubectl-'));
});

afterAll(async () => {
  await rotunda.stop();
  rmSync(home, { recursive: true, force: true });
});

type Ran = { stdout: string; stderr: string; code: number };

async function kubectl(binary: PeerName, args: readonly string[], kubeconfig = rotunda.kubeconfig): Promise<Ran> {
  const env = { ...process.env, HOME: home, KUBECONFIG: kubeconfig };
  const flags = [`--cache-dir=${path.join(home, binary)}`, '--request-timeout=15s'];
  try {
    const { stdout, stderr } = await run(requirePeer(binary), [...args, ...flags], { env, timeout: 30_000 });
    return { stdout, stderr, code: 0 };
  } catch (error) {
    const failed = error as { stdout: string; stderr: string; code: number };
    return { stdout: failed.stdout, stderr: failed.stderr, code: failed.code };
  }
}

async function submit(name: string, user = 'jane'): Promise<void> {
  const request = csrPem(newEcKey(), {
    subject: [
      ['O', 'dev'],
      ['CN', user],
    ],
  });
  const answer = await rotunda.client(rotunda.admin).send('POST', collection, {
    body: {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['digital signature', 'client auth'],
        expirationSeconds: 3600,
      },
    },
  });
  expect(answer.status, answer.text).toBe(201);
}

async function certificateOf(binary: PeerName, name: string): Promise<X509Certificate> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { stdout } = await kubectl(binary, ['get', 'csr', name, '-o', 'jsonpath={.status.certificate}']);
    if (stdout !== '') return new X509Certificate(Buffer.from(stdout, 'base64'));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no certificate was issued');
}

describe.each([
  ['kubectl', 'new'],
  ['kubectlDebian', 'debian'],
] as const)('%s', (binary, prefix) => {
  describeWithPeer(binary, 'works on requests with the administrator kubeconfig', () => {
    it('lists, approves, and shows what was issued', async () => {
      await submit(`${prefix}-approve`);
      const before = await kubectl(binary, ['get', 'csr']);
      expect(before.stdout).toMatch(/^NAME +AGE +SIGNERNAME +REQUESTOR +(REQUESTEDDURATION +)?CONDITION/);
      expect(before.stdout).toMatch(
        new RegExp(`${prefix}-approve .*kubernetes.io/kube-apiserver-client +admin .*Pending`),
      );
      const approved = await kubectl(binary, ['certificate', 'approve', `${prefix}-approve`]);
      expect(approved.stdout).toContain(`certificatesigningrequest.certificates.k8s.io/${prefix}-approve approved`);
      const certificate = await certificateOf(binary, `${prefix}-approve`);
      expect(certificate.subject).toBe('O=dev\nCN=jane');
      expect((await kubectl(binary, ['get', 'csr', `${prefix}-approve`])).stdout).toContain('Approved,Issued');
      expect((await kubectl(binary, ['get', 'csr', `${prefix}-approve`, '-o', 'yaml'])).stdout).toContain(
        'reason: KubectlApprove',
      );
    });

    it('denies, and then refuses to approve', async () => {
      await submit(`${prefix}-deny`);
      expect((await kubectl(binary, ['certificate', 'deny', `${prefix}-deny`])).stdout).toContain('denied');
      const approve = await kubectl(binary, ['certificate', 'approve', `${prefix}-deny`]);
      expect(approve.code).toBe(1);
      expect(approve.stderr).toMatch(/already denied/i);
      expect((await kubectl(binary, ['get', 'csr', `${prefix}-deny`])).stdout).toContain('Denied');
    });

    it('describes', async () => {
      await submit(`${prefix}-describe`);
      const { stdout, code } = await kubectl(binary, ['describe', 'csr', `${prefix}-describe`]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/Requesting User: +admin/);
      expect(stdout).toMatch(/Status: +Pending/);
      expect(stdout).toMatch(/Common Name: +jane/);
    });

    it('describes why a request is held', async () => {
      const node = `${prefix}-held`;
      const token = await rotunda
        .client(rotunda.admin)
        .send('POST', '/pki/v1/tokens', { body: { node: { name: node } } });
      const client = await requestClientCertificate({
        url: rotunda.url,
        ca: rotunda.ca,
        nodeName: node,
        token: token.json<{ token: string }>().token,
      });
      const request = csrPem(newEcKey(), {
        subject: [
          ['O', 'system:nodes'],
          ['CN', `system:node:${node}`],
        ],
        ips: ['192.0.2.200'],
      });
      const body = { signerName: 'kubernetes.io/kubelet-serving', request, name: node };
      const held = await rotunda.client(client).send('POST', '/pki/v1/requests', { body });
      expect(held.status, held.text).toBe(202);
      const { stdout } = await kubectl(binary, ['describe', 'csr', node]);
      expect(stdout).toMatch(/rotunda.dev\/hold-reason[=:].*192\.0\.2\.200/);
      expect(stdout).toMatch(/Events:\n.*\n.*\n +Normal +Held .*192\.0\.2\.200/);
      expect(stdout).toMatch(/Status: +Pending/);
    });

    it('watches', async () => {
      const env = { ...process.env, HOME: home, KUBECONFIG: rotunda.kubeconfig };
      const watch = spawn(requirePeer(binary), ['get', 'csr', '-w', `--cache-dir=${path.join(home, binary)}`], { env });
      let text = '';
      watch.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const seen = async (pattern: RegExp): Promise<void> => {
        for (let attempt = 0; attempt < 100 && !pattern.test(text); attempt += 1)
          await new Promise((resolve) => setTimeout(resolve, 100));
        expect(text).toMatch(pattern);
      };
      try {
        await seen(/NAME/);
        await submit(`${prefix}-watch`);
        await seen(new RegExp(`${prefix}-watch .*Pending`));
        await kubectl(binary, ['certificate', 'approve', `${prefix}-watch`]);
        await seen(new RegExp(`${prefix}-watch .*Approved,Issued`));
      } finally {
        watch.kill('SIGKILL');
      }
    });

    it('deletes', async () => {
      await submit(`${prefix}-delete`);
      expect((await kubectl(binary, ['delete', 'csr', `${prefix}-delete`])).stdout).toContain('deleted');
      const gone = await kubectl(binary, ['get', 'csr', `${prefix}-delete`]);
      expect(gone.code).toBe(1);
      expect(gone.stderr).toContain(`certificatesigningrequests.certificates.k8s.io "${prefix}-delete" not found`);
    });

    it('is told what is wrong', async () => {
      const missing = await kubectl(binary, ['certificate', 'approve', 'nobody']);
      expect(missing.stderr).toContain('certificatesigningrequests.certificates.k8s.io "nobody" not found');
      const stranger = path.join(home, `${prefix}-stranger.kubeconfig`);
      writeFileSync(stranger, strangerKubeconfig());
      const refused = await kubectl(binary, ['get', 'csr'], stranger);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/Unauthorized|must be logged in/);
    });
  });
});

/** The right server and CA, a token that does not exist. */
function strangerKubeconfig(): string {
  const cluster = { server: rotunda.url, 'certificate-authority-data': Buffer.from(rotunda.ca).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'x',
    clusters: [{ name: 'x', cluster }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    users: [{ name: 'x', user: { token: 'abcdef.0123456789abcdef' } }],
  });
}
