import { describe, expect, test } from 'vitest';

import { createAudit } from '../../../src/audit/audit.js';
import { createMetrics } from '../../../src/metrics.js';
import { createRenewals, type Renewals, type RenewalSettings } from '../../../src/rotation/renewal/renewals.js';
import { createWaitingRoom } from '../../../src/rotation/renewal/waiting-room.js';
import { listBuckets } from '../../../src/store/queries/renewals.js';
import type { Store } from '../../../src/store/types.js';
import { leafOrder, logger, random } from '../../ca/support.js';
import { administrator, nodeIdentity, profiles } from '../../csr/support.js';
import {
  auditActions,
  dayMs,
  hourMs,
  issueLeaf,
  minuteMs,
  type Rooms,
  start,
  startRooms,
} from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';

const settings: RenewalSettings = {
  policy: { window: { from: 0.5, until: 0.85 }, outageMs: 0, shortest: 0.77 },
  steerKubelets: false,
  bucketMs: 10 * minuteMs,
  retryAfterMs: 6 * hourMs,
  rate: undefined,
  clients: [],
};
const person = { signerName: 'kubernetes.io/kube-apiserver-client' };
const kubelet = { signerName: 'kubernetes.io/kube-apiserver-client-kubelet' };
const life = { notBefore: start, notAfter: start + 30 * dayMs };

function renewalsIn(rooms: Rooms, change: Partial<RenewalSettings> = {}): Promise<Renewals> {
  const { store, ca, clock } = rooms;
  const audit = createAudit({ logger });
  const given = { ...settings, ...change };
  return createRenewals({ store, ca, clock, random, audit, metrics: createMetrics(), profiles, settings: given });
}

async function planned(store: Store): Promise<number> {
  const rows = await listBuckets(store.db, 0);
  return rows.reduce((sum, row) => sum + row.planned, 0);
}

