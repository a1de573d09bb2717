import { mkdirSync } from 'node:fs';
import path from 'node:path';

import { Agent, request } from 'undici';

import { freePorts } from '../etcd.js';
import { kubernetesProgram } from './binaries.js';
import type { ControlPlanePki } from './pki.js';
import { type Program, startProgram, until } from './program.js';

/** A starting API server takes half a minute of a core, and may have to share it. */
const START_MS = 240_000;

export type ControlPlane = {
  /** `https://127.0.0.1:PORT` of the API server; its certificate also carries the machine's addresses. */
  readonly url: string;
  readonly port: number;
  readonly etcd: Program;
  readonly apiServer: Program;
  /** Stops the API server and starts it again on the same port, with the same etcd. */
  restartApiServer(): Promise<void>;
  stop(): Promise<void>;
};

export type ControlPlaneOptions = {
  readonly dir: string;
  readonly pki: ControlPlanePki;
  /** Of the API server; a free one when left out. */
  readonly apiPort?: number;
  /** More flags of kube-apiserver. */
  readonly apiServerArgs?: readonly string[];
};

/** etcd and kube-apiserver with the flags that kubeadm gives them, on free ports of the loopback. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const [clientPort = 0, peerPort = 0, freePort = 0] = await freePorts(3);
  const { apiPort = freePort } = options;
  const etcd = await startEtcd(options, clientPort, peerPort);
  const start = (): Promise<Program> => startApiServer(options, apiPort, `https://127.0.0.1:${clientPort}`, etcd);
  let apiServer: Program;
  try {
    apiServer = await start();
  } catch (error) {
    await etcd.stop('SIGKILL');
    throw error;
  }
  return {
    url: `https://127.0.0.1:${apiPort}`,
    port: apiPort,
    etcd,
    get apiServer() {
      return apiServer;
    },
    restartApiServer: async () => {
      await apiServer.stop();
      apiServer = await start();
    },
    stop: async () => {
      // An API server that has lost etcd does not end for minutes: it goes first.
      await apiServer.stop();
      await etcd.stop();
    },
  };
}

async function startEtcd({ dir, pki }: ControlPlaneOptions, clientPort: number, peerPort: number): Promise<Program> {
  const client = `https://127.0.0.1:${clientPort}`;
  const peer = `https://127.0.0.1:${peerPort}`;
  const etcd = startProgram({
    name: 'etcd',
    dir,
    path: kubernetesProgram('etcd'),
    args: [
      '--name=cp1',
      `--data-dir=${path.join(dir, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=cp1=${peer}`,
      `--cert-file=${pki.file('etcd/server.crt')}`,
      `--key-file=${pki.file('etcd/server.key')}`,
      '--client-cert-auth=true',
      `--trusted-ca-file=${pki.file('etcd/ca.crt')}`,
      `--peer-cert-file=${pki.file('etcd/peer.crt')}`,
      `--peer-key-file=${pki.file('etcd/peer.key')}`,
      '--peer-client-cert-auth=true',
      `--peer-trusted-ca-file=${pki.file('etcd/ca.crt')}`,
      // A test's cluster need not survive the machine.
      '--unsafe-no-fsync=true',
    ],
  });
  await until('etcd', () => etcd.log().includes('ready to serve client requests') || undefined, { programs: [etcd] });
  return etcd;
}

async function startApiServer(
  { dir, pki, apiServerArgs = [] }: ControlPlaneOptions,
  port: number,
  etcdUrl: string,
  etcd: Program,
): Promise<Program> {
  mkdirSync(path.join(dir, 'apiserver'), { recursive: true });
  const apiServer = startProgram({
    name: 'kube-apiserver',
    dir,
    path: kubernetesProgram('kube-apiserver'),
    args: [...standardFlags(pki, etcdUrl, apiServerArgs), `--secure-port=${port}`, ...apiServerArgs],
  });
  const agent = new Agent({ connect: { ca: pki.bundles.kubernetes, ...pki.superAdmin } });
  try {
    await until(
      'kube-apiserver',
      async () => {
        const { statusCode, body } = await request(`https://127.0.0.1:${port}/readyz`, { dispatcher: agent });
        await body.dump();
        return statusCode === 200 || undefined;
      },
      { timeoutMs: START_MS, programs: [apiServer, etcd] },
    );
  } catch (error) {
    await apiServer.stop('SIGKILL');
    throw error;
  } finally {
    await agent.destroy();
  }
  return apiServer;
}

/** Those that are not given otherwise: a list that is given twice would be added to, not replaced. */
function standardFlags(pki: ControlPlanePki, etcdUrl: string, given: readonly string[]): string[] {
  const names = new Set(given.map(nameOf));
  return apiServerFlags(pki, etcdUrl).filter((flag) => !names.has(nameOf(flag)));
}

function nameOf(flag: string): string {
  return flag.split('=', 1)[0] ?? flag;
}

/** What kubeadm 1.36 writes into the static pod, but for the address that it listens on. */
function apiServerFlags(pki: ControlPlanePki, etcdUrl: string): string[] {
  return [
    '--bind-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    '--allow-privileged=true',
    '--authorization-mode=Node,RBAC',
    `--client-ca-file=${pki.file('ca.crt')}`,
    '--enable-admission-plugins=NodeRestriction',
    '--enable-bootstrap-token-auth=true',
    `--etcd-cafile=${pki.file('etcd/ca.crt')}`,
    `--etcd-certfile=${pki.file('apiserver-etcd-client.crt')}`,
    `--etcd-keyfile=${pki.file('apiserver-etcd-client.key')}`,
    `--etcd-servers=${etcdUrl}`,
    `--kubelet-client-certificate=${pki.file('apiserver-kubelet-client.crt')}`,
    `--kubelet-client-key=${pki.file('apiserver-kubelet-client.key')}`,
    `--kubelet-certificate-authority=${pki.file('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname',
    `--proxy-client-cert-file=${pki.file('front-proxy-client.crt')}`,
    `--proxy-client-key-file=${pki.file('front-proxy-client.key')}`,
    '--requestheader-allowed-names=front-proxy-client',
    `--requestheader-client-ca-file=${pki.file('front-proxy-ca.crt')}`,
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-username-headers=X-Remote-User',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pki.file('sa.pub')}`,
    `--service-account-signing-key-file=${pki.file('sa.key')}`,
    '--service-cluster-ip-range=10.96.0.0/12',
    `--tls-cert-file=${pki.file('apiserver.crt')}`,
    `--tls-private-key-file=${pki.file('apiserver.key')}`,
  ];
}
