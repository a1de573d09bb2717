import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { type Io } from '../../src/cli/io.js';
import { runCli } from '../../src/cli/main.js';

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
};

const entry = fileURLToPath(new URL('entry.ts', import.meta.url));
const loader = import.meta.resolve('tsx');

/** The command line as a process of its own, bounded in time. */
export function rotunda(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, ['--import', loader, entry, ...args], {
    env: { PATH, ...options.env },
    cwd: options.cwd ?? process.cwd(),
    timeout: 25_000,
    stdio: 'pipe',
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, out, err });
    });
  });
}

/** The same in this process, without the start-up of another: for the many small cases. Flags only, no environment. */
export async function inProcess(args: readonly string[], options: Pick<RunOptions, 'input'> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    env: {},
    input: () => Promise.resolve(options.input ?? ''),
  };
  const code = await runCli(args, io);
  return { code, out, err };
}
