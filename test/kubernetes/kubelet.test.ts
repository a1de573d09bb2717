import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from 'node:tls';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { nodeVerify } from '../ca/verifiers.js';
import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { hostAddress } from '../support/kubernetes/machine.js';
import { type KubeletNode, startNode } from '../support/kubernetes/node.js';
import { until } from '../support/kubernetes/program.js';
import {
  administrator,
  type Administrator,
  CLIENT_SIGNER,
  SERVING_SIGNER,
  stateOf,
} from '../support/kubernetes/rotunda.js';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.js';

describeWithKubernetes(['machine', 'containerd', 'kubelet'], 'a real kubelet, with Rotunda alone', () => {
  const undo: (() => Promise<void> | void)[] = [];
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'rotunda-kubelet-'));
    undo.push(() => {
      rmSync(dir, { recursive: true, force: true });
    });
  });

  afterEach(async () => {
    for (const step of undo.reverse().splice(0)) await step();
  });

  const start = async (options?: TestServiceOptions): Promise<{ rotunda: TestService; admin: Administrator }> => {
    const rotunda = await startTestService(options);
    undo.push(() => rotunda.stop());
    return { rotunda, admin: administrator(rotunda) };
  };

  const join = async (rotunda: TestService, name: string, token: string): Promise<KubeletNode> => {
    const node = await startNode({ name, dir, bootstrap: { server: rotunda.url, ca: rotunda.ca, token } });
    undo.push(() => node.stop());
    return node;
  };

  const address = hostAddress() ?? '';

  it('gets its client and its serving certificate, and serves with it', async () => {
    const { rotunda, admin } = await start();
    const token = await admin.token({ name: 'worker-1', addresses: [address] });
    const node = await join(rotunda, 'worker-1', token);
    const client = await node.obtained('client');
    expect(client.subject).toBe('O=system:nodes\nCN=system:node:worker-1');
    const serving = await node.obtained('server');
    expect(serving.subjectAltName).toBe(`DNS:worker-1, IP Address:${address}`);
    for (const certificate of [client, serving]) {
      expect(nodeVerify({ leaf: certificate.toString(), anchors: rotunda.ca })).toBe(true);
    }
    expect(await servedBy(address, node.port, rotunda.ca)).toBe(serving.serialNumber);
    const requests = [...(await admin.requests(CLIENT_SIGNER)), ...(await admin.requests(SERVING_SIGNER))];
    expect(requests.map(stateOf)).toEqual(['Approved,Issued', 'Approved,Issued']);
    expect(requests.map(({ spec }) => spec.username)).toEqual([
      `system:bootstrap:${token.slice(0, 6)}`,
      'system:node:worker-1',
    ]);
  });

  it('rotates both before they end, without its token', async () => {
    // The service's clock is behind, so that what it issues is mostly used: twelve and a half of fifteen minutes.
    const behindMs = 7.5 * 60_000;
    const { rotunda, admin } = await start({
      config: { profiles: shortProfiles },
      overrides: { clock: { now: () => new Date(Date.now() - behindMs) } },
    });
    const node = await join(rotunda, 'worker-2', await admin.token({ name: 'worker-2', addresses: [address] }));
    const first = { client: await node.obtained('client'), server: await node.obtained('server') };
    // A kubelet renews at 70 to 90 percent: at once, or within a minute.
    const timeoutMs = 150_000;
    const [client, server] = await Promise.all([
      node.obtained('client', { previous: first.client, timeoutMs }),
      node.obtained('server', { previous: first.server, timeoutMs }),
    ]);
    for (const [before, after] of [
      [first.client, client],
      [first.server, server],
    ] as const) {
      expect(before.publicKey.equals(after.publicKey)).toBe(false);
      expect(Date.parse(before.validTo)).toBeGreaterThan(Date.now());
    }
    expect(await servedBy(address, node.port, rotunda.ca)).toBe(server.serialNumber);
    const [renewal] = (await admin.requests(CLIENT_SIGNER)).filter(({ spec }) =>
      spec.username.startsWith('system:node:'),
    );
    expect(renewal?.spec.username).toBe('system:node:worker-2');
  });

  it('asks for its serving certificate once its address is enrolled, and again when another one is', async () => {
    const { rotunda, admin } = await start();
    const node = await join(rotunda, 'worker-3', await admin.token({ name: 'worker-3' }));
    await node.obtained('client');
    await admin.patch('/pki/v1/nodes/worker-3', { addresses: [address] });
    const first = await node.obtained('server');
    expect(first.subjectAltName).toBe(`DNS:worker-3, IP Address:${address}`);
    await admin.patch('/pki/v1/nodes/worker-3', {
      addAddresses: ['192.0.2.77'],
      addDnsNames: ['worker-3.example.org'],
    });
    const second = await node.obtained('server', { previous: first });
    expect(second.checkIP('192.0.2.77')).toBe('192.0.2.77');
    expect(second.checkHost('worker-3.example.org')).toBe('worker-3.example.org');
    expect((await admin.requests(SERVING_SIGNER)).map(stateOf)).toEqual(['Approved,Issued', 'Approved,Issued']);
  });

  it('keeps its certificates when it starts again', async () => {
    const { rotunda, admin } = await start();
    const node = await join(rotunda, 'worker-7', await admin.token({ name: 'worker-7', addresses: [address] }));
    const before = { client: await node.obtained('client'), server: await node.obtained('server') };
    await node.stopKubelet();
    node.startKubelet();
    await until(
      'the kubelet to serve again',
      async () => (await servedBy(address, node.port, rotunda.ca)) || undefined,
    );
    expect(node.certificate('client')?.serialNumber).toBe(before.client.serialNumber);
    expect(node.certificate('server')?.serialNumber).toBe(before.server.serialNumber);
    expect(await admin.requests(CLIENT_SIGNER)).toHaveLength(1);
  });

  it('that was off until its certificate ended comes back with a new token, as the machine that replaces it', async () => {
    // Issued with twenty seconds left: the kubelet renews every second until it is switched off.
    const behindMs = 9 * 60_000 + 40_000;
    const { rotunda, admin } = await start({
      config: { profiles: shortProfiles },
      overrides: { clock: { now: () => new Date(Date.now() - behindMs) } },
    });
    const node = await join(rotunda, 'worker-8', await admin.token({ name: 'worker-8', addresses: [address] }));
    await until('its first use', async () => (await stateOfNode(admin, 'worker-8')) === 'joined' || undefined);
    await node.stopKubelet();
    const old = await node.obtained('client');
    await until('the end of its certificate', () => Date.parse(old.validTo) < Date.now() || undefined);
    await admin.post('/pki/v1/nodes/worker-8/replace', {});
    const token = await admin.token({ name: 'worker-8' });
    node.bootstrapWith({ server: rotunda.url, ca: rotunda.ca, token });
    node.startKubelet();
    const fresh = await node.obtained('client', { previous: old });
    expect(fresh.subject).toBe('O=system:nodes\nCN=system:node:worker-8');
  });

  it('that does not rotate asks once, under the name of its key', async () => {
    const { rotunda, admin } = await start();
    const token = await admin.token({ name: 'worker-10', addresses: [address] });
    const bootstrap = { server: rotunda.url, ca: rotunda.ca, token };
    const node = await startNode({ name: 'worker-10', dir, bootstrap, config: { rotateCertificates: false } });
    undo.push(() => node.stop());
    const client = await node.obtained('client');
    const [request] = await admin.requests(CLIENT_SIGNER);
    expect(request?.metadata.name).toMatch(/^node-csr-[A-Za-z0-9_-]{43}$/);
    expect(request?.status.certificate).toBe(Buffer.from(client.toString()).toString('base64'));
    await node.obtained('server');
  });

  it('goes on waiting while the service starts again, and gets its certificate from the new one', async () => {
    const dataDir = path.join(dir, 'rotunda');
    const first = await startTestService({ dataDir });
    undo.push(() => first.stop());
    const node = await join(first, 'worker-9', await administrator(first).token());
    await until('a request', () => found(administrator(first).requests(CLIENT_SIGNER)));
    await first.stop();
    const { rotunda, admin } = await start({ dataDir, config: { listen: new URL(first.url).host } });
    expect(rotunda.url).toBe(first.url);
    await admin.post('/pki/v1/nodes', { name: 'worker-9', addresses: [address] });
    await node.obtained('client', { timeoutMs: 200_000 });
    await node.obtained('server');
  });

  it('that is denied asks again, and gets through once the reason is gone', async () => {
    const { rotunda, admin } = await start();
    const node = await join(rotunda, 'worker-4', await admin.token());
    const [held] = await until('a client request', () => found(admin.requests(CLIENT_SIGNER)));
    await admin.deny(held?.metadata.name ?? '');
    await until('a second request', async () => (await admin.requests(CLIENT_SIGNER)).length > 1 || undefined);
    expect(node.certificate('client')).toBeUndefined();
    await admin.post('/pki/v1/nodes', { name: 'worker-4' });
    await node.obtained('client');
    const states = (await admin.requests(CLIENT_SIGNER)).map(stateOf);
    expect(states.filter((state) => state === 'Denied')).toHaveLength(1);
    expect(states.filter((state) => state === 'Approved,Issued')).toHaveLength(1);
  });

  it('with the token of another node is denied, again and again', async () => {
    const { rotunda, admin } = await start();
    const node = await join(rotunda, 'worker-5', await admin.token({ name: 'worker-6', addresses: [address] }));
    await until('two requests', async () => (await admin.requests(CLIENT_SIGNER)).length > 1 || undefined);
    for (const request of await admin.requests(CLIENT_SIGNER)) {
      expect(stateOf(request)).toBe('Denied');
      expect(request.status.conditions?.[0]?.message).toMatch(/worker-[56].*worker-[56]/s);
    }
    expect(node.certificate('client')).toBeUndefined();
    expect(node.kubelet().running()).toBe(true);
  });
});

