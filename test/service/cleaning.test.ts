import { afterEach, expect, it } from 'vitest';

import type { Clock } from '../../src/clock.js';
import { startTestService, type TestClient, type TestService } from '../support/service.js';
import { describeWithPeer } from '../support/peers.js';
import { createDatabase, postgresVariable } from '../support/postgres.js';
import { describeEachDatabase } from '../support/stores.js';
import { openWatch } from '../support/watch.js';
import { csrPem, newEcKey } from '../support/pkcs10.js';

const hour = 3_600_000;
const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const key = newEcKey();

type MovedClock = Clock & { advance(ms: number): void };

/** A clock that starts now and that the test moves; its seconds are whole, as conditions have them. */
function movedClock(): MovedClock {
  let now = Math.floor(Date.now() / 1000) * 1000;
  return {
    now: () => new Date(now),
    advance: (ms) => {
      now += ms;
    },
  };
}

type Object = {
  metadata: { name: string; uid: string; deletionTimestamp?: string; finalizers?: string[] };
  spec: Record<string, unknown>;
  status: { conditions?: Record<string, string>[]; certificate?: string };
};

function body(
  name: string,
  signerName: string,
  extra: Record<string, unknown> = {},
  finalizers: string[] = [],
): unknown {
  const request = Buffer.from(csrPem(key, { subject: [['CN', name]] })).toString('base64');
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name, ...(finalizers.length === 0 ? {} : { finalizers }) },
    spec: { request, signerName, usages: ['digital signature', 'client auth'], ...extra },
  };
}

