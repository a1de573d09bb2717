import { ensureBuilt } from './build.mjs';
import { ensureNativeModules } from './native.mjs';
import { ensurePeers, OPTIONAL_PEERS } from './peers/ensure.mjs';
import { report, runSuites } from './suites.mjs';

// `npm test [-- ARGUMENTS OF VITEST]`: finds or fetches what the tests run against, builds what is missing, runs the
// fast suites (`--project slow` for the others), and names every skip. ROTUNDA_TEST_COUNTS names a file for the counts.

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
  return report(runSuites([...project, ...given], { ROTUNDA_PEERS: JSON.stringify(peers) }));
}

process.exitCode = main() ? 0 : 1;