describeEachStore('planning renewals', (open) => {
  test('gives each certificate a window of its own, in which few others are', async () => {
    const renewals = await renewalsIn(await startRooms(await open()));
    const starts = new Map<number, number>();
    for (let i = 0; i < 3000; i += 1) {
      const { notAfter, renewFrom, renewUntil } = renewals.choose(person, life, false);
      expect(notAfter).toBe(life.notAfter);
      expect(renewUntil - renewFrom).toBe(settings.bucketMs);
      expect(renewFrom).toBeGreaterThanOrEqual(start + 15 * dayMs);
      expect(renewUntil).toBeLessThanOrEqual(start + 25.5 * dayMs);
      renewals.issued({ profile: person.signerName, renewFrom, renewUntil });
      starts.set(renewFrom, (starts.get(renewFrom) ?? 0) + 1);
    }
    // 1,512 buckets: at random the fullest would have some nine.
    expect(Math.max(...starts.values())).toBeLessThanOrEqual(4);
  });

  test('leaves the lives of kubelets alone until told otherwise, and those that were asked for always', async () => {
    const rooms = await startRooms(await open());
    const unsteered = await renewalsIn(rooms);
    const steered = await renewalsIn(rooms, { steerKubelets: true });
    const lives = new Set<number>();
    for (let i = 0; i < 200; i += 1) {
      expect(unsteered.choose(kubelet, life, false)).toEqual({
        notAfter: life.notAfter,
        renewFrom: start + 21 * dayMs,
        renewUntil: start + 27 * dayMs,
      });
      expect(steered.choose(kubelet, life, true).notAfter).toBe(life.notAfter);
      const { notAfter, renewFrom, renewUntil } = steered.choose(kubelet, life, false);
      expect(notAfter % 1000).toBe(0);
      expect(notAfter - start).toBeGreaterThanOrEqual(0.77 * 30 * dayMs);
      expect(notAfter).toBeLessThanOrEqual(life.notAfter);
      steered.issued({ profile: kubelet.signerName, renewFrom, renewUntil });
      lives.add(notAfter);
    }
    expect(lives.size).toBeGreaterThan(1);
    const short = { notBefore: start, notAfter: start + 50 * minuteMs };
    expect(steered.choose(kubelet, short, false).notAfter).toBe(short.notAfter);
    expect(steered.choose(person, life, false).notAfter).toBe(life.notAfter);
  });

  test('is written down, adds up over replicas, and forgets what is past', async () => {
    const rooms = await startRooms(await open());
    const { store, clock } = rooms;
    const [one, other] = [await renewalsIn(rooms), await renewalsIn(rooms)];
    const issue = (renewals: Renewals, profile: { signerName: string }, count: number): void => {
      for (let i = 0; i < count; i += 1)
        renewals.issued({ profile: profile.signerName, ...renewals.choose(profile, life, false) });
    };
    issue(one, person, 300);
    issue(other, person, 200);
    await one.keep();
    await other.keep();
    expect(await planned(store)).toBe(500);
    await one.keep();
    expect(await planned(store)).toBe(500);
    // A kubelet's renewal is spread over 144 hours and counts where it makes a whole one with others.
    issue(one, kubelet, 143);
    await one.keep();
    expect(await planned(store)).toBeLessThan(560);
    issue(one, kubelet, 145);
    await one.keep();
    expect(await planned(store)).toBe(500 + 288);
    clock.set(start + 20 * dayMs);
    issue(one, person, 1);
    await one.keep();
    expect(await planned(store)).toBeLessThan(788);
    expect((await listBuckets(store.db, 0)).every((row) => row.start >= start + 20 * dayMs - hourMs)).toBe(true);
  });

  test('knows after a restart what was planned before', async () => {
    const rooms = await startRooms(await open());
    const before = await renewalsIn(rooms);
    const from = start + 20 * dayMs;
    for (let i = 0; i < 600; i += 1)
      before.issued({ profile: person.signerName, renewFrom: from, renewUntil: from + settings.bucketMs });
    await before.keep();
    const after = await renewalsIn(rooms);
    const full = { from: Math.floor(from / hourMs) * hourMs, until: (Math.floor(from / hourMs) + 1) * hourMs };
    for (let i = 0; i < 200; i += 1) {
      const { renewFrom } = after.choose(person, life, false);
      expect(renewFrom >= full.from && renewFrom < full.until).toBe(false);
    }
  });

  test('tells when a certificate is to be renewed, by rule and after a revocation too', async () => {
    const rooms = await startRooms(await open());
    const { clock, ca } = rooms;
    const renewals = await renewalsIn(rooms);
    const window = { renewFrom: start + 20 * dayMs, renewUntil: start + 20 * dayMs + 600_000 };
    const { prepared } = await issueLeaf(rooms, { ...leafOrder({}, start), ...window });
    const { serial, ski } = prepared;
    const legacy = await issueLeaf(rooms);
    expect(await renewals.info(serial)).toMatchObject({
      serial,
      window: { from: window.renewFrom, until: window.renewUntil, rule: undefined },
      retryAfterMs: 6 * hourMs,
    });
    // Issued before windows were planned: a kubelet's 70 to 90 %.
    expect((await renewals.info(legacy.prepared.serial)).window.from).toBeCloseTo(
      start - 300_000 + 0.7 * (30 * dayMs + 300_000),
    );
    const rule = await renewals.ask({ ring: 'kubernetes', authority: ski, reason: 'compromise' }, 'admin');
    expect(rule).toMatchObject({ notBefore: start, width: 60_000 });
    const byRule = await renewals.info(serial);
    expect(byRule.window.rule?.id).toBe(rule?.id);
    expect(byRule.window.from - start).toBeLessThan(60_000);
    await renewals.withdraw(rule?.id ?? '', 'admin');
    expect((await renewals.info(serial)).window.from).toBe(window.renewFrom);
    await expect(renewals.withdraw(rule?.id ?? '', 'admin')).rejects.toMatchObject({ code: 'not-found' });
    await rooms.revocation.revoke(serial, { actor: administrator });
    expect((await renewals.info(serial)).window.until).toBe(start);
    expect((await auditActions(rooms.store)).filter((action) => action.startsWith('renewal-rule'))).toEqual([
      'renewal-rule.created',
      'renewal-rule.deleted',
    ]);
    clock.set(prepared.order.notAfter - 8 * hourMs);
    expect((await renewals.info(serial)).retryAfterMs).toBe(2 * hourMs);
    clock.set(prepared.order.notAfter + dayMs);
    expect((await renewals.info(serial)).retryAfterMs).toBe(minuteMs);
    await expect(renewals.info('00')).rejects.toMatchObject({ code: 'not-found' });
    expect(ca.ring('kubernetes').active.ski).toBe(ski);
  });

  test('asks for nothing that is not there, and for no wave that is not needed', async () => {
    const rooms = await startRooms(await open());
    const renewals = await renewalsIn(rooms, { rate: { perSecond: 0.001, burst: 1 } });
    const refused = { code: 'invalid' };
    await expect(renewals.ask({ ring: 'nope', reason: 'rotation' }, 'admin')).rejects.toMatchObject(refused);
    await expect(renewals.ask({ ring: 'etcd', authority: '00', reason: 'rotation' }, 'admin')).rejects.toMatchObject(
      refused,
    );
    await expect(renewals.ask({ ring: 'etcd', profile: 'x/y', reason: 'rotation' }, 'admin')).rejects.toMatchObject(
      refused,
    );
    expect(await renewals.ask({ ring: 'etcd', reason: 'compromise' }, 'admin')).toBeUndefined();
    for (let i = 0; i < 1300; i += 1) await issueLeaf(rooms, { notAfter: start + hourMs });
    expect(await renewals.ask({ ring: 'kubernetes', reason: 'rotation' }, 'admin')).toBeUndefined();
    const wanted = { ring: 'kubernetes', reason: 'rotation', widthMs: 1000 } as const;
    expect(await renewals.ask(wanted, 'admin')).toMatchObject({ notBefore: start + 6 * hourMs, width: 1000 });
  });

  test('begins no wave twice for an authority that signs no more', async () => {
    const rooms = await startRooms(await open());
    const { ski } = rooms.ca.ring('kubernetes').active;
    await issueLeaf(rooms);
    // As if another one signed by now.
    const rings = (): ReturnType<Rooms['ca']['rings']> =>
      rooms.ca.rings().map((ring) => ({ ...ring, active: { ...ring.active, ski: 'another' } }));
    const after = await renewalsIn({ ...rooms, ca: { ...rooms.ca, rings } });
    const order = { ring: 'kubernetes', authority: ski, reason: 'compromise' } as const;
    const first = await after.ask(order, 'system:rotunda');
    expect(await after.ask(order, 'system:rotunda')).toEqual(first);
    expect(after.rules()).toHaveLength(1);
    await after.ask({ ...order, widthMs: 1000 }, 'admin');
    expect(after.rules()).toHaveLength(2);
    rooms.clock.set(start + dayMs);
    expect((await after.ask(order, 'system:rotunda'))?.id).not.toBe(first?.id);
  });

  test('rules are known to every replica, and gone when they have long been followed', async () => {
    const rooms = await startRooms(await open());
    const [one, other] = [await renewalsIn(rooms), await renewalsIn(rooms)];
    await one.ask({ ring: 'etcd', reason: 'capacity', widthMs: 1000 }, 'admin');
    const deadline = performance.now() + 5000;
    while (other.rules().length === 0 && performance.now() < deadline)
      await new Promise((done) => setTimeout(done, 10));
    expect(other.rules()).toEqual(one.rules());
    expect((await renewalsIn(rooms)).rules()).toEqual(one.rules());
    expect(one.rules()).toBe(one.rules());
    rooms.clock.set(start + 400 * dayMs);
    await one.keep();
    await other.keep();
    expect(one.rules()).toEqual([]);
  });
});

