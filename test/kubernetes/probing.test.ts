import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { readClientCaCopy, rewriteClientCaCopy } from '../../src/attach/client-ca-copy.js';
import { type ClusterClient, createClusterClient } from '../../src/attach/client.js';
import { readKubeconfig } from '../../src/kubeconfig.js';
import { createCredentials } from '../../src/rotation/probing/credentials.js';
import { probeEndpoint } from '../../src/rotation/probing/probe.js';
import type { ClientCertificate, ProbeAnswer, ProbeProtocol } from '../../src/rotation/probing/types.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { type Cluster, CLUSTER_NEEDS, startCluster } from '../support/kubernetes/cluster.js';
import { hostAddress } from '../support/kubernetes/machine.js';
import { type KubeletNode, startNode } from '../support/kubernetes/node.js';
import { until } from '../support/kubernetes/program.js';
import { administrator } from '../support/kubernetes/rotunda.js';
import { addAnchor } from '../support/second-anchor.js';
import { startTestService, type TestService } from '../support/service.js';

/** Canaries of the authority that a ring has and of one that comes, and one of nobody. */
type Tried = { readonly old: ClientCertificate; readonly next: ClientCertificate; readonly control: ClientCertificate };

type Ring = Tried & {
  readonly oldKey: string;
  readonly nextKey: string;
  readonly oldPem: string;
  readonly nextPem: string;
};

async function stage({ service }: TestService, ring: string): Promise<Ring> {
  const { context } = service;
  const { ca, clock, random } = context;
  const oldPem = ca.bundle(ring).pem;
  const nextPem = await addAnchor(context, ring);
  await ca.reload();
  const oldKey = ca.ring(ring).active.ski;
  const nextKey = ca.authorities(ring).find(({ ski }) => ski !== oldKey)?.ski ?? '';
  const credentials = createCredentials({ canary: (order) => ca.canary(order), clock, random });
  const [old, next] = await Promise.all([oldKey, nextKey].map((ski) => credentials.of(ring, ski)));
  if (old === undefined || next === undefined) throw new Error('no canaries');
  return { old, next, control: await credentials.control(), oldKey, nextKey, oldPem, nextPem };
}

