import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { requestClientCertificate } from '../test/support/kubelet.js';
import { protobufCreateBody } from '../test/support/kubelet-wire.js';
import { csrPem, newEcKey } from '../test/support/pkcs10.js';
import { type ServiceProcess, startServiceProcess } from '../test/support/service-process.js';
import { agentWith, nodeToken } from './https.js';
import { inParallel, percentile, type Row } from './report.js';

export type DeniedOptions = {
  readonly kubelets: number;
  /** Denied retries a minute, of all of them together. */
  readonly perMinute: number;
  readonly seconds: number;
};

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';
const renewalsPerSecond = 25;
/** One node renews for all others. */
const common = { issued: { perSecond: 1000, burst: 100_000 } };
/** Every denial is stored, as it would be without the limit. */
const unlimited = { ...common, repeats: { stored: 1000, window: '1s' } };

/**
 * Kubelets with a token for another node that ask again and again: what that costs the server, what it leaves in the
 * store, and how long others wait meanwhile who renew their certificates. Without the limit first, then with it.
 */
export async function benchDenied(options: DeniedOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, limits] of [
    ['without the limit', unlimited],
    ['with it', common],
  ] as const) {
    rows.push(...(await withLimits(limits, (service) => measure(service, name, options))));
  }
  return rows;
}

async function withLimits(limits: object, work: (service: ServiceProcess) => Promise<Row[]>): Promise<Row[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-denied-'));
  const config = path.join(dataDir, 'config.yaml');
  writeFileSync(config, JSON.stringify({ apiVersion: 'rotunda.dev/v1alpha1', limits }));
  try {
    const args = ['--listen', '127.0.0.1:0', '--config', config];
    const service = await startServiceProcess({ dataDir, args, env: { ROTUNDA_LOG_LEVEL: 'error' } });
    try {
      return await work(service);
    } finally {
      await service.stop();
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measure(service: ServiceProcess, name: string, options: DeniedOptions): Promise<Row[]> {
  const admin = agentWith(service, service.admin);
  const node = await renewingNode(service, admin);
  const retry = await deniedKubelets(service, admin, options.kubelets);
  const { seconds } = options;
  const quiet = await renewals(service, node, seconds);
  const stop = new AbortController();
  const answers = new Map<number, number>();
  const storm = retries(retry, options, stop.signal, answers);
  const before = service.cpuMs();
  const loud = await renewals(service, node, seconds);
  stop.abort();
  await storm;
  const cpu = service.cpuMs() - before;
  const answered = [...answers.values()].reduce((sum, count) => sum + count, 0);
  const stored = answers.get(201) ?? 0;
  await Promise.all([admin.destroy(), node.agent.destroy(), retry.agent.destroy()]);
  const what = `${name}: `;
  return [
    { what: `${what}renewal of others, 99th percentile, nobody denied`, value: percentile(quiet, 0.99), unit: 'ms' },
    {
      what: `${what}the same with ${String(options.perMinute)} retries a minute`,
      value: percentile(loud, 0.99),
      unit: 'ms',
    },
    { what: `${what}median, then`, value: percentile(loud, 0.5), unit: 'ms' },
    { what: `${what}server CPU per retry`, value: cpu / Math.max(1, answered), unit: 'ms' },
    { what: `${what}retries answered`, value: answered, unit: '' },
    { what: `${what}requests stored by them`, value: stored, unit: '' },
  ];
}

type Node = { readonly name: string; readonly agent: Agent };

async function renewingNode(service: ServiceProcess, admin: Agent): Promise<Node> {
  const name = 'steady';
  const token = await nodeToken(service, admin, name);
  const credential = await requestClientCertificate({ url: service.url, ca: service.ca, nodeName: name, token });
  return { name, agent: agentWith(service, credential) };
}

/** Latencies of renewals at a steady rate. */
async function renewals(service: ServiceProcess, { name, agent }: Node, seconds: number): Promise<number[]> {
  const body = bodyOf(name);
  const latencies: number[] = [];
  const running: Promise<void>[] = [];
  for (let index = 0; index < seconds * renewalsPerSecond; index += 1) {
    const work = async (): Promise<void> => {
      const start = performance.now();
      const answer = await post(service.url, agent, body);
      if (answer !== 201) throw new Error(`a renewal was answered ${String(answer)}`);
      latencies.push(performance.now() - start);
    };
    running.push(work());
    await sleep(1000 / renewalsPerSecond);
  }
  await Promise.all(running);
  return latencies;
}

type Retry = { readonly agent: Agent; readonly url: string; readonly jobs: readonly { token: string; body: Buffer }[] };

/** Each has had its first denials already: it has asked for ever. */
async function deniedKubelets(service: ServiceProcess, admin: Agent, count: number): Promise<Retry> {
  const jobs: { token: string; body: Buffer }[] = [];
  await inParallel(count, 8, async (index) => {
    jobs.push({
      token: await nodeToken(service, admin, `enrolled-${String(index)}`),
      body: bodyOf(`wrong-${String(index)}`),
    });
  });
  // No client certificate, which would count before the token.
  const agent = new Agent({ connect: { ca: service.ca }, connections: 16, pipelining: 1 });
  for (let attempt = 0; attempt < 6; attempt += 1) {
    await inParallel(count, 16, async (index) => {
      const job = jobs[index];
      if (job !== undefined) await post(service.url, agent, job.body, job.token);
    });
  }
  return { agent, url: service.url, jobs };
}

async function retries(
  { agent, url, jobs }: Retry,
  { perMinute }: DeniedOptions,
  stopping: AbortSignal,
  answers: Map<number, number>,
): Promise<void> {
  const running: Promise<void>[] = [];
  const started = performance.now();
  for (let index = 0; !stopping.aborted; index += 1) {
    const job = jobs[index % jobs.length];
    if (job === undefined) return;
    const wait = started + (index * 60_000) / perMinute - performance.now();
    if (wait > 0) await sleep(wait);
    running.push(
      post(url, agent, job.body, job.token).then((status) => {
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }),
    );
  }
  await Promise.all(running);
}

async function post(url: string, agent: Agent, body: Buffer, token?: string): Promise<number> {
  const answer = await request(`${url}${collection}`, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      'content-type': 'application/vnd.kubernetes.protobuf',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body,
  });
  await answer.body.dump();
  return answer.statusCode;
}

function bodyOf(node: string): Buffer {
  const subject = [
    ['O', 'system:nodes'],
    ['CN', `system:node:${node}`],
  ] as const;
  return protobufCreateBody({
    name: '',
    generateName: 'csr-',
    requestPem: csrPem(newEcKey(), { subject }),
    signerName: kubeletClient,
    usages: ['digital signature', 'client auth'],
  });
}
