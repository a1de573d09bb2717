import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { request } from 'undici';

import { protobufCreateBody } from '../test/support/kubelet-wire.js';
import { csrPem, newEcKey } from '../test/support/pkcs10.js';
import type { ServiceProcess } from '../test/support/service-process.js';
import { agentWith, nodeToken } from './https.js';
import { inParallel, percentile, type Row } from './report.js';
import type { StormJob, StormOutcome, StormPlan } from './storm-client.js';

const program = fileURLToPath(new URL('storm-client.ts', import.meta.url));
const sampleMs = 200;

/**
 * Kubelets that bootstrap all at once, each over a TLS connection of its own: POST (protobuf), GET with the field selector,
 * WatchList until the certificate is there; a 429 is waited out as client-go does. Keys, requests and bound tokens are
 * made before: kubelets make theirs elsewhere.
 */
export async function benchStorm(service: ServiceProcess, kubelets: number): Promise<Row[]> {
  const admin = agentWith(service, service.admin);
  const jobs: StormJob[] = [];
  await inParallel(kubelets, 16, async (index) => {
    const name = `storm-${String(index)}`;
    jobs.push({ token: await nodeToken(service, admin, name), body: bodyOf(name).toString('base64') });
  });
  await admin.destroy();
  const url = new URL(service.url);
  const plan: StormPlan = { host: url.hostname, port: Number(url.port), ca: service.ca, jobs };
  const health = watchHealth(service);
  const cpu = service.cpuMs();
  const { outcome, seconds } = await runStorm(plan);
  const used = service.cpuMs() - cpu;
  const { memory, slowest } = await health.stop();
  const { latencies, failures } = outcome;
  if (failures.length > 0) process.stderr.write(`storm: ${failures.slice(0, 3).join('\n')}\n`);
  return [
    {
      what: `${String(kubelets)} bootstraps at once, all done after`,
      value: seconds,
      unit: 's',
      aim: 'at most 30 s for 5000',
    },
    { what: 'failed', value: failures.length, unit: '', aim: '0' },
    { what: 'server CPU per bootstrap', value: used / kubelets, unit: 'ms', aim: 'at most 3 ms' },
    { what: 'latency, median', value: percentile(latencies, 0.5), unit: 'ms' },
    { what: 'latency, 99th percentile', value: percentile(latencies, 0.99), unit: 'ms' },
    { what: 'memory of the server, most', value: memory / 1e6, unit: 'MB', aim: 'under 400 MB' },
    { what: '/healthz meanwhile on a kept connection, slowest', value: slowest, unit: 'ms' },
  ];
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
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature', 'client auth'],
  });
}

/** Starts the storm's process, lets it begin when it is ready, and reads what it found. */
async function runStorm(plan: StormPlan): Promise<{ outcome: StormOutcome; seconds: number }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-storm-'));
  const file = path.join(directory, 'plan.json');
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 });
  const child = spawn(process.execPath, ['--import', 'tsx', program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  try {
    await nextLine(lines, child);
    const start = performance.now();
    child.stdin.write('go\n');
    const text = await nextLine(lines, child);
    return { outcome: JSON.parse(text) as StormOutcome, seconds: (performance.now() - start) / 1000 };
  } finally {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

function nextLine(lines: Interface, child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    lines.once('line', resolve);
    child.once('exit', () => {
      reject(new Error('the storm ended early'));
    });
  });
}

type Health = { readonly memory: number; readonly slowest: number };

/** Looks at the service's memory and at how long /healthz takes, until stopped. */
function watchHealth(service: ServiceProcess): { stop(): Promise<Health> } {
  const agent = agentWith(service, service.admin);
  let memory = service.memory();
  let slowest = 0;
  let running = true;
  const loop = async (): Promise<void> => {
    while (running) {
      const start = performance.now();
      const answer = await request(`${service.url}/healthz`, { dispatcher: agent });
      await answer.body.dump();
      slowest = Math.max(slowest, performance.now() - start);
      memory = Math.max(memory, service.memory());
      await new Promise((resolve) => setTimeout(resolve, sampleMs));
    }
  };
  const looping = loop();
  return {
    stop: async () => {
      running = false;
      await looping;
      await agent.destroy();
      return { memory, slowest };
    },
  };
}
