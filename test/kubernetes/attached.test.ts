import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { inProcess } from '../cli/rotunda.js';
import { freePorts } from '../support/etcd.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, CLUSTER_NEEDS, startCluster } from '../support/kubernetes/cluster.js';
import { kubeadmJoin } from '../support/kubernetes/kubeadm.js';
import { expectOk, kubeadmInitPhases } from '../support/kubernetes/kubeadm-cluster.js';
import { hostAddress, type Machine, startMachine } from '../support/kubernetes/machine.js';
import {
  currentCertificate,
  type KubeletNode,
  kubeletConfiguration,
  startContainerd,
  startNode,
} from '../support/kubernetes/node.js';
import { until } from '../support/kubernetes/program.js';
import { administrator, type Administrator, KUBEADM_TOKEN, SERVING_SIGNER } from '../support/kubernetes/rotunda.js';

/** The controllers of a cluster that joining needs. Those that approve and sign are Rotunda's now. */
const controllers = [
  'bootstrap-signer-controller',
  'token-cleaner-controller',
  'root-ca-certificate-publisher-controller',
  'serviceaccount-controller',
].join(',');

type NodeObject = { readonly status: { readonly addresses?: readonly { readonly address: string }[] } };

describeWithKubernetes(
  [...CLUSTER_NEEDS, 'machine', 'containerd', 'kubelet', 'kubeadm'],
  'a kubeadm cluster whose certificates.k8s.io is Rotunda',
  () => {
    const undo: (() => Promise<void>)[] = [];
    const address = hostAddress() ?? '';
    let cluster: Cluster;
    let admin: Administrator;

    const machine = async (name: string): Promise<Machine> => {
      const started = await startMachine({ name, dir: cluster.dir });
      undo.push(() => started.stop());
      return started;
    };

    const rotunda = async (...args: string[]): Promise<void> => {
      const given = ['--kubeconfig', cluster.rotunda.kubeconfig, '--cluster-kubeconfig', cluster.kubeconfig];
      const { code, out, err } = await inProcess(['kubernetes', ...args, ...given, '-o', 'json']);
      expect(code, `${out}${err}`).toBe(0);
    };

    beforeAll(async () => {
      // kubeadm speaks to the API server of its own machine by the address that it announces.
      const [apiPort = 0] = await freePorts(1);
      cluster = await startCluster({
        apiPort,
        apiServerArgs: ['--bind-address=0.0.0.0'],
        controllers,
        service: { config: { kubernetes: { apiServer: `https://127.0.0.1:${apiPort}` } } },
      });
      undo.push(() => cluster.stop());
      admin = administrator(cluster.rotunda);
      const [port = 0, healthzPort = 0] = await freePorts(2);
      await kubeadmInitPhases(cluster, await machine('cp1'), kubeletConfiguration({ port, healthzPort }));
      await rotunda('attach');
    }, 400_000);

    afterAll(async () => {
      for (const step of undo.reverse()) await step();
    });

    /** A kubelet whose token Rotunda has made, and written to the API server. */
    const joinThrough = async (name: string, addresses: readonly string[] = []): Promise<KubeletNode> => {
      const token = await admin.token({ name, addresses });
      const secret = `/api/v1/namespaces/kube-system/secrets/bootstrap-token-${token.slice(0, 6)}`;
      await until('the token', async () => (await cluster.send('GET', secret)).status === 200 || undefined);
      const bootstrap = { server: cluster.url, ca: cluster.pki.bundles.kubernetes, token };
      const node = await startNode({ name, dir: cluster.dir, bootstrap });
      undo.push(() => node.stop());
      return node;
    };

    /** Through the API server, which verifies the kubelet's serving certificate. */
    const healthOf = (name: string): Promise<string | undefined> =>
      cluster
        .send('GET', `/api/v1/nodes/${name}/proxy/healthz`)
        .then(({ status, text }) => (status === 200 ? text : undefined));

    it('lets a kubelet join through the API server, as a node', async () => {
      const node = await joinThrough('worker-1', [address]);
      await node.obtained('client');
      await node.obtained('server');
      const registered = await cluster.send('GET', '/api/v1/nodes/worker-1');
      expect(registered.json<NodeObject>().status.addresses?.map((one) => one.address)).toContain(address);
      expect(await until('the kubelet through the API server', () => healthOf('worker-1'))).toBe('ok');
    });

    it('lets kubeadm join run to its end', async () => {
      const joining = await machine('worker-2');
      await startContainerd(joining);
      const token = await admin.token({ name: 'worker-2', addresses: [address] }, KUBEADM_TOKEN);
      const endpoint = new URL(cluster.url).host;
      const ended = await kubeadmJoin(joining, { endpoint, token, pins: [] });
      expectOk('kubeadm join', ended);
      expect(ended.stdout).toContain('This node has joined the cluster');
      expect(currentCertificate(joining, 'client')?.subject).toBe('O=system:nodes\nCN=system:node:worker-2');
      // The next one has the same ports: all of a cluster have one kubelet-config.
      await joining.stop();
    });

    it('lets a join that begins at Rotunda end at the API server', async () => {
      const joining = await machine('worker-4');
      await startContainerd(joining);
      const token = await admin.token({ name: 'worker-4', addresses: [address] }, KUBEADM_TOKEN);
      const ended = await kubeadmJoin(joining, { endpoint: new URL(cluster.rotunda.url).host, token, pins: [] });
      expectOk('kubeadm join', ended);
      expect(ended.stdout).toContain('This node has joined the cluster');
      const kubeconfig = readFileSync(joining.file('/etc/kubernetes/kubelet.conf'), 'utf8');
      expect(kubeconfig).toContain(`server: ${cluster.url}`);
      await until(
        'the node',
        async () => (await cluster.send('GET', '/api/v1/nodes/worker-4')).status === 200 || undefined,
      );
      await joining.stop();
    });

    it('holds what is not enrolled until it is, also after the API server was started again', async () => {
      await cluster.controlPlane.restartApiServer();
      const node = await joinThrough('worker-3');
      await node.obtained('client');
      const [held] = await until('a serving request', async () => {
        const requests = await admin.requests(SERVING_SIGNER);
        const own = requests.filter(({ spec }) => spec.username === 'system:node:worker-3');
        return own.length > 0 ? own : undefined;
      });
      expect(held?.metadata.annotations?.['rotunda.dev/hold-reason']).toContain(address);
      expect(held?.status.certificate).toBeUndefined();
      await admin.patch('/pki/v1/nodes/worker-3', { addresses: [address] });
      await node.obtained('server');
      expect(await until('the kubelet through the API server', () => healthOf('worker-3'))).toBe('ok');
      await node.stop();
    });

    it('goes on without Rotunda once it is detached', async () => {
      await rotunda('detach');
      const { spec } = (
        await cluster.send('GET', '/apis/apiregistration.k8s.io/v1/apiservices/v1.certificates.k8s.io')
      ).json<{ spec: Record<string, unknown> }>();
      expect(spec['service']).toBeUndefined();
      expect(await until('the kubelet through the API server', () => healthOf('worker-1'))).toBe('ok');
    });
  },
);