async function stateOfNode(admin: Administrator, name: string): Promise<string> {
  return (await admin.client.send('GET', `/pki/v1/nodes/${name}`)).json<{ state: string }>().state;
}

async function found<T>(listed: Promise<readonly T[]>): Promise<readonly T[] | undefined> {
  const items = await listed;
  return items.length > 0 ? items : undefined;
}

/** The serial number of what a TLS server presents, verified for the address that it was reached at. */
function servedBy(host: string, port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca, timeout: 10_000 }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const nodeProfile = {
  commonName: { prefix: 'system:node:' },
  organizations: ['system:nodes'],
  lifetime: { standard: '10m', longest: '10m' },
};

/** The kubelet's two profiles, at the shortest lifetime that there is. */
const shortProfiles = [
  {
    ...nodeProfile,
    signerName: CLIENT_SIGNER,
    ring: 'kubernetesClient',
    approval: 'node-client',
    usages: { required: ['digital signature', 'client auth'], optional: ['key encipherment'] },
  },
  {
    ...nodeProfile,
    signerName: SERVING_SIGNER,
    ring: 'kubernetesServer',
    approval: 'node-serving',
    names: { dns: true, ip: true, atLeastOne: true },
    usages: { required: ['digital signature', 'server auth'], optional: ['key encipherment'] },
  },
];
