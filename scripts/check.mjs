import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { binary, root, runQuietly } from './run.mjs';

// `npm run check [-- NAME ...]`: everything about the source that a machine can judge, two checks at a time.

const redocly = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

/** `needs` is a file without which there is nothing to check. */
const CHECKS = [
  {
    name: 'types',
    command: 'tsc',
    args: ['--noEmit', '--incremental', '--tsBuildInfoFile', 'node_modules/.cache/typecheck.tsbuildinfo'],
  },
  { name: 'lint', command: 'eslint', args: ['.', '--max-warnings', '0'] },
  { name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'rooms', command: 'depcruise', args: ['--config', '.dependency-cruiser.cjs', 'src', 'migrations'] },
  { name: 'unused', command: 'knip', args: ['--no-progress'] },
  { name: 'openapi', command: 'tsx', args: ['scripts/openapi.ts', '--check'], needs: 'scripts/openapi.ts' },
  {
    name: 'openapi-lint',
    command: 'redocly',
    args: ['lint', 'openapi.yaml'],
    needs: 'openapi.yaml',
    environment: redocly,
  },
  { name: 'migrations', command: process.execPath, args: ['scripts/check-migrations.mjs'] },
];

async function perform({ name, command, args, environment }) {
  const started = performance.now();
  const program = command === process.execPath ? command : binary(command);
  const { ok, output } = await runQuietly(program, args, environment);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
  return { name, ok, output };
}

async function performAll(checks) {
  const waiting = [...checks];
  const results = [];
  const worker = async () => {
    for (let check = waiting.shift(); check; check = waiting.shift()) results.push(await perform(check));
  };
  await Promise.all([worker(), worker()]);
  return results;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !CHECKS.some((check) => check.name === name));
if (unknown.length > 0) {
  process.stderr.write(`error: no check ${unknown.join(', ')}\nhint: ${CHECKS.map(({ name }) => name).join(', ')}\n`);
  process.exit(1);
}
const chosen = CHECKS.filter(({ name, needs }) => {
  if (asked.length > 0 && !asked.includes(name)) return false;
  return needs === undefined || existsSync(join(root, needs));
});
const failures = (await performAll(chosen)).filter(({ ok }) => !ok);
for (const { name, output } of failures) process.stdout.write(`\n== ${name}\n${output.trimEnd()}\n`);
process.stdout.write(`\nChecks: ${chosen.length - failures.length} passed, ${failures.length} failed\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
