import { expect, it } from 'vitest';

import type { Ca, IssuedCertificate, PreparedCertificate } from '../../src/ca/types.js';
import type { CertificateRequest } from '../../src/csr/types.js';
import type { WriteTx } from '../../src/store/types.js';
import { admin, minuteMs } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';
import {
  administrator,
  authenticated,
  draft,
  eventually,
  kubeletClient,
  nodeIdentity,
  nodeSubject,
  type Service,
  startService,
  stored,
} from './support.js';

type Point = 'intend' | 'sign' | 'record';

/** The real rings, whose issuing dies at one point as long as `point` says so. */
function dyingAt(broken: { point: Point | undefined }): (ca: Ca) => Ca {
  const die = (point: Point): void => {
    if (broken.point === point) throw new Error(`the process died at ${point}`);
  };
  return (ca) => ({
    ...ca,
    issuing: {
      ...ca.issuing,
      intend: async (tx: WriteTx, prepared: PreparedCertificate) => {
        await ca.issuing.intend(tx, prepared);
        die('intend');
      },
      sign: async (prepared: PreparedCertificate) => {
        die('sign');
        return ca.issuing.sign(prepared);
      },
      record: async (tx: WriteTx, issued: IssuedCertificate) => {
        await ca.issuing.record(tx, issued);
        die('record');
      },
    },
  });
}

const ledgerStates = async ({ store }: Service): Promise<string[]> =>
  (
    await store.db
      .selectFrom('ledger')
      .select('state')
      .where('request_name', 'is not', null)
      .orderBy('created_at')
      .orderBy('state')
      .execute()
  ).map((row) => row.state);

describeEachStore('a crash while issuing', (open) => {
  it('before the intent is durable leaves no request and no ledger row', async () => {
    const broken = { point: 'intend' as Point | undefined };
    const service = await startService(await open(), { wrapCa: dyingAt(broken) });
    await expect(
      service.requests.submit(nodeIdentity('node-a'), draft(kubeletClient, nodeSubject('node-a'))),
    ).rejects.toThrow('died at intend');
    expect((await service.requests.list({})).items).toEqual([]);
    expect(await ledgerStates(service)).toEqual([]);
  });

  it.each<Point>(['sign', 'record'])(
    'at %s leaves a pending request that a restart issues with another serial',
    async (point) => {
      const broken = { point: point as Point | undefined };
      const store = await open();
      const service = await startService(store, { wrapCa: dyingAt(broken) });
      const who = await authenticated(
        service,
        await service.tokens.create({ node: { name: 'node-a', addresses: [], dnsNames: [] } }, admin),
      );
      const submitted = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
      expect((await submitted.settled).issued).toBeUndefined();
      const { name } = submitted.request.metadata;
      expect((await stored(service, name)).status).toEqual({});
      expect(await ledgerStates(service)).toEqual(['intended']);

      const restarted = await startService(store, { rooms: service });
      service.clock.set(service.clock.now().getTime() + 11 * minuteMs);
      await restarted.ca.recover();
      await restarted.requests.reconsider();
      expect((await stored(restarted, name)).status.certificate).toBeDefined();
      expect((await ledgerStates(restarted)).sort()).toEqual(['abandoned', 'issued']);
    },
  );

  it('after an approval by hand is made good at the next start', async () => {
    const broken = { point: 'sign' as Point | undefined };
    const store = await open();
    const service = await startService(store, { wrapCa: dyingAt(broken) });
    const { request } = await service.requests.submit(administrator, draft(kubeletClient, nodeSubject('node-a')));
    await service.requests.decide(request.metadata.name, 'Approved', { identity: administrator });
    await expect.poll(() => ledgerStates(service)).toEqual(['intended']);
    const restarted = await startService(store, { rooms: service });
    service.clock.set(service.clock.now().getTime() + 2 * minuteMs);
    await restarted.requests.reconsider();
    await eventually(restarted, request.metadata.name, ({ status }) => status.certificate !== undefined);
  });
});

