import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, whatever the working directory is. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** A program of a dependency, without npx's start-up. */
export function binary(name) {
  const file = join(root, 'node_modules/.bin', name);
  if (!existsSync(file)) throw new Error(`${name} is not installed: run npm ci`);
  return file;
}

/** Runs a program in the foreground; true when it ended well. */
export function runVisibly(command, args, environment = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
  if (result.error) process.stderr.write(`error: ${command}: ${result.error.message}\n`);
  return result.status === 0;
}

/** Runs a program and keeps what it says. */
export function runQuietly(command, args, environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => (output += text));
    }
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (status) => resolve({ ok: status === 0, output }));
  });
}
