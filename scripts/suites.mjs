import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { binary, root, runVisibly } from './run.mjs';

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

/** Runs vitest with these arguments in the foreground, and counts. */
export function runSuites(args, environment) {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-test-'));
  const output = join(directory, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
    const ok = runVisibly(binary('vitest'), ['run', ...reporters, ...args], environment);
    const counts = summarise(JSON.parse(readFileSync(output, 'utf8')));
    // An error outside any test fails the run although no test failed.
    if (!ok && counts.failed === 0) counts.failed = 1;
    return counts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Names every skip and prints the counts; ROTUNDA_TEST_COUNTS names a file for them. True when nothing failed. */
export function report(counts) {
  for (const skip of counts.skips) process.stdout.write(`Skipped: ${skip}\n`);
  process.stdout.write(`Tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  const file = process.env['ROTUNDA_TEST_COUNTS'];
  if (file) writeFileSync(file, JSON.stringify(counts));
  return counts.failed === 0;
}
