import { ensureBuilt } from './build.mjs';
import { ensurePrograms } from './kubernetes/ensure.mjs';
import { ensureNativeModules } from './native.mjs';
import { ensurePeers, OPTIONAL_PEERS } from './peers/ensure.mjs';
import { report, runSuites } from './suites.mjs';

// `npm run test:kubernetes [-- ARGUMENTS OF VITEST]`: builds a real control plane, kubelet, kubeadm and kubectl of one
// release from their published Go modules where they are not in the cache yet, and runs the suites against them.
// What this machine cannot have (Go, root, containerd) is a skip that is named, in CI too. `--build-only` stops there.

const log = (line) => process.stderr.write(`Kubernetes: ${line}\n`);

async function main() {
  const given = process.argv.slice(2);
  const kubernetes = await ensurePrograms({ log });
  for (const [name, reason] of Object.entries(kubernetes.missing)) {
    process.stdout.write(`Missing optional peer: ${name}: ${reason}\n`);
  }
  if (given.includes('--build-only')) return true;
  if (!ensureNativeModules() || !ensureBuilt()) return false;
  const peers = { ...ensurePeers({ log }), optional: OPTIONAL_PEERS };
  const environment = { ROTUNDA_PEERS: JSON.stringify(peers), ROTUNDA_KUBERNETES: JSON.stringify(kubernetes) };
  // One file at a time: each starts a control plane, and two cores carry one.
  return report(runSuites(['--project', 'kubernetes', '--no-file-parallelism', ...given], environment));
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 1;
}
