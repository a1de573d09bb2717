import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Command, Option } from 'commander';

import { type ServiceProcess, startServiceProcess } from '../test/support/service-process.js';
import { benchBareHttps } from './bare-https.js';
import { benchBootstrap } from './bootstrap.js';
import { benchBundleWatchers } from './bundle-watchers.js';
import { benchDenied } from './denied.js';
import { floorRows, measureFloor } from './floor.js';
import { benchGates } from './gates.js';
import { benchHealth } from './health.js';
import { benchHttps } from './https.js';
import { benchIdleWatches } from './idle-watches.js';
import { benchInProcess } from './in-process.js';
import { benchNotModified } from './not-modified.js';
import { report, type Section } from './report.js';
import { benchSimulation } from './simulate.js';
import { benchStorm } from './storm.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Command('bench')
  .description('Measures certificates per second and CPU per certificate, beside what this machine allows.')
  .option('--certificates <n>', 'certificates for (a) and (b)', Number, 6000)
  .option('--bootstraps <n>', 'kubelets for (c)', Number, 1500)
  .option('--storm <n>', 'kubelets that bootstrap all at once for (d)', Number, 5000)
  .option('--watches <n>', 'idle watches for (e)', Number, 5000)
  .option('--denied <n>', 'denied retries a minute for (f)', Number, 10_000)
  .addOption(
    new Option('--watchers <n>', 'clients that wait for a bundle for (h)')
      .env('ROTUNDA_BENCH_WATCHERS')
      .argParser(Number)
      .default(10_000),
  )
  .option('--not-modified <n>', 'readers that are told that nothing changed for (i)', Number, 20_000)
  .option('--consumers <n>', 'consumers for (k)', Number, 10_000)
  .option('--leaves <n>', 'rows of the ledger and the inventory for (k)', Number, 1_000_000)
  .option('--simulated <n>', 'certificates whose renewals are simulated for (l)', Number, 10_000_000)
  .parse()
  .opts<{
    certificates: number;
    bootstraps: number;
    storm: number;
    watches: number;
    denied: number;
    watchers: number;
    notModified: number;
    consumers: number;
    leaves: number;
    simulated: number;
  }>();

execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
const floor = measureFloor();
const sections: Section[] = [{ title: 'floor', rows: floorRows(floor) }];
sections.push({
  title: '(a) in process, CSR bytes to durable certificate',
  rows: await benchInProcess(floor, { certificates: options.certificates, width: 64 }),
});

/** A service of its own, so that no part finds what another left. */
async function withService(measure: (service: ServiceProcess, dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-bench-'));
  try {
    const service = await startServiceProcess({ dataDir, env: { ROTUNDA_LOG_LEVEL: 'warn' } });
    try {
      await measure(service, dataDir);
    } finally {
      await service.stop();
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

await withService(async (service, dataDir) => {
  sections.push({ title: 'floor of HTTPS', rows: await benchBareHttps(service, dataDir) });
  const https = await benchHttps(service, { certificates: options.certificates, connections: 64 });
  sections.push({ title: '(b) over HTTPS, keep-alive', rows: https });
  const bootstrap = await benchBootstrap(service, { nodes: options.bootstraps, width: 100 });
  sections.push({ title: '(c) kubelet bootstraps, a new TLS connection each', rows: bootstrap });
});
await withService(async (service) => {
  sections.push({ title: '(d) a fleet that bootstraps at once', rows: await benchStorm(service, options.storm) });
});
await withService(async (service) => {
  sections.push({ title: '(e) kubelets that wait', rows: await benchIdleWatches(service, options.watches) });
});
sections.push({
  title: '(f) kubelets that are denied and ask again for ever',
  rows: await benchDenied({ kubelets: 500, perMinute: options.denied, seconds: 15 }),
});
sections.push({ title: '(g) health probes', rows: await benchHealth(2000) });
for (const mode of ['long poll', 'events'] as const) {
  sections.push({
    title: `(h) a bundle change, by ${mode}`,
    rows: await benchBundleWatchers(options.watchers, mode),
  });
}
sections.push({ title: '(i) readers that have the bundle already', rows: await benchNotModified(options.notModified) });
sections.push({
  title: `(k) one look at a rotation: ${String(options.consumers)} consumers, ${String(options.leaves)} rows of the ledger`,
  rows: await benchGates(options),
});
sections.push({ title: '(l) renewals after a burst, simulated', rows: benchSimulation(options.simulated) });
report(sections, path.join(root, 'bench', 'results'));
