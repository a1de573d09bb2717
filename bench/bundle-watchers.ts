import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Agent, request } from 'undici';

import { cpuOfProcess } from '../test/support/service-process.js';
import type { WatchOutcome, WatchPlan } from './bundle-watch-client.js';
import { percentile, type Row } from './report.js';

const changes = 3;
/** For the collector to find what the opening left behind. */
const settleMs = 3_000;

/**
 * So many clients that wait for a bundle, each over a TLS connection of its own, and what it takes from the beginning of
 * the change (a signature, a commit) until the last one has it whole. They stand in a process of their own, which shares
 * the machine with the service.
 */
export async function benchBundleWatchers(watchers: number, mode: WatchPlan['mode']): Promise<Row[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'rotunda-watchers-'));
  const server = startLines('bundle-watch-server.ts', path.join(directory, 'data'));
  let client: Lines | undefined;
  try {
    const { url, ca } = JSON.parse(await server.line()) as { url: string; ca: string };
    const { hostname: host, port } = new URL(url);
    const plan: WatchPlan = { host, port: Number(port), ca, watchers, mode, generation: 1 };
    writeFileSync(path.join(directory, 'plan.json'), JSON.stringify(plan));
    await sleep(settleMs);
    const before = memoryOf(server.child);
    client = startLines('bundle-watch-client.ts', path.join(directory, 'plan.json'));
    await client.line();
    await sleep(settleMs);
    const each = (memoryOf(server.child) - before) / watchers / 1000;
    const latencies: number[] = [];
    const failures: string[] = [];
    const health = watchHealth(url, ca);
    const cpu = cpuOfProcess(server.child.pid ?? 0);
    for (let change = 0; change < changes; change += 1) {
      client.child.stdin?.write('next\n');
      await client.line();
      server.child.stdin?.write('publish\n');
      const { at } = JSON.parse(await server.line()) as { at: number };
      const outcome = JSON.parse(await client.line()) as WatchOutcome;
      latencies.push(...outcome.times.map((time) => time - at));
      failures.push(...outcome.failures);
    }
    const used = cpuOfProcess(server.child.pid ?? 0) - cpu;
    const slowest = await health.stop();
    if (failures.length > 0) process.stderr.write(`${mode}: ${failures.slice(0, 3).join('\n')}\n`);
    const what = (text: string): string => `${String(watchers)} by ${mode}: ${text}`;
    return [
      { what: what('a bundle change until each has it, median'), value: percentile(latencies, 0.5), unit: 'ms' },
      { what: what('99th percentile'), value: percentile(latencies, 0.99), unit: 'ms', aim: 'under 5000 ms' },
      { what: what('the last'), value: Math.max(...latencies), unit: 'ms' },
      { what: what('not told'), value: watchers * changes - latencies.length, unit: '', aim: '0' },
      { what: what('server CPU for each'), value: (used / watchers / changes) * 1000, unit: 'µs' },
      { what: what('/healthz meanwhile on a kept connection, slowest'), value: slowest, unit: 'ms' },
      { what: what('memory for each, connection included'), value: each, unit: 'kB' },
    ];
  } finally {
    client?.child.kill();
    server.child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Lines = { readonly child: ChildProcess; line(): Promise<string> };

/** A program of this directory, which is spoken to in lines. */
function startLines(name: string, argument: string): Lines {
  const program = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, argument], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`${name} ended early`);
      return next.value;
    },
  };
}

function memoryOf({ pid = 0 }: ChildProcess): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** How long others wait meanwhile, milliseconds. */
function watchHealth(url: string, ca: string): { stop(): Promise<number> } {
  const agent = new Agent({ connect: { ca }, connections: 1 });
  let slowest = 0;
  const over = new AbortController();
  const looping = (async () => {
    while (!over.signal.aborted) {
      const start = performance.now();
      const answer = await request(`${url}/healthz`, { dispatcher: agent });
      await answer.body.dump();
      slowest = Math.max(slowest, performance.now() - start);
      await sleep(5);
    }
  })();
  return {
    stop: async () => {
      over.abort();
      await looping;
      await agent.destroy();
      return slowest;
    },
  };
}
