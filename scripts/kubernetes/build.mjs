import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** One program may take this long: the first one compiles nearly everything. */
const STEP_TIMEOUT_MS = 25 * 60_000;
const PROGRESS_MS = 60_000;

/**
 * Compiles one program to `target` with its module's pinned versions: go.sum beside it holds every hash, and nothing
 * that is not in it is used. Written aside and renamed, so that a build that was broken off leaves nothing behind.
 * Rejects with the compiler's last words.
 */
export async function build({ go, program, target, log }) {
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}`;
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const name = basename(target);
  log(`building ${name}`);
  const progress = setInterval(() => log(`still building ${name} (${seconds()} s)`), PROGRESS_MS);
  try {
    await compile({ go, program, partial });
    renameSync(partial, target);
    log(`built ${name} in ${seconds()} s`);
  } finally {
    clearInterval(progress);
    rmSync(partial, { force: true });
  }
}

function compile({ go, program, partial }) {
  const environment = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=readonly -buildvcs=false -trimpath',
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
  };
  const args = ['-n', '10', go, 'build', '-ldflags', program.linkerFlags, '-o', partial, program.package];
  return new Promise((resolve, reject) => {
    const child = spawn('nice', args, {
      cwd: program.module,
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: STEP_TIMEOUT_MS,
    });
    let words = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => (words = (words + text).slice(-4000)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(signal === null ? lastLines(words) : `ended by ${signal}: ${lastLines(words)}`));
    });
  });
}

const lastLines = (text) => text.trim().split('\n').slice(-5).join('\n');