describeEachDatabase('cleaning up', (newDatabase) => {
  const started: TestService[] = [];
  afterEach(async () => {
    for (const service of started.splice(0)) await service.stop();
  });

  type Started = { readonly service: TestService; readonly clock: MovedClock; readonly admin: TestClient };

  const start = async (
    config: Record<string, unknown> = {},
    storeUrl?: string,
    moved = movedClock(),
  ): Promise<Started> => {
    const url = storeUrl ?? (await newDatabase());
    const service = await startTestService({ storeUrl: url, config, overrides: { clock: moved } });
    started.push(service);
    return { service, clock: moved, admin: service.client(service.admin) };
  };

  const create = async (
    admin: TestClient,
    name: string,
    signer = 'kubernetes.io/kube-apiserver-client',
    extra = {},
    finalizers: string[] = [],
  ) => {
    const answer = await admin.send('POST', collection, { body: body(name, signer, extra, finalizers) });
    expect(answer.status).toBe(201);
    return answer.json<Object>();
  };

  const read = async (admin: TestClient, name: string): Promise<Object> =>
    (await admin.send('GET', `${collection}/${name}`)).json<Object>();

  const decide = async (
    admin: TestClient,
    name: string,
    type: string,
    times: Record<string, string> = {},
    endpoint = 'approval',
  ) => {
    const object = await read(admin, name);
    object.status.conditions = [
      ...(object.status.conditions ?? []),
      { type, status: 'True', reason: 'Test', message: 'test', ...times },
    ];
    const answer = await admin.send('PUT', `${collection}/${name}/${endpoint}`, { body: object });
    expect(answer.status).toBe(200);
  };

  const issued = async (admin: TestClient, name: string): Promise<Object> => {
    for (;;) {
      const object = await read(admin, name);
      if (object.status.certificate !== undefined) return object;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  const names = async (admin: TestClient): Promise<string[]> => {
    const { items } = (await admin.send('GET', collection)).json<{ items: Object[] }>();
    return items.map(({ metadata }) => metadata.name).sort();
  };

  it("keeps upstream's times", async () => {
    const { service, clock, admin } = await start();
    for (const name of ['issued', 'denied', 'failed', 'pending']) await create(admin, name);
    await create(admin, 'unissued', 'example.com/nobody');
    await decide(admin, 'issued', 'Approved');
    await issued(admin, 'issued');
    await decide(admin, 'denied', 'Denied');
    await decide(admin, 'failed', 'Failed', {}, 'status');
    await decide(admin, 'unissued', 'Approved');

    clock.advance(hour - 1000);
    await service.service.maintain();
    expect(await names(admin)).toEqual(['denied', 'failed', 'issued', 'pending', 'unissued']);

    clock.advance(2000);
    await service.service.maintain();
    expect(await names(admin)).toEqual(['pending', 'unissued']);

    clock.advance(23 * hour - 3000);
    await service.service.maintain();
    expect(await names(admin)).toEqual(['pending', 'unissued']);

    clock.advance(4000);
    await service.service.maintain();
    expect(await names(admin)).toEqual([]);
    const certificates = await service.service.context.store.db
      .selectFrom('certificates')
      .select('serial')
      .where('request_name', '=', 'issued')
      .execute();
    expect(certificates).toHaveLength(1);
    const events = await service.service.context.store.db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'request.cleaned')
      .orderBy('sequence')
      .execute();
    expect(events.map(({ detail }) => JSON.parse(detail) as unknown)).toEqual([
      { deleted: { denied: 1, failed: 1, issued: 1 } },
      { deleted: { pending: 1, approved: 1 } },
    ]);
  });

  it('counts from the condition, wherever it was set, and not from times to come', async () => {
    const { service, clock, admin } = await start();
    for (const name of ['backdated', 'postdated', 'edited']) await create(admin, name);
    const at = (ms: number): string => `${new Date(clock.now().getTime() + ms).toISOString().slice(0, 19)}Z`;
    await decide(admin, 'backdated', 'Denied', { lastUpdateTime: at(-2 * hour) });
    await decide(admin, 'postdated', 'Denied', { lastUpdateTime: at(1000 * hour) });
    await decide(admin, 'edited', 'Denied');
    await service.service.maintain();
    expect(await names(admin)).toEqual(['edited', 'postdated']);

    clock.advance(hour / 2);
    const edited = await read(admin, 'edited');
    await admin.send('PUT', `${collection}/edited`, {
      body: { ...edited, metadata: { ...edited.metadata, labels: { a: 'b' } } },
    });
    clock.advance(hour / 2 + 1000);
    await service.service.maintain();
    expect(await names(admin)).toEqual([]);
  });

  it('deletes an issued request when its certificate expires', async () => {
    const { service, clock, admin } = await start({ requests: { retention: { issued: '30d' } } });
    await create(admin, 'short', 'kubernetes.io/kube-apiserver-client', { expirationSeconds: 600 });
    await create(admin, 'long');
    for (const name of ['short', 'long']) {
      await decide(admin, name, 'Approved');
      await issued(admin, name);
    }
    clock.advance(500_000);
    await service.service.maintain();
    expect(await names(admin)).toEqual(['long', 'short']);
    clock.advance(200_000);
    await service.service.maintain();
    expect(await names(admin)).toEqual(['long']);
  });

  it('tells watches, and waits for finalizers', async () => {
    const { service, clock, admin } = await start();
    await create(admin, 'plain');
    await create(admin, 'held-back', 'example.com/nobody', {}, ['example.com/wait']);
    const { metadata } = (await admin.send('GET', collection)).json<{ metadata: { resourceVersion: string } }>();
    const watch = await openWatch(
      `${service.url}${collection}?watch=true&resourceVersion=${metadata.resourceVersion}`,
      {
        dispatcher: admin.agent,
      },
    );
    clock.advance(24 * hour + 1000);
    await service.service.maintain();
    const events = await watch.until(2);
    watch.close();
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`).sort()).toEqual([
      'DELETED plain',
      'MODIFIED held-back',
    ]);
    const waiting = await read(admin, 'held-back');
    expect(waiting.metadata.deletionTimestamp).toBeDefined();
    await admin.send('PUT', `${collection}/held-back`, {
      body: { ...waiting, metadata: { ...waiting.metadata, finalizers: [] } },
    });
    expect(await names(admin)).toEqual([]);
  });

  it('works out again what another retention or an earlier version left', async () => {
    const url = await newDatabase();
    const first = await start({}, url);
    await create(first.admin, 'denied');
    await decide(first.admin, 'denied', 'Denied');
    await create(first.admin, 'old');
    await first.service.service.maintain();
    const { store } = first.service.service.context;
    await store.write(({ db }) =>
      db.updateTable('requests').set({ clean_after: null }).where('name', '=', 'old').execute(),
    );
    await first.service.stop();
    started.splice(0);

    const second = await start({ requests: { retention: { denied: '48h', pending: '1h' } } }, url, first.clock);
    first.clock.advance(2 * hour);
    await second.service.service.maintain();
    expect(await names(second.admin)).toEqual(['denied']);
    first.clock.advance(48 * hour);
    await second.service.service.maintain();
    expect(await names(second.admin)).toEqual([]);
  });

  it('does not believe a clock that jumps, until it has stayed so for an hour', async () => {
    let elapsed = 0;
    const moved = movedClock();
    const clock = { ...moved, monotonic: () => elapsed };
    const pass = (ms: number): void => {
      moved.advance(ms);
      elapsed += ms;
    };
    const { service, admin } = await start({}, undefined, clock);
    await create(admin, 'pending');
    await service.service.maintain();

    moved.advance(100 * 24 * hour);
    await service.service.maintain();
    pass(hour / 2);
    await service.service.maintain();
    expect(await count(service)).toBe(1);
    expect(await service.service.context.metrics.render()).toContain('rotunda_cleaning_paused 1');

    moved.advance(-100 * 24 * hour);
    await service.service.maintain();
    pass(hour + 1000);
    await service.service.maintain();
    expect(await count(service)).toBe(1);
    expect(await service.service.context.metrics.render()).toContain('rotunda_cleaning_paused 0');

    moved.advance(24 * hour);
    await service.service.maintain();
    expect(await count(service)).toBe(1);
    pass(hour + 1000);
    await service.service.maintain();
    expect(await count(service)).toBe(0);
  });

  it('goes on after it was stopped halfway, and deletes nothing twice', async () => {
    const url = await newDatabase();
    const first = await start({}, url);
    await create(first.admin, 'model', 'example.com/nobody');
    await multiply(first.service, 400);
    first.clock.advance(24 * hour + 1000);
    const cleaning = first.service.service.maintain();
    while ((await count(first.service)) > 350) await new Promise((resolve) => setTimeout(resolve, 1));
    await first.service.stop();
    await cleaning;
    started.splice(0);

    const second = await start({}, url, first.clock);
    const left = await count(second.service);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(401);
    await second.service.service.maintain();
    expect(await count(second.service)).toBe(0);
    expect(await deletions(second.service)).toBe(401);
  });
});

describeWithPeer('postgresBin', 'cleaning up with two replicas (PostgreSQL)', () => {
  it('is done by one of them', async () => {
    const { url, drop } = await createDatabase(process.env[postgresVariable] ?? '');
    const clock = movedClock();
    const services: TestService[] = [];
    try {
      for (let replica = 0; replica < 2; replica += 1)
        services.push(await startTestService({ storeUrl: url, overrides: { clock } }));
      const [one, other] = services;
      if (one === undefined || other === undefined) throw new Error('there are two');
      const answer = await one
        .client(one.admin)
        .send('POST', collection, { body: body('model', 'example.com/nobody') });
      expect(answer.status).toBe(201);
      await multiply(one, 400);
      clock.advance(24 * hour + 1000);
      await Promise.all(services.map(({ service }) => service.maintain()));
      expect(await count(one)).toBe(0);
      expect(await deletions(one)).toBe(401);
      const lease = ({ service }: TestService) =>
        service.context.store.db
          .selectFrom('leases')
          .select('epoch')
          .where('name', '=', 'cleaning')
          .executeTakeFirstOrThrow();
      const { epoch } = await lease(one);

      // The holder stops and the other one takes over without waiting for the lease's end.
      const holder = services.shift();
      await holder?.stop();
      await other.service.maintain();
      expect((await lease(other)).epoch).toBeGreaterThanOrEqual(epoch);
    } finally {
      for (const service of services) await service.stop();
      await drop();
    }
  });
});

/** Copies the one request that there is, as if so many had been made at the same time. */
async function multiply({ service }: TestService, copies: number): Promise<void> {
  const { store } = service.context;
  await store.write(async ({ db }) => {
    const model = await db.selectFrom('requests').selectAll().executeTakeFirstOrThrow();
    for (let copy = 0; copy < copies; copy += 1) {
      const name = `copy-${String(copy)}`;
      const object = JSON.parse(model.object) as Object;
      object.metadata.name = name;
      object.metadata.uid = name;
      await db
        .insertInto('requests')
        .values({ ...model, name, uid: name, object: JSON.stringify(object) })
        .execute();
    }
  });
}

async function count({ service }: TestService): Promise<number> {
  const { db } = service.context.store;
  const row = await db
    .selectFrom('requests')
    .select((e) => e.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return row.count;
}

async function deletions({ service }: TestService): Promise<number> {
  const { db } = service.context.store;
  const rows = await db.selectFrom('changes').select('name').where('type', '=', 'DELETED').execute();
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  return rows.filter(({ name }) => name === 'model' || name.startsWith('copy-')).length;
}
