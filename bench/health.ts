import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { freePorts } from '../test/support/etcd.js';
import { type ServiceProcess, startServiceProcess } from '../test/support/service-process.js';
import { percentile, type Row } from './report.js';
import { benchStorm } from './storm.js';

type Probe = { readonly what: string; readonly latencies: number[]; ask(): Promise<void> };

/** How long health probes take while nothing happens, and while so many kubelets bootstrap at once. */
export async function benchHealth(kubelets: number): Promise<Row[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-health-'));
  const [port = 0] = await freePorts(1);
  const config = path.join(dataDir, 'config.yaml');
  const health = { listen: `127.0.0.1:${String(port)}` };
  writeFileSync(config, JSON.stringify({ apiVersion: 'rotunda.dev/v1alpha1', health }));
  const args = ['--listen', '127.0.0.1:0', '--config', config];
  const service = await startServiceProcess({ dataDir, args, env: { ROTUNDA_LOG_LEVEL: 'error' } });
  try {
    const idle = await probing(service, port, () => sleep(5000));
    const storm = await probing(service, port, () => benchStorm(service, kubelets));
    return [...rowsOf('idle', idle), ...rowsOf(`during ${String(kubelets)} bootstraps`, storm)];
  } finally {
    await service.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function rowsOf(when: string, probes: readonly Probe[]): Row[] {
  return probes.map(({ what, latencies }) => ({
    what: `${when}, ${what}: 99th percentile`,
    value: percentile(latencies, 0.99),
    unit: 'ms',
  }));
}

async function probing(service: ServiceProcess, port: number, work: () => Promise<unknown>): Promise<Probe[]> {
  const kept = new Agent({ connect: { ca: service.ca }, connections: 1 });
  const plain = new Agent({ connections: 1 });
  const ask = async (url: string, agent: Agent): Promise<void> => {
    const answer = await request(url, { dispatcher: agent });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`${url}: ${String(answer.statusCode)}`);
  };
  const onNew = async (): Promise<void> => {
    const agent = new Agent({ connect: { ca: service.ca, timeout: 60_000 }, connections: 1 });
    await ask(`${service.url}/readyz`, agent);
    await agent.destroy();
  };
  const probes: Probe[] = [
    { what: '/readyz over a kept connection', latencies: [], ask: () => ask(`${service.url}/readyz`, kept) },
    { what: '/readyz over a new connection', latencies: [], ask: onNew },
    {
      what: '/readyz of health.listen',
      latencies: [],
      ask: () => ask(`http://127.0.0.1:${String(port)}/readyz`, plain),
    },
  ];
  const over = new AbortController();
  const loops = probes.map(async (probe) => {
    while (!over.signal.aborted) {
      const start = performance.now();
      await probe.ask();
      probe.latencies.push(performance.now() - start);
      await sleep(50);
    }
  });
  await work();
  over.abort();
  await Promise.all(loops);
  await Promise.all([kept.destroy(), plain.destroy()]);
  return probes;
}
