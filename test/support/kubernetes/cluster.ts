import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Agent, request } from 'undici';

import { startTestService, type TestService, type TestServiceOptions } from '../service.js';
import { kubernetesProgram, type Need } from './binaries.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
import { hostAddress } from './machine.js';
import { type ControlPlanePki, controlPlanePki } from './pki.js';
import { type Program, startProgram, until } from './program.js';

/** What `startCluster` needs, for `describeWithKubernetes`. */
export const CLUSTER_NEEDS: readonly Need[] = ['etcd', 'kube-apiserver', 'kube-controller-manager'];

export type ClusterOptions = {
  readonly service?: TestServiceOptions;
  /** Where the API server is to listen, for a service that is to know it before. */
  readonly apiPort?: number;
  readonly apiServerArgs?: readonly string[];
  /** Value of kube-controller-manager's `--controllers`; none is started when left out. */
  readonly controllers?: string;
};

export type ApiAnswer = { readonly status: number; readonly text: string; json<T = unknown>(): T };

/** A real control plane whose every certificate comes from a Rotunda that runs beside it, in this process. */
export type Cluster = {
  readonly rotunda: TestService;
  readonly dir: string;
  readonly pki: ControlPlanePki;
  /** https://127.0.0.1:PORT */
  readonly url: string;
  /** A kubeconfig for the API server, in `system:masters`. */
  readonly kubeconfig: string;
  readonly controlPlane: ControlPlane;
  readonly controllerManager: Program | undefined;
  /** Asks the API server as `system:masters`; a body is sent as JSON unless `contentType` says otherwise. */
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer>;
  startControllerManager(controllers: string): Promise<void>;
  stopControllerManager(): Promise<void>;
  /** Ends everything, and removes every file. */
  stop(): Promise<void>;
};

/** Rotunda, etcd, kube-apiserver and, when asked for, kube-controller-manager. Takes about half a minute. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rotunda-cluster-'));
  const undo: (() => Promise<void> | void)[] = [
    () => {
      rmSync(dir, { recursive: true, force: true });
    },
  ];
  const stop = async (): Promise<void> => {
    for (const step of undo.reverse().splice(0)) await step();
  };
  try {
    const rotunda = await startTestService(options.service);
    undo.push(() => rotunda.stop());
    const pki = await controlPlanePki(rotunda, machineNames(), path.join(dir, 'pki'));
    const controlPlane = await startControlPlane({
      dir,
      pki,
      ...(options.apiPort === undefined ? {} : { apiPort: options.apiPort }),
      ...(options.apiServerArgs === undefined ? {} : { apiServerArgs: options.apiServerArgs }),
    });
    undo.push(() => controlPlane.stop());
    const agent = new Agent({ connect: { ca: pki.bundles.kubernetes, ...pki.superAdmin } });
    undo.push(() => agent.destroy());
    const manager = controllerManager({ dir, pki, controlPlane });
    undo.push(() => manager.stop());
    if (options.controllers !== undefined) await manager.start(options.controllers);
    return {
      rotunda,
      dir,
      pki,
      url: controlPlane.url,
      kubeconfig: pki.kubeconfig('super-admin', controlPlane.url),
      controlPlane,
      get controllerManager() {
        return manager.program();
      },
      send: (method, target, body, contentType) => send(agent, controlPlane.url, { method, target, body, contentType }),
      startControllerManager: (controllers) => manager.start(controllers),
      stopControllerManager: () => manager.stop(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function machineNames(): { name: string; dns: string[]; ips: string[] } {
  const address = hostAddress();
  return { name: 'cp1', dns: [], ips: ['127.0.0.1', '10.96.0.1', ...(address === undefined ? [] : [address])] };
}

type Manager = {
  program(): Program | undefined;
  start(controllers: string): Promise<void>;
  stop(): Promise<void>;
};

/** kube-controller-manager without a signing key: Rotunda keeps the keys. */
function controllerManager(of: {
  readonly dir: string;
  readonly pki: ControlPlanePki;
  readonly controlPlane: ControlPlane;
}): Manager {
  let program: Program | undefined;
  const { dir, pki, controlPlane } = of;
  const kubeconfig = (): string => pki.kubeconfig('controller-manager', controlPlane.url);
  return {
    program: () => program,
    start: async (controllers) => {
      const started = startProgram({
        name: 'kube-controller-manager',
        dir,
        path: kubernetesProgram('kube-controller-manager'),
        args: [
          `--kubeconfig=${kubeconfig()}`,
          `--controllers=${controllers}`,
          '--secure-port=0',
          '--leader-elect=false',
          '--use-service-account-credentials=true',
          `--root-ca-file=${pki.file('ca.crt')}`,
          `--service-account-private-key-file=${pki.file('sa.key')}`,
        ],
      });
      program = started;
      await until('kube-controller-manager', () => started.log().includes('Caches are synced') || undefined, {
        programs: [started],
      });
    },
    stop: async () => {
      await program?.stop();
      program = undefined;
    },
  };
}

async function send(
  agent: Agent,
  url: string,
  call: {
    readonly method: string;
    readonly target: string;
    readonly body: unknown;
    readonly contentType: string | undefined;
  },
): Promise<ApiAnswer> {
  const { body } = call;
  const answer = await request(`${url}${call.target}`, {
    method: call.method as 'GET',
    dispatcher: agent,
    headers: { accept: 'application/json', 'content-type': call.contentType ?? 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  return { status: answer.statusCode, text, json: <T>() => JSON.parse(text) as T };
}
