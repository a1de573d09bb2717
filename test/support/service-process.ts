import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readKubeconfig, type TlsCredential } from './service.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type ServiceProcess = {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ca: string;
  readonly admin: TlsCredential;
  /** What it printed on standard output up to now. */
  output(): string;
  /** User and system time of all its threads so far, in milliseconds. */
  cpuMs(): number;
  /** Resident memory, in bytes. */
  memory(): number;
  /** Sends the signal and waits for the end; resolves to the exit code, null when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

export type ProcessOptions = {
  readonly dataDir: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly startTimeoutMs?: number;
};

/** Runs the built service as its own process (dist must be there) and waits until it listens. */
export async function startServiceProcess(options: ProcessOptions): Promise<ServiceProcess> {
  const main = path.join(root, 'dist', 'src', 'main.js');
  const args = ['--data-dir', options.dataDir, ...(options.args ?? ['--listen', '127.0.0.1:0'])];
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const url = await listening(
    child,
    () => text,
    () => errors,
    options.startTimeoutMs ?? 30_000,
  );
  const kubeconfig = readKubeconfig(readFileSync(path.join(options.dataDir, 'admin.kubeconfig'), 'utf8'));
  return {
    child,
    url,
    ca: kubeconfig.ca,
    admin: kubeconfig.admin,
    output: () => text,
    cpuMs: () => cpuOfProcess(child.pid ?? 0),
    memory: () => memory(child.pid ?? 0),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

async function listening(
  child: ChildProcess,
  text: () => string,
  errors: () => string,
  timeoutMs: number,
): Promise<string> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const url = /listening on (https:\S+)/.exec(text())?.[1];
    // The whole welcome is there once the next commands are.
    if (url !== undefined && text().includes('Next:')) return url;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the service ended: ${errors()}`);
    if (Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`the service did not start: ${errors()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** User and system time of a process's threads in milliseconds; proc(5): fields 14 and 15 of stat, in ticks of 10 ms. */
export function cpuOfProcess(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memory(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}