describe('the waiting room', () => {
  const rate = { perSecond: 20, burst: 1 };
  const clock = { now: () => new Date(start), monotonic: () => performance.now() };
  const holder = (serial: string, notAfter: number) => ({
    ...nodeIdentity('n1'),
    certificate: { serial, fingerprint: '', notAfter },
  });

  test('lets in who expires first, at its rate', async () => {
    const limited: string[] = [];
    const room = createWaitingRoom({ rate, clock, metrics: { limited: (limit) => limited.push(limit) } });
    const order: string[] = [];
    const enter = async (serial: string, days: number): Promise<void> => {
      await room.admit(holder(serial, start + days * dayMs));
      order.push(serial);
    };
    const begun = performance.now();
    await Promise.all([enter('a', 9), enter('b', 5), enter('c', 2), enter('d', 7)]);
    expect(order).toEqual(['a', 'c', 'b', 'd']);
    expect(performance.now() - begun).toBeGreaterThan(130);
    expect(limited).toEqual([]);
  });

  test('tells who does not get in when to come again, and sends it back before', async () => {
    const room = createWaitingRoom({
      rate: { perSecond: 0.1, burst: 1 },
      clock,
      metrics: { limited: () => undefined },
    });
    await room.admit(holder('a', start + dayMs));
    const refused = { code: 'too-many-requests' };
    const begun = performance.now();
    await expect(room.admit(holder('b', start + hourMs))).rejects.toMatchObject(refused);
    expect(performance.now() - begun).toBeGreaterThan(4500);
    const again = performance.now();
    const refusal: unknown = await room.admit(holder('b', start + hourMs)).catch((error: unknown) => error);
    expect(performance.now() - again).toBeLessThan(1000);
    expect(refusal).toMatchObject(refused);
    const { retryAfterSeconds } = (refusal as { details: { retryAfterSeconds: number } }).details;
    expect(retryAfterSeconds).toBeGreaterThan(0);
    expect(retryAfterSeconds).toBeLessThanOrEqual(20 * 60);
  });

  test('is not for people, administrators and who joins', async () => {
    const room = createWaitingRoom({
      rate: { perSecond: 0.1, burst: 1 },
      clock,
      metrics: { limited: () => undefined },
    });
    await room.admit(holder('a', start + dayMs));
    for (let i = 0; i < 5; i += 1) {
      await room.admit(administrator);
      await room.admit(nodeIdentity('n1'));
      await room.admit({ ...holder('z', start), roles: ['admin'] });
    }
  });
});
