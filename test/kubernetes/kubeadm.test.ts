import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { inProcess } from '../cli/rotunda.js';
import { freePorts } from '../support/etcd.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Join, kubeadm, type Joined, kubeadmJoin } from '../support/kubernetes/kubeadm.js';
import { clusterConfiguration, expectOk } from '../support/kubernetes/kubeadm-cluster.js';
import { hostAddress, type Machine, startMachine, writeInside } from '../support/kubernetes/machine.js';
import { currentCertificate, kubeletConfiguration, startContainerd } from '../support/kubernetes/node.js';
import { until } from '../support/kubernetes/program.js';
import { administrator, type Administrator } from '../support/kubernetes/rotunda.js';
import { startTestService, type TestService } from '../support/service.js';

const KUBECONFIG = '--kubeconfig=/etc/kubernetes/rotunda-admin.conf';

describeWithKubernetes(
  ['machine', 'containerd', 'kubelet', 'kubeadm'],
  'unmodified kubeadm, with Rotunda alone',
  () => {
    const undo: (() => Promise<void> | void)[] = [];
    const address = hostAddress() ?? '';
    let dir: string;
    let rotunda: TestService;
    let admin: Administrator;
    /** Where somebody types kubeadm commands. */
    let desk: Machine;

    beforeAll(async () => {
      dir = mkdtempSync(path.join(tmpdir(), 'rotunda-kubeadm-'));
      undo.push(() => {
        rmSync(dir, { recursive: true, force: true });
      });
      rotunda = await startTestService({ config: { kubernetes: { configMaps: await manifests(dir) } } });
      undo.push(() => rotunda.stop());
      admin = administrator(rotunda);
      desk = await machine('desk');
      writeInside(desk, '/etc/kubernetes/rotunda-admin.conf', readFileSync(rotunda.kubeconfig, 'utf8'));
    });

    afterAll(async () => {
      for (const step of undo.reverse()) await step();
    });

    const machine = async (name: string): Promise<Machine> => {
      const started = await startMachine({ name, dir });
      undo.push(() => started.stop());
      return started;
    };

    const tokenCommand = async (...args: string[]): Promise<string> => {
      const ended = await kubeadm(desk, ['token', ...args, KUBECONFIG]);
      expectOk(`kubeadm token ${args.join(' ')}`, ended);
      return ended.stdout.trim();
    };

    const join = async (on: Machine, options: Partial<Join> & { readonly token: string }): Promise<Joined> => {
      await startContainerd(on);
      return kubeadmJoin(on, { endpoint: new URL(rotunda.url).host, pins: [pinOf(rotunda.ca)], ...options });
    };

    /** A join that must not get through discovery. */
    const refused = async (name: string, options: Partial<Join> & { readonly token: string }): Promise<string> => {
      const joining = await machine(name);
      const { code, stderr } = await join(joining, { discoveryTimeout: '8s', ...options });
      expect(code).toBe(1);
      expect(currentCertificate(joining, 'client')).toBeUndefined();
      await joining.stop();
      return stderr;
    };

    it('makes, lists and deletes tokens', async () => {
      const token = await tokenCommand('create', '--ttl', '2h', '--description', 'for a test');
      expect(token).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
      const listed = await tokenCommand('list');
      const line = listed.split('\n').find((one) => one.startsWith(token.slice(0, 6)));
      expect(line, listed).toContain('authentication,signing');
      expect(line).toContain('for a test');
      expect(line).toContain('system:bootstrappers:kubeadm:default-node-token');
      expect(await tokenCommand('delete', token.slice(0, 6))).toContain('deleted');
      expect(await tokenCommand('list')).not.toContain(token.slice(0, 6));
    });

    it('joins a node to the end, by the command that kubeadm prints', async () => {
      await admin.post('/pki/v1/nodes', { name: 'worker-1', addresses: [address] });
      const command = await tokenCommand('create', '--print-join-command');
      const { endpoint, token, pin } = readJoinCommand(command);
      expect(pin).toBe(pinOf(rotunda.ca));
      const joining = await machine('worker-1');
      const ended = await join(joining, { endpoint, token, pins: [pin] });
      expectOk('kubeadm join', ended);
      expect(ended.stdout).toContain('This node has joined the cluster');
      expect(currentCertificate(joining, 'client')?.subject).toBe('O=system:nodes\nCN=system:node:worker-1');
      const serving = await until("the kubelet's serving certificate", () => currentCertificate(joining, 'server'));
      expect(serving.subjectAltName).toBe(`DNS:worker-1, IP Address:${address}`);
      await joining.stop();
    });

    it('joins the node that its token is bound to', async () => {
      const bound = ['--node', 'worker-2', '--address', address, '--print-join-command'];
      const printed = await inProcess(['token', 'create', ...bound, '--kubeconfig', rotunda.kubeconfig]);
      const { endpoint, token, pin } = readJoinCommand(printed.out);
      const joining = await machine('worker-2');
      const ended = await join(joining, { endpoint, token, pins: [pin] });
      expectOk('kubeadm join', ended);
      expect(ended.stdout).toContain('This node has joined the cluster');
      await joining.stop();
    });

    it('says so when the token is not known, or its secret is wrong', async () => {
      expect(await refused('worker-3', { token: 'zzzzzz.0123456789abcdef' })).toMatch(/could not find a JWS signature/);
      const token = await tokenCommand('create');
      expect(await refused('worker-4', { token: `${token.slice(0, 7)}0123456789abcdef` })).toMatch(
        /could not verify JWS|can't trust this API Server/i,
      );
    });

    it('says so when the pin is of another CA', async () => {
      const token = await tokenCommand('create');
      expect(await refused('worker-5', { token, pins: [`sha256:${'0'.repeat(64)}`] })).toMatch(
        /none of the public keys .* are pinned/,
      );
    });

    it('says so when the token has expired', async () => {
      const token = await tokenCommand('create', '--ttl', '2s');
      await new Promise((resolve) => setTimeout(resolve, 3000));
      expect(await refused('worker-6', { token })).toMatch(/could not find a JWS signature/);
    });
  },
);

/** kubeadm-config and kubelet-config, as files of the service's configuration. */
async function manifests(dir: string): Promise<string[]> {
  const [port = 0, healthzPort = 0] = await freePorts(2);
  const contents = {
    'kubeadm-config': { ClusterConfiguration: stringify(clusterConfiguration('127.0.0.1:6443')) },
    'kubelet-config': { kubelet: stringify(kubeletConfiguration({ port, healthzPort })) },
  };
  return Object.entries(contents).map(([name, data]) => {
    const file = path.join(dir, `${name}.yaml`);
    const metadata = { name, namespace: 'kube-system' };
    writeFileSync(file, stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
    return file;
  });
}

function readJoinCommand(command: string): { endpoint: string; token: string; pin: string } {
  const [, endpoint = '', token = '', pin = ''] =
    /^kubeadm join (\S+) --token (\S+) --discovery-token-ca-cert-hash (\S+)/.exec(command) ?? [];
  return { endpoint, token, pin };
}

/** kubeadm's pin of a CA: the SHA-256 of its SubjectPublicKeyInfo. */
function pinOf(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}
