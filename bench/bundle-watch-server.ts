import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { configFrom } from '../src/config/load.js';
import { startService } from '../src/service/start.js';
import { publishing } from '../test/support/publishing.js';

// A service of its own process that publishes another bundle of the ring etcd for each line on standard input, and tells
// when it began to: what a rotation does, without its gates.

const now = (): number => performance.timeOrigin + performance.now();

const service = await startService(
  configFrom({
    apiVersion: 'rotunda.dev/v1alpha1',
    dataDir: process.argv[2] ?? '',
    listen: '127.0.0.1:0',
    log: { level: 'error' },
    // Everybody here comes from one address.
    limits: { anonymous: { perSecond: 1_000_000, burst: 1_000_000 } },
  }),
);
const { context } = service;
const publish = publishing(context);
const ca = context.ca.bundle(context.config.topology.kubernetesServer).pem;
const { ski } = context.ca.ring('etcd').active;
const next = await publish.stage('etcd');
const anchors = [[ski, next], [ski]];
process.stdout.write(
  `${JSON.stringify({ url: service.url, ca, admin: readFileSync(service.adminKubeconfig, 'utf8') })}\n`,
);
for await (const _line of createInterface({ input: process.stdin })) {
  const wanted = anchors.shift() ?? [ski];
  anchors.push(wanted);
  const at = now();
  const generation = await publish.change({ ring: 'etcd', anchors: wanted });
  process.stdout.write(`${JSON.stringify({ generation, at })}\n`);
}
await service.stop();
