import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Command } from 'commander';

import { startServiceProcess } from '../test/support/service-process.js';
import { benchBareHttps } from './bare-https.js';
import { benchBootstrap } from './bootstrap.js';
import { floorRows, measureFloor } from './floor.js';
import { benchHttps } from './https.js';
import { benchInProcess } from './in-process.js';
import { report, type Section } from './report.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Command('bench')
  .description('Measures certificates per second and CPU per certificate, beside what this machine allows.')
  .option('--certificates <n>', 'certificates for (a) and (b)', Number, 6000)
  .option('--bootstraps <n>', 'kubelets for (c)', Number, 1500)
  .parse()
  .opts<{ certificates: number; bootstraps: number }>();

execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
const floor = measureFloor();
const sections: Section[] = [{ title: 'floor', rows: floorRows(floor) }];
sections.push({
  title: '(a) in process, CSR bytes to durable certificate',
  rows: await benchInProcess(floor, { certificates: options.certificates, width: 64 }),
});
const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-bench-'));
const service = await startServiceProcess({ dataDir, env: { ROTUNDA_LOG_LEVEL: 'warn' } });
try {
  sections.push({ title: 'floor of HTTPS', rows: await benchBareHttps(service, dataDir) });
  const https = await benchHttps(service, { certificates: options.certificates, connections: 64 });
  sections.push({ title: '(b) over HTTPS, keep-alive', rows: https });
  const bootstrap = await benchBootstrap(service, { nodes: options.bootstraps, width: 100 });
  sections.push({ title: '(c) kubelet bootstraps, a new TLS connection each', rows: bootstrap });
} finally {
  await service.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
report(sections, path.join(root, 'bench', 'results'));
