import { expect, it } from 'vitest';

import type { Ca, CertificateFilter, LeafOrder } from '../../src/ca/types.js';
import { describeEachStore } from '../support/stores.js';
import { dayMs, issue, leafOrder, startCa, testClock } from './support.js';

const member = (name: string, address: string): Partial<LeafOrder> => ({
  ring: 'etcd',
  profile: 'etcd.rotunda.dev/peer',
  subject: [{ oid: '2.5.4.3', value: name }],
  commonName: name,
  names: [
    { kind: 'dns', value: `${name}.etcd.example` },
    { kind: 'ip', value: address },
  ],
  cluster: 'main',
  member: name,
});

describeEachStore('the inventory', (open) => {
  const setUp = async () => {
    const store = await open();
    const clock = testClock();
    const now = clock.now().getTime();
    const ca = await startCa(store, { clock });
    const orders: Partial<LeafOrder>[] = [
      { notAfter: now + 10 * dayMs },
      { notAfter: now + 20 * dayMs, node: 'worker-2', commonName: 'system:node:worker-2' },
      { ...member('etcd-1', '10.0.0.1'), notAfter: now + 30 * dayMs },
      { ...member('etcd-2', '2001:db8::2'), notAfter: now + 40 * dayMs },
    ];
    const serials: string[] = [];
    for (const order of orders) serials.push((await issue(store, ca, leafOrder(order))).prepared.serial);
    const found = async (filter: Partial<CertificateFilter>) =>
      (await ca.certificates.list({ limit: 10, ...filter })).items.map((item) => serials.indexOf(item.serial)).sort();
    return { store, ca, now, serials, found };
  };

  it('is searched by everything that people know of a certificate', async () => {
    const { found, serials, now } = await setUp();
    expect(await found({})).toEqual([0, 1, 2, 3]);
    expect(await found({ ring: 'etcd' })).toEqual([2, 3]);
    expect(await found({ node: 'worker-2' })).toEqual([1]);
    expect(await found({ cluster: 'main', member: 'etcd-2' })).toEqual([3]);
    expect(await found({ profile: 'etcd.rotunda.dev/peer' })).toEqual([2, 3]);
    expect(await found({ serial: serials[2]?.toUpperCase() ?? '' })).toEqual([2]);
    expect(await found({ name: 'etcd-1' })).toEqual([2]);
    expect(await found({ name: 'etcd-2.etcd.example' })).toEqual([3]);
    expect(await found({ name: 'etcd-2.etcd' })).toEqual([]);
    expect(await found({ address: '10.0.0.1' })).toEqual([2]);
    expect(await found({ address: '2001:0DB8:0:0::2' })).toEqual([3]);
    expect(await found({ expiresBefore: now + 20 * dayMs })).toEqual([0, 1]);
    expect(await found({ expiresAfter: now + 20 * dayMs, ring: 'kubernetes' })).toEqual([]);
    expect(await found({ expiresAfter: now + 20 * dayMs })).toEqual([2, 3]);
  });

  it.each(['10.0.0.256', '010.0.0.1', '10.0.0.0/8', 'etcd-1', ''])('refuses %j as an address', async (address) => {
    const { ca } = await setUp();
    await expect(ca.certificates.list({ limit: 1, address })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('comes in pages, each certificate once', async () => {
    const { ca, serials } = await setUp();
    const seen: string[] = [];
    let next: string | undefined;
    do {
      const page = await ca.certificates.list({ limit: 3, ...(next === undefined ? {} : { continue: next }) });
      seen.push(...page.items.map((item) => item.serial));
      next = page.continue;
    } while (next !== undefined);
    expect(seen.sort()).toEqual(serials.sort());
    await expect(ca.certificates.list({ limit: 3, continue: 'nonsense' })).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  it('knows what expires next and how much within a time', async () => {
    const { ca, now } = await setUp();
    const { next, counts } = await ca.certificates.expiry(now, [15 * dayMs, 35 * dayMs]);
    expect(next).toBe(now + 10 * dayMs);
    expect(counts.toSorted(byRing)).toEqual([
      { ring: 'etcd', withinMs: 35 * dayMs, count: 1 },
      { ring: 'kubernetes', withinMs: 15 * dayMs, count: 1 },
      { ring: 'kubernetes', withinMs: 35 * dayMs, count: 2 },
    ]);
    expect(await ca.certificates.expiry(now + 60 * dayMs, [dayMs])).toEqual({ next: undefined, counts: [] });
  });
});

type Count = Awaited<ReturnType<Ca['certificates']['expiry']>>['counts'][number];

function byRing(a: Count, b: Count): number {
  return a.ring.localeCompare(b.ring) || a.withinMs - b.withinMs;
}