describeEachStore('a request that changes while its certificate is being signed', (open) => {
  /** Does `meanwhile` between intent and signature. */
  const interrupted = (meanwhile: () => Promise<unknown>) => (ca: Ca) => ({
    ...ca,
    issuing: {
      ...ca.issuing,
      sign: async (prepared: PreparedCertificate) => {
        await meanwhile();
        return ca.issuing.sign(prepared);
      },
    },
  });

  it('keeps labels that were set, and stays denied or deleted', async () => {
    let meanwhile: () => Promise<unknown> = () => Promise.resolve();
    const service = await startService(await open(), { wrapCa: interrupted(() => meanwhile()) });
    /** A request that a person approves, so that it is there while its certificate is being signed. */
    const approve = async (change: (name: string) => Promise<unknown>): Promise<string> => {
      const { request } = await service.requests.submit(administrator, draft(kubeletClient, nodeSubject('node-a')));
      const { name } = request.metadata;
      const done = new Promise<void>((resolve) => {
        meanwhile = async () => {
          await change(name);
          resolve();
        };
      });
      await service.requests.decide(name, 'Approved', { identity: administrator });
      await done;
      return name;
    };

    const labelled = await approve((name) =>
      service.requests.update(
        name,
        (current) => ({ ...current, metadata: { ...current.metadata, labels: { a: 'b' } } }),
        { endpoint: 'main', identity: administrator },
      ),
    );
    await eventually(service, labelled, ({ status }) => status.certificate !== undefined);
    expect((await stored(service, labelled)).metadata.labels).toEqual({ a: 'b' });

    const failed = await approve((name) =>
      service.requests.update(
        name,
        (current) => ({
          ...current,
          status: { conditions: [...(current.status.conditions ?? []), { type: 'Failed', status: 'True' }] },
        }),
        { endpoint: 'status', identity: administrator },
      ),
    );
    await expect.poll(() => ledgerStates(service)).toEqual(['intended', 'issued']);
    expect((await stored(service, failed)).status.certificate).toBeUndefined();

    const deleted = await approve((name) => service.requests.delete(name, { identity: administrator }));
    await expect.poll(async () => (await ledgerStates(service)).sort()).toEqual(['intended', 'intended', 'issued']);
    await expect(service.requests.get(deleted)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describeEachStore('a request that is approved at once', (open) => {
  it('appears as created and as issued, in two changes', async () => {
    const store = await open();
    const service = await startService(store);
    const seen: [string, string | undefined][] = [];
    await store.feed.subscribe({ resource: 'certificatesigningrequests', after: store.feed.current() }, (change) => {
      const { metadata, status } = JSON.parse(change.object) as CertificateRequest;
      expect(metadata.resourceVersion).toBe(String(change.revision));
      seen.push([change.type, status.certificate === undefined ? undefined : 'issued']);
    });
    const who = await authenticated(
      service,
      await service.tokens.create({ node: { name: 'node-a', addresses: [], dnsNames: [] } }, admin),
    );
    const submitted = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    expect(submitted.request.status).toEqual({});
    expect((await submitted.settled).request.status.certificate).toBeDefined();
    await expect
      .poll(() => seen)
      .toEqual([
        ['ADDED', undefined],
        ['MODIFIED', 'issued'],
      ]);
  });

  it('whose name is taken claims nothing', async () => {
    const service = await startService(await open());
    const who = await authenticated(
      service,
      await service.tokens.create({ node: { name: 'node-a', addresses: [], dnsNames: [] } }, admin),
    );
    const same = { ...draft(kubeletClient, nodeSubject('node-a')), metadata: { name: 'same' } };
    await service.requests.submit(who, same);
    await expect(service.requests.submit(who, same)).rejects.toMatchObject({ code: 'already-exists' });
    expect(await ledgerStates(service)).toEqual(['issued']);
  });
});
