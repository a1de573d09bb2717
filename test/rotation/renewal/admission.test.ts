import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createAdmission, leastBurst, nextWindow } from '../../../src/rotation/renewal/admission.js';
import { createExpiryQueue } from '../../../src/rotation/renewal/expiry-queue.js';
import { type ExpiredCertificate, graceProblem } from '../../../src/rotation/renewal/grace.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

describe('the queue', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), notAfter: fc.nat(50) }),
    fc.record({ kind: fc.constantFrom('pop' as const, 'popLatest' as const) }),
    fc.record({ kind: fc.constant('remove' as const), id: fc.nat(60) }),
  );

  test('gives the one that expires first, whatever came in between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = createExpiryQueue();
        const waiting = new Map<number, number>();
        let next = 0;
        for (const one of steps) {
          const ends = [...waiting.values()];
          if (one.kind === 'push') {
            queue.push(next, one.notAfter);
            waiting.set(next, one.notAfter);
            next += 1;
          } else if (one.kind === 'remove') {
            queue.remove(one.id);
            waiting.delete(one.id);
          } else {
            const taken = one.kind === 'pop' ? queue.pop() : queue.popLatest();
            if (taken === undefined) expect(waiting.size).toBe(0);
            else {
              expect(waiting.get(taken)).toBe(one.kind === 'pop' ? Math.min(...ends) : Math.max(...ends));
              waiting.delete(taken);
            }
          }
          expect(queue.size()).toBe(waiting.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('keeps its order where some are taken out of the middle', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: 30, maxLength: 80 }),
        fc.array(fc.nat(79), { minLength: 5, maxLength: 20 }),
        (ends, removed) => {
          const queue = createExpiryQueue();
          for (const [id, notAfter] of ends.entries()) queue.push(id, notAfter);
          for (const id of removed) queue.remove(id);
          const left = ends.filter((_, id) => !removed.includes(id)).sort((a, b) => a - b);
          expect(left.map(() => ends[queue.pop() ?? -1])).toEqual(left);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('admission', () => {
  const arrival = fc.record({ after: fc.nat(3000), notAfter: fc.integer({ min: 0, max: 1000 }) });

  test('lets nobody overtake one who expires earlier and waits, and no more than the rate', () => {
    fc.assert(
      fc.property(
        fc.array(arrival, { minLength: 1, maxLength: 120 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 10 }),
        (arrivals, perSecond, burst) => {
          const admission = createAdmission({ perSecond, burst }, 0);
          const waiting = new Map<number, number>();
          let now = 0;
          let admitted = 0;
          const drain = (): void => {
            for (let id = admission.next(now); id !== undefined; id = admission.next(now)) {
              expect(waiting.get(id)).toBe(Math.min(...waiting.values()));
              waiting.delete(id);
              admitted += 1;
            }
            if (waiting.size > 0) expect(admission.wait(now)).toBeGreaterThan(0);
          };
          for (const [id, { after, notAfter }] of arrivals.entries()) {
            now += after;
            drain();
            admission.queue.push(id, notAfter);
            waiting.set(id, notAfter);
            drain();
            expect(admitted).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-6);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('adds nothing for a clock that goes back', () => {
    const admission = createAdmission({ perSecond: 1, burst: 1 }, 10_000);
    admission.queue.push(1, 0);
    admission.queue.push(2, 0);
    expect(admission.next(10_000)).toBe(1);
    expect(admission.next(0)).toBeUndefined();
    expect(admission.next(10_500)).toBeUndefined();
    expect(admission.next(11_000)).toBe(2);
  });

  test('needs a store for bursts of a tenth of a minute', () => {
    expect(leastBurst(60)).toBe(360);
    expect(leastBurst(0.1)).toBe(1);
  });

  test('tells when to come again: once a window, and before a third of what is left is over', () => {
    fc.assert(
      fc.property(fc.nat(4e12), fc.integer({ min: -30 * day, max: 400 * day }), (now, left) => {
        const { from, until } = nextWindow(now + left, now);
        expect(from).toBeGreaterThan(now);
        expect(until - now).toBeLessThanOrEqual(Math.max(2 * minute, Math.min(2 * hour, left / 3)) + 1);
        expect(until - from).toBeGreaterThanOrEqual(minute - 1);
      }),
    );
  });
});

describe('grace', () => {
  const expired: ExpiredCertificate = {
    notAfter: 1000 * day,
    revokedAt: undefined,
    supersededAt: undefined,
    hasSuccessor: false,
    banned: false,
    nodeState: 'joined',
    authority: { tainted: false, notAfter: 3000 * day },
  };
  const now = 1001 * day;

  test('is for the last certificate of an enrolled node, as long as it lasts', () => {
    expect(graceProblem(expired, 7 * day, now)).toBeUndefined();
    expect(graceProblem(expired, day, now)).toBeUndefined();
    expect(graceProblem(expired, day, now + 1)).toMatch(/has passed/);
    expect(graceProblem(expired, 0, now)).toMatch(/has passed/);
    expect(graceProblem(expired, 7 * day, 1000 * day)).toMatch(/not expired/);
  });

  test.each<[string, Partial<ExpiredCertificate>]>([
    ['was revoked', { revokedAt: 1 }],
    ['was revoked', { banned: true }],
    ['not the last one', { supersededAt: 1 }],
    ['not the last one', { hasSuccessor: true }],
    ['its node is disabled', { nodeState: 'disabled' }],
    ['its node is expected', { nodeState: 'expected' }],
    ['its node is not enrolled', { nodeState: undefined }],
    ['not one of the ring', { authority: undefined }],
    ['not one of the ring', { authority: { tainted: false, notAfter: now - 1 } }],
    ['somebody else', { authority: { tainted: true, notAfter: 3000 * day } }],
  ])('is not given: it %s', (why, change) => {
    expect(graceProblem({ ...expired, ...change }, 7 * day, now)).toContain(why);
  });
});
