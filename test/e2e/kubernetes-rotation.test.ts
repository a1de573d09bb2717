import { execFile } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Rotation } from '../../src/rotation/types.js';
import { gnutlsVerify, opensslVerify } from '../ca/verifiers.js';
import { admin, dayMs } from '../rotation/support.js';
import { discover, pinOf } from '../support/kubeadm-discovery.js';
import { type Obtained, requestClientCertificate, requestServingCertificate } from '../support/kubelet.js';
import { peers } from '../support/peers.js';
import { startTestService, type TestService } from '../support/service.js';

const run = promisify(execFile);
const ring = 'kubernetes';
const order = { actor: 'admin', reason: 'a test' };
/** A kubelet that was told so waits no longer than this for a certificate that is held. */
const shortWaitMs = 1_500;

let rotunda: TestService;
let home: string;
/** As people hold it from before: its CA is not rewritten. */
let oldKubeconfig: string;
let oldAnchor: string;
let oldToken: string;
let rotation: Rotation;
let worker: Obtained;

beforeAll(async () => {
  const rotate = {
    automatic: false,
    trustSoak: '1s',
    canarySoak: '1s',
    drainSoak: '365d',
    cooling: '1s',
    destroyKeys: 'automatic',
  };
  rotunda = await startTestService({ config: { rotation: rotate } });
  home = mkdtempSync(path.join(tmpdir(), 'rotunda-rotating-'));
  oldKubeconfig = path.join(home, 'old.kubeconfig');
  copyFileSync(rotunda.kubeconfig, oldKubeconfig);
  oldAnchor = rotunda.ca;
  oldToken = await tokenFor('worker-2');
  worker = await requestClientCertificate(kubelet('worker-1', { token: await tokenFor('worker-1') }));
  await using(worker);
  await attest('absent', ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'pod', 'extension-apiserver']);
});

afterAll(async () => {
  await rotunda.stop();
  rmSync(home, { recursive: true, force: true });
});

async function tokenFor(name: string): Promise<string> {
  const body = { node: { name, addresses: ['10.0.0.7'] }, usages: ['signing', 'authentication'] };
  const answer = await rotunda.client(rotunda.admin).send('POST', '/pki/v1/tokens', { body });
  return answer.json<{ token: string }>().token;
}

/** A kubelet whose bundle is the old one, as its kubeconfig has it until somebody writes another. */
function kubelet(nodeName: string, extra: object) {
  return { url: rotunda.url, ca: oldAnchor, nodeName, waitMs: 10_000, ...extra };
}

/** The certificate is used, so that the service knows which one is. */
async function using({ cert, key }: Obtained): Promise<number> {
  const answer = await rotunda.client({ cert, key }).send('GET', '/pki/v1/whoami');
  return answer.status;
}

async function attest(statement: 'absent' | 'loaded' | 'streams-ended', classes: readonly string[]): Promise<void> {
  const { consumers, ca } = rotunda.service.context;
  const generation = statement === 'loaded' ? { generation: ca.bundle(ring).generation } : {};
  for (const name of classes)
    await consumers.attest({ ring, class: name, statement, ttlMs: 30 * dayMs, reason: 'a test', ...generation }, admin);
}

/** The kubelet's process was started after the bundle was there. */
async function acknowledge(node: string): Promise<void> {
  const { consumers, ca } = rotunda.service.context;
  const { generation, digest } = ca.bundle(ring);
  const now = Date.now();
  const process = { id: randomUUID(), startedAt: now };
  const said = {
    consumer: `kubelet/${node}`,
    ring,
    generation,
    digest,
    evidence: 'restart',
    process,
    clean: true,
  } as const;
  await consumers.acknowledge({ ...said, deliveredAt: now - 10, reportedAt: now }, admin);
}