/** As a program that reads it again is to see it: whole or not at all. */
function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.next`, text);
  renameSync(`${file}.next`, file);
}

const outcomes = async (
  ask: (certificate: ClientCertificate) => Promise<ProbeAnswer>,
  { old, next, control }: Tried,
): Promise<string[]> => Promise.all([old, next, control].map(async (certificate) => (await ask(certificate)).outcome));

describeWithKubernetes(CLUSTER_NEEDS, 'probes of a real API server and of etcd', () => {
  let cluster: Cluster;
  let client: ClusterClient;
  let kubernetes: Ring;
  let etcd: Ring;

  beforeAll(async () => {
    cluster = await startCluster();
    client = createClusterClient(readKubeconfig(cluster.kubeconfig));
    kubernetes = await stage(cluster.rotunda, 'kubernetes');
    etcd = await stage(cluster.rotunda, 'etcd');
  });

  afterAll(async () => {
    await client.close();
    await cluster.stop();
  });

  const ask = (protocol: ProbeProtocol, port: number) => (clientCertificate: ClientCertificate) =>
    probeEndpoint({ host: '127.0.0.1', port, protocol, timeoutMs: 10_000, clientCertificate });

  it('tell within a moment whom an API server believes, and find the copy that it only adds to', async () => {
    const { oldPem, nextPem, oldKey, nextKey } = kubernetes;
    const { ca } = cluster.rotunda.service.context;
    const file = cluster.pki.file('ca.crt');
    const asked = ask('kubernetes', cluster.controlPlane.port);
    expect(await outcomes(asked, kubernetes)).toEqual(['yes', 'no', 'no']);
    expect(await asked(kubernetes.old)).toMatchObject({ detail: 'it answered 201 to the user of the certificate' });
    expect(await asked(kubernetes.next)).toMatchObject({ certain: true, detail: 'it answered 401' });
    const believes = (expected: string[]): Promise<true> =>
      until('the API server', async () => {
        const found = await outcomes(asked, kubernetes);
        return found.join() === expected.join() ? true : undefined;
      });
    replaceFile(file, oldPem + nextPem);
    await believes(['yes', 'yes', 'no']);
    replaceFile(file, oldPem);
    await believes(['yes', 'no', 'no']);
    // The one that came and went stays in the copy, until that is written anew.
    const bundles = [await ca.bundleAt('kubernetes', 1)];
    const read = () =>
      readClientCaCopy(client, 'client-ca-file', { authorities: ca.authorities('kubernetes'), bundles, old: nextKey });
    const both = await until('the merged copy', async () => {
      const copy = await read();
      return copy.holdsOld ? copy : undefined;
    });
    expect([...(both.holds ?? [])].sort()).toEqual([oldKey, nextKey].sort());
    expect(await rewriteClientCaCopy(client)).toBe(true);
    expect(await read()).toMatchObject({ holdsOld: false, holds: [oldKey], generation: 1 });
    const proxies = { authorities: ca.authorities('front-proxy'), bundles: [ca.bundle('front-proxy')], old: 'none' };
    expect(await readClientCaCopy(client, 'requestheader-client-ca-file', proxies)).toMatchObject({ generation: 1 });
  });

  it('tell whom the process of etcd believes, whatever its file says by now', async () => {
    const address =
      /"--listen-client-urls=https:\/\/127\.0\.0\.1:(\d+)"|listen-client-urls=https:\/\/127\.0\.0\.1:(\d+)/;
    const log = cluster.controlPlane.etcd.log();
    const port = Number(
      /"advertise-client-urls":\["https:\/\/127\.0\.0\.1:(\d+)"\]/.exec(log)?.[1] ?? address.exec(log)?.[1],
    );
    const asked = ask('etcd', port);
    expect(await outcomes(asked, etcd)).toEqual(['yes', 'no', 'no']);
    expect(await asked(etcd.old)).toMatchObject({ listener: 'etcd-client' });
    expect(await asked(etcd.next)).toMatchObject({ certain: true });
    replaceFile(cluster.pki.file('etcd/ca.crt'), etcd.oldPem + etcd.nextPem);
    expect(await outcomes(asked, etcd)).toEqual(['yes', 'no', 'no']);
  });
});

describeWithKubernetes(['machine', 'containerd', 'kubelet'], 'probes of a real kubelet', () => {
  let dir: string;
  let rotunda: TestService;
  let node: KubeletNode | undefined;

  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), 'rotunda-probing-'));
    rotunda = await startTestService();
  });

  afterAll(async () => {
    await node?.stop();
    await rotunda.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('tell within a moment whom it believes', async () => {
    const address = hostAddress() ?? '';
    const token = await administrator(rotunda).token({ name: 'worker-1', addresses: [address] });
    const started = await startNode({
      name: 'worker-1',
      dir,
      bootstrap: { server: rotunda.url, ca: rotunda.ca, token },
    });
    node = started;
    await started.obtained('server');
    const ring = await stage(rotunda, 'kubernetes');
    const asked = (clientCertificate: ClientCertificate): Promise<ProbeAnswer> =>
      probeEndpoint({ host: address, port: started.port, protocol: 'kubelet', timeoutMs: 10_000, clientCertificate });
    await until('the kubelet', async () => ((await asked(ring.old)).outcome === 'yes' ? true : undefined));
    expect(await outcomes(asked, ring)).toEqual(['yes', 'no', 'no']);
    expect(await asked(ring.next)).toMatchObject({ certain: true, detail: 'it answered 401' });
    replaceFile(started.machine.file('/etc/kubernetes/pki/ca.crt'), ring.nextPem);
    await until('the kubelet', async () => {
      const found = await outcomes(asked, ring);
      return found.join() === 'no,yes,no' ? true : undefined;
    });
  });
});
