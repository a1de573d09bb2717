import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { ensureBuilt } from './build.mjs';
import { ensureNativeModules } from './native.mjs';
import { ensurePeers, OPTIONAL_PEERS } from './peers/ensure.mjs';
import { binary, root, runVisibly } from './run.mjs';

// `npm test [-- ARGUMENTS OF VITEST]`: finds or fetches what the tests run against, builds what is missing, runs the
// fast suites (`--project slow` for the others), and names every skip. ROTUNDA_TEST_COUNTS names a file for the counts.

/** What vitest's JSON report says, as counts and names. A file that could not even be loaded counts as one failure. */
function summarise(report) {
  const counts = { passed: 0, failed: 0, skipped: 0, skips: [] };
  for (const file of report.testResults) {
    const tests = file.assertionResults;
    for (const { status, fullName } of tests) {
      if (status === 'passed') counts.passed += 1;
      else if (status === 'failed') counts.failed += 1;
      else {
        counts.skipped += 1;
        counts.skips.push(`${relative(root, file.name)}: ${fullName.trim()}`);
      }
    }
    if (file.status === 'failed' && !tests.some(({ status }) => status === 'failed')) counts.failed += 1;
  }
  return counts;
}

function runSuites(args, peers) {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-test-'));
  const output = join(directory, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
    const ok = runVisibly(binary('vitest'), ['run', ...reporters, ...args], { ROTUNDA_PEERS: JSON.stringify(peers) });
    const counts = summarise(JSON.parse(readFileSync(output, 'utf8')));
    // An error outside any test fails the run although no test failed.
    if (!ok && counts.failed === 0) counts.failed = 1;
    return counts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function printPeers({ found, missing }) {
  const names = Object.entries(found).map(([name, { version, origin }]) => `${name} ${version} (${origin})`);
  process.stdout.write(`Test peers: ${names.join(', ')}\n`);
  for (const [name, reason] of Object.entries(missing)) {
    const note = OPTIONAL_PEERS.includes(name) ? 'optional peer' : 'peer';
    process.stdout.write(`Missing ${note}: ${name}: ${reason}\n`);
  }
}

function main() {
  if (!ensureNativeModules() || !ensureBuilt()) return false;
  const peers = {
    ...ensurePeers({ log: (line) => process.stderr.write(`Test peers: ${line}\n`) }),
    optional: OPTIONAL_PEERS,
  };
  printPeers(peers);
  const given = process.argv.slice(2);
  const project = given.some((argument) => argument.startsWith('--project')) ? [] : ['--project', 'fast'];
  const counts = runSuites([...project, ...given], peers);
  for (const skip of counts.skips) process.stdout.write(`Skipped: ${skip}\n`);
  process.stdout.write(`Tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  const file = process.env['ROTUNDA_TEST_COUNTS'];
  if (file) writeFileSync(file, JSON.stringify(counts));
  return counts.failed === 0;
}

process.exitCode = main() ? 0 : 1;
