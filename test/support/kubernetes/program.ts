import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const STOP_MS = 20_000;

export type ProgramOptions = {
  /** Names the process in errors, and its log `<dir>/<name>.log`. */
  readonly name: string;
  readonly dir: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The program is the one child of the one that is started here, which only waits for it: signals go to the child. */
  readonly inside?: boolean;
};

export type Program = {
  readonly name: string;
  readonly pid: number;
  /** Whether it has not ended yet. */
  running(): boolean;
  /** Everything that it has written. */
  log(): string;
  /** The exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, and SIGKILL where that does not end it in time. */
  stop(signal?: NodeJS.Signals): Promise<void>;
};

/** Starts a program that ends with the test: where the test's own process dies first, the kernel kills it. */
export function startProgram(options: ProgramOptions): Program {
  const logFile = path.join(options.dir, `${options.name}.log`);
  writeFileSync(logFile, '', { flag: 'a' });
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', options.path, ...options.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    cwd: options.dir,
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      appendFileSync(logFile, chunk);
    });
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('exit', (code) => {
      resolve(code);
    });
    child.once('error', reject);
  });
  // Who stops it awaits this; a failure to start shows in `running` and in the log until then.
  ended.catch((error: unknown) => {
    appendFileSync(logFile, `${String(error)}\n`);
  });
  return {
    name: options.name,
    pid: child.pid ?? 0,
    running: () => running(child),
    log: () => readFileSync(logFile, 'utf8'),
    ended,
    stop: async (signal = 'SIGTERM') => {
      if (!running(child)) return;
      const target = options.inside === true ? childOf(child.pid ?? 0) : (child.pid ?? 0);
      process.kill(target, signal);
      const timer = setTimeout(() => process.kill(target, 'SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function running(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** The only child of a process, by its number in this process's own namespace. */
export function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const first = Number(children.split(' ')[0]);
  if (!(first > 0)) throw new Error(`process ${pid} has no child`);
  return first;
}

/**
 * Asks again and again until there is an answer. A rejection counts as no answer yet. Throws what the last attempt
 * threw, with the ends of the programs' logs, when time runs out or one of the programs ends.
 */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | undefined> | T | undefined,
  options: { readonly timeoutMs?: number; readonly everyMs?: number; readonly programs?: readonly Program[] } = {},
): Promise<T> {
  const programs = options.programs ?? [];
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  let failure: unknown;
  for (;;) {
    try {
      const answer = await attempt();
      if (answer !== undefined) return answer;
    } catch (error) {
      failure = error;
    }
    const dead = programs.find((program) => !program.running());
    if (dead !== undefined || Date.now() > deadline) {
      const why = dead === undefined ? 'not in time' : `${dead.name} ended`;
      const logs = programs.map((program) => `== ${program.name}\n${program.log().slice(-6000)}`);
      throw new Error([`${what}: ${why}`, ...logs].join('\n'), { cause: failure });
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 200));
  }
}
