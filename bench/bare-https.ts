import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Agent, request } from 'undici';

import { cpuOfProcess, type ServiceProcess } from '../test/support/service-process.js';
import { inParallel, type Row } from './report.js';

const program = fileURLToPath(new URL('bare-server.ts', import.meta.url));
const count = 1500;
const width = 64;

/** What Node's bare HTTPS server costs on this machine in this run, with the service's own certificate. */
export async function benchBareHttps(service: ServiceProcess, dataDir: string): Promise<Row[]> {
  const ca = path.join(dataDir, 'bench-ca.pem');
  writeFileSync(ca, service.ca);
  const args = ['--import', 'tsx', program, path.join(dataDir, 'serving.pem'), ca];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => {
        reject(new Error('the bare server did not start'));
      });
      child.stdout.once('data', (chunk: Buffer) => {
        resolve(chunk.toString().trim());
      });
    });
    const url = `https://127.0.0.1:${port}/`;
    const kept = new Agent({ connect: { ca: service.ca }, connections: width, pipelining: 1 });
    const keptMs = await cpuPerRequest(child.pid ?? 0, () => get(url, kept));
    await kept.destroy();
    const newMs = await cpuPerRequest(child.pid ?? 0, async () => {
      const agent = new Agent({ connect: { ca: service.ca } });
      await get(url, agent);
      await agent.destroy();
    });
    return [
      { what: 'bare node HTTPS: one request on a kept connection', value: keptMs, unit: 'ms' },
      { what: 'bare node HTTPS: a new connection with one request', value: newMs, unit: 'ms' },
    ];
  } finally {
    child.removeAllListeners('exit');
    child.kill();
  }
}

async function get(url: string, dispatcher: Agent): Promise<void> {
  const answer = await request(url, { method: 'POST', dispatcher, body: 'x'.repeat(600) });
  await answer.body.dump();
}

async function cpuPerRequest(pid: number, call: () => Promise<void>): Promise<number> {
  await inParallel(count / 5, width, call);
  const before = cpuOfProcess(pid);
  await inParallel(count, width, call);
  return (cpuOfProcess(pid) - before) / count;
}