async function reach(state: Rotation['state']): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    await rotunda.service.rotate();
    rotation = await rotunda.service.context.rotations.get(rotation.id);
    if (rotation.state === state) break;
    if (Date.now() > deadline) {
      const { ways } = await rotunda.service.context.rotations.explain(rotation.id);
      throw new Error(`${rotation.state}: ${JSON.stringify(ways.map(({ gate }) => gate.blockers))}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await rotunda.service.maintain();
}

async function blockers(): Promise<string[]> {
  const { ways } = await rotunda.service.context.rotations.explain(rotation.id);
  return ways.filter(({ by }) => by === 'machine').flatMap(({ gate }) => gate.blockers.map(({ subject }) => subject));
}

/** kubectl as the machine has it, with the kubeconfig from before. */
async function kubectl(): Promise<boolean> {
  const binary = peers.kubectl ?? peers.kubectlDebian;
  if (binary === undefined) return using1();
  const args = ['get', 'csr', '--request-timeout=15s', `--cache-dir=${home}/cache`];
  try {
    await run(binary, args, { env: { ...process.env, HOME: home, KUBECONFIG: oldKubeconfig }, timeout: 30_000 });
    return true;
  } catch (error) {
    expect((error as { stderr: string }).stderr).toMatch(/x509|certificate/);
    return false;
  }
}

/** Without kubectl, the same by Node: the old anchor alone verifies the server. */
async function using1(): Promise<boolean> {
  try {
    await requestClientCertificate(kubelet('nobody', { token: 'aaaaaa.aaaaaaaaaaaaaaaa' }));
    return true;
  } catch (error) {
    return !/certificate/.test(String(error)) || /401/.test(String(error));
  }
}

function kubeadm(pin: string): Promise<unknown> {
  return discover(rotunda.url, oldToken, [pin]);
}

describe('a rotation of the ring kubernetes, with machines from before that nobody has told', () => {
  it('publishes both authorities, and everything from before works', async () => {
    rotation = await rotunda.service.context.rotations.start(
      { ring, kind: 'planned', policy: 'automatic', crossSign: true, options: {}, reason: 'a test' },
      'admin',
    );
    await reach('trusting');
    expect(await kubectl()).toBe(true);
    await expect(kubeadm(pinOf(oldAnchor))).resolves.toBeDefined();
    expect(await blockers()).toEqual(expect.arrayContaining(['kubelet/worker-1']));
  });

  it('signs with the new authority once all have loaded it, and who knows the old one alone verifies that', async () => {
    await attest('loaded', ['kubeconfig']);
    await acknowledge('worker-1');
    await reach('canary');
    // Nobody here has an endpoint that could be asked to take a certificate of the new authority.
    expect(await blockers()).toContain('operator');
    await rotunda.service.context.rotations.advance(rotation.id, order);
    await reach('issuing');
    const names = { dns: ['worker-1'], ips: ['10.0.0.7'] };
    const renewed = await requestClientCertificate(kubelet('worker-1', { credential: worker }));
    const serving = await requestServingCertificate({ ...kubelet('worker-1', { credential: worker }), ...names });
    for (const { cert } of [renewed, serving]) {
      const [leaf = '', cross = '', ...more] = cert.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n?/g) ?? [];
      expect(more).toEqual([]);
      expect(new X509Certificate(leaf).checkIssued(new X509Certificate(cross))).toBe(true);
      expect(new X509Certificate(cross).verify(new X509Certificate(oldAnchor).publicKey)).toBe(true);
      const newAnchor = rotunda.service.context.ca.bundle(ring).anchors.find((a) => a.subjectKeyId === rotation.newKey);
      const anchors = new X509Certificate(newAnchor?.der ?? Buffer.alloc(0)).toString();
      if (peers.openssl !== undefined) expect(opensslVerify(peers.openssl, { leaf, anchors })).toContain('OK');
      if (peers.certtool !== undefined) expect(gnutlsVerify(peers.certtool, { leaf, anchors })).toContain('Verified.');
    }
    expect(await using(renewed)).toBe(200);
    worker = renewed;
    expect(await kubectl()).toBe(true);
    await expect(kubeadm(pinOf(oldAnchor))).resolves.toBeDefined();
  });

  it('lets a machine join that knows the old authority alone', async () => {
    const joined = await requestClientCertificate(kubelet('worker-3', { token: await tokenFor('worker-3') }));
    expect(await using(joined)).toBe(200);
    const consumer = await rotunda.service.context.consumers.get('kubelet/worker-3');
    expect(consumer.rings.find((one) => one.ring === ring)).toMatchObject({ joiner: true, loaded: 0, verifies: true });
  });

  it('is kept from removing the old authority by the join command that pins it, by name', async () => {
    await reach('drained');
    await rotunda.service.context.rotations.advance(rotation.id, order);
    await rotunda.service.rotate();
    const id = oldToken.split('.')[0] ?? '';
    expect(await blockers()).toContain(`token/${id}`);
    expect(await kubectl()).toBe(true);
    await expect(kubeadm(pinOf(oldAnchor))).resolves.toBeDefined();
    const { context } = rotunda.service;
    for (const token of await context.tokens.list())
      if (token.state === 'active') await context.tokens.revoke(token.id, admin);
    await reach('distrusting');
  });

  it('admits nobody who cannot say what it holds, once a bundle without the old one was published', async () => {
    const token = await tokenFor('worker-4');
    const asked = requestClientCertificate(kubelet('worker-4', { token, waitMs: shortWaitMs }));
    await expect(asked).rejects.toThrow();
    const listed = await rotunda.client(rotunda.admin).send('GET', '/pki/v1/requests');
    expect(listed.text).toContain('is being replaced');
    oldToken = token;
    await expect(kubeadm(pinOf(oldAnchor))).rejects.toThrow(/pinned/);
    const [anchor] = rotunda.service.context.ca.bundle(ring).anchors;
    await expect(kubeadm(pinOf(new X509Certificate(anchor?.der ?? Buffer.alloc(0)).toString()))).resolves.toBeDefined();
  });

  it('retires the old authority only when the machine that joined without a word has shown what it loaded', async () => {
    await attest('loaded', ['kubeconfig']);
    await acknowledge('worker-1');
    await rotunda.service.rotate();
    expect(await blockers()).toEqual(['kubelet/worker-3']);
    expect(await kubectl()).toBe(true);
    await acknowledge('worker-3');
    await reach('finished');
    expect(await kubectl()).toBe(false);
    const ca = rotunda.service.context.ca.bundle(ring).pem;
    const renewed = await requestClientCertificate({ ...kubelet('worker-1', { credential: worker }), ca });
    expect(renewed.cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
  });
});
