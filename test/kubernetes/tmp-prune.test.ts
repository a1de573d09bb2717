import { renameSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createClusterClient } from '../../src/attach/client.js';
import { watchFrontProxy } from '../../src/attach/front-proxy-watch.js';
import { readKubeconfig } from '../../src/kubeconfig.js';
import { startCluster } from '../support/kubernetes/cluster.js';
import { addAnchor } from '../support/second-anchor.js';
import { logger } from '../ca/support.js';
const p = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
it('x', async () => {
  const cluster = await startCluster();
  const client = createClusterClient(readKubeconfig(cluster.kubeconfig));
  const ctx = cluster.rotunda.service.context;
  const oldPem = ctx.ca.bundle('kubernetes').pem;
  const next = await addAnchor(ctx, 'kubernetes');
  const f = cluster.pki.file('ca.crt');
  const put = (t: string) => { writeFileSync(f + '.n', t); renameSync(f + '.n', f); };
  put(oldPem + next); await sleep(3000);
  put(oldPem); await sleep(3000);
  const count = async () => { const m = await client.get<any>(p); return (m?.data['client-ca-file'].match(/BEGIN/g) ?? []).length + ' rv ' + m?.metadata.resourceVersion; };
  console.log('after add+remove', await count());
  const m = await client.get<any>(p);
  m.data['client-ca-file'] = oldPem;
  await client.replace(p, m);
  for (const t of [500, 2000, 5000, 70000]) { await sleep(t); console.log('after put', t, await count()); }
  put(oldPem + next); await sleep(3000); console.log('added again', await count());
  const w = watchFrontProxy(logger); w.follow(client); await sleep(1000);
  console.log('trust', w.source.current() !== undefined);
  const t0 = performance.now(); let lost = 0; const log: string[] = [];
  await client.remove(p);
  while (performance.now() - t0 < 6000) { const cur = w.source.current() !== undefined; const s = String(cur); if (log.at(-1)?.split(' ')[1] !== s) log.push(Math.round(performance.now() - t0) + ' ' + s); await sleep(5); }
  console.log('delete window', log, lost);
  await w.stop(); await client.close(); await cluster.stop(); expect(1).toBe(1);
}, 300000);
