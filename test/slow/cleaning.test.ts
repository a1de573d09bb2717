import { monitorEventLoopDelay } from 'node:perf_hooks';

import { sql } from 'kysely';
import { expect, it } from 'vitest';

import { startTestService } from '../support/service.js';
import { describeEachDatabase } from '../support/stores.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';

const rows = Number(process.env['ROTUNDA_SLOW_ROWS'] ?? '50000');
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

describeEachDatabase(`a backlog of ${String(rows)} requests`, (newDatabase) => {
  it('goes in small steps, with memory flat and the service answering', { timeout: 1_800_000 }, async () => {
    let now = Date.now();
    const service = await startTestService({
      storeUrl: await newDatabase(),
      overrides: { clock: { now: () => new Date(now) } },
    });
    const admin = service.client(service.admin);
    const { store, requests } = service.service.context;
    const model = await admin.send('POST', collection, {
      body: {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name: 'model', annotations: { filler: 'x'.repeat(1500) } },
        spec: {
          request: Buffer.from(csrPem(newEcKey(), { subject: [['CN', 'model']] })).toString('base64'),
          signerName: 'example.com/nobody',
          usages: ['client auth'],
        },
      },
    });
    expect(model.status).toBe(201);
    for (let made = 0; made < rows; made += 10_000) {
      const numbers =
        store.engine === 'sqlite'
          ? sql`(with recursive n(i) as (select ${sql.lit(made)} union all select i + 1 from n where i < ${sql.lit(made + 9999)}) select i from n)`
          : sql`(select i from generate_series(${sql.lit(made)}, ${sql.lit(made + 9999)}) as n(i))`;
      await store.write(({ db }) =>
        sql`insert into requests (name, uid, revision, signer_name, username, state, held, requester, created_at, updated_at, clean_after, object)
          select 'copy-' || n.i, 'uid-' || n.i, m.revision, m.signer_name, m.username, m.state, m.held, m.requester, m.created_at, m.updated_at, m.clean_after, m.object
          from requests m, ${numbers} n where m.name = 'model'`.execute(db),
      );
    }
    now += 25 * 3_600_000;
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const before = process.memoryUsage().rss;
    const started = performance.now();
    let most = before;
    /** Once caches are full, after the first fifth. */
    let settled = before;
    const latencies: number[] = [];
    const steps: number[] = [];
    for (let step = 0, more = true; more; step += 1) {
      const begun = performance.now();
      ({ more } = await requests.cleaner.step(() => Promise.resolve(true)));
      steps.push(performance.now() - begun);
      if (step % 100 !== 0) continue;
      const asked = performance.now();
      expect((await admin.send('GET', '/readyz')).status).toBe(200);
      latencies.push(performance.now() - asked);
      most = Math.max(most, process.memoryUsage().rss);
      if (step * 50 < rows / 5) settled = most;
    }
    const left = await store.db
      .selectFrom('requests')
      .select((e) => e.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    const quantile = (samples: number[], share: number): string =>
      (samples.sort((a, b) => a - b)[Math.floor(samples.length * share)] ?? 0).toFixed(1);
    process.stdout.write(
      `${store.engine}: ${String(rows)} requests in ${((performance.now() - started) / 1000).toFixed(0)} s, step median ${quantile(steps, 0.5)} ms, ` +
        `p99 ${quantile(steps, 0.99)} ms, /readyz p99 ${quantile(latencies, 0.99)} ms, loop p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, ` +
        `memory ${(before / 1e6).toFixed(0)} MB, after a fifth ${(settled / 1e6).toFixed(0)} MB, at most ${(most / 1e6).toFixed(0)} MB\n`,
    );
    expect(left.count).toBe(0);
    // What grew with the number of requests would grow five times as much.
    expect(most - settled).toBeLessThan(200e6);
    await service.stop();
  });
});
