import { execFileSync } from 'node:child_process';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { certificateId, parseCertificateId } from '../../../src/rotation/renewal/certificate-id.js';
import { isMeant, plannedWindow, waveWidth } from '../../../src/rotation/renewal/rules.js';
import { shareOf, slotIn } from '../../../src/rotation/renewal/slot.js';
import type { RenewalRule, RenewalSubject } from '../../../src/rotation/renewal/types.js';

const hour = 3_600_000;
const hex = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));

const certificate: RenewalSubject = {
  serial: '40abcdef',
  ring: 'kubernetes',
  authority: 'aa',
  profile: 'p',
  notBefore: 0,
  notAfter: 100 * hour,
  issuedAt: 1000,
};
const rule: RenewalRule = {
  id: 'r1',
  ring: 'kubernetes',
  notBefore: 10 * hour,
  width: hour,
  reason: 'rotation',
  createdAt: 2000,
};
const own = { from: 50 * hour, until: 51 * hour };
const limits = { latest: 80 * hour, slotMs: 600_000 };

describe('slots', () => {
  test('are in the window, and the same for whoever computes them', () => {
    fc.assert(
      fc.property(hex, fc.string(), fc.nat(1e12), fc.integer({ min: 1, max: 1e10 }), (serial, epoch, from, width) => {
        const window = { from, until: from + width };
        const slot = slotIn(window, serial, epoch);
        expect(slot).toBeGreaterThanOrEqual(from);
        expect(slot).toBeLessThan(from + width);
        expect(slotIn(window, serial, epoch)).toBe(slot);
      }),
    );
  });

  test('are those of sha256sum', () => {
    const script = 'printf %s "$1/$2" | sha256sum | cut -c1-12';
    const digits = execFileSync('sh', ['-c', script, 'sh', '40abcdef', 'r1'], { encoding: 'utf8' }).trim();
    expect(shareOf('40abcdef', 'r1')).toBe(parseInt(digits, 16) / 2 ** 48);
  });

  test('are spread evenly', () => {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i += 1) {
      const at = Math.floor(shareOf(i.toString(16), 'x') * 10);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250);
  });
});

describe('rules', () => {
  test('are about their cohort, as it was when they were made', () => {
    expect(isMeant(rule, certificate)).toBe(true);
    expect(isMeant({ ...rule, ring: 'etcd' }, certificate)).toBe(false);
    expect(isMeant({ ...rule, authority: 'bb' }, certificate)).toBe(false);
    expect(isMeant({ ...rule, profile: 'q' }, certificate)).toBe(false);
    expect(isMeant({ ...rule, authority: 'aa', profile: 'p' }, certificate)).toBe(true);
    expect(isMeant(rule, { ...certificate, issuedAt: 2001 })).toBe(false);
  });

  test('bring a renewal forward to the certificate’s own slot, and never put it off', () => {
    const planned = plannedWindow(own, certificate, [rule], limits);
    const slot = slotIn({ from: 10 * hour, until: 11 * hour }, certificate.serial, 'r1');
    expect(planned).toEqual({ from: slot, until: slot + limits.slotMs, rule });
    const late = { ...rule, notBefore: 60 * hour };
    expect(plannedWindow(own, certificate, [late], limits)).toEqual({ ...own, rule: undefined });
    const urgent = { ...rule, id: 'r2', notBefore: 0, width: 1, reason: 'compromise' as const };
    expect(plannedWindow(own, certificate, [rule, urgent, late], limits).rule).toBe(urgent);
  });

  test('end where the certificate has to be renewed', () => {
    const { from, until } = plannedWindow(own, certificate, [rule], limits);
    expect(until).toBe(from + limits.slotMs);
    expect(plannedWindow(own, certificate, [rule], { ...limits, latest: from + 60_000 })).toMatchObject({
      from,
      until: from + 60_000,
    });
    // Too late already: at once.
    expect(plannedWindow(own, certificate, [rule], { ...limits, latest: from - hour }).until).toBe(from + 1000);
  });

  test('of capacity put it off too, as far as an outage may be survived', () => {
    const wave = { ...rule, reason: 'capacity' as const, notBefore: 60 * hour };
    expect(plannedWindow(own, certificate, [wave], limits).from).toBeGreaterThan(own.from);
    expect(plannedWindow(own, certificate, [wave], { ...limits, latest: 55 * hour })).toEqual({
      ...own,
      rule: undefined,
    });
    expect(plannedWindow(own, certificate, [wave, rule], limits).rule).toBe(rule);
  });

  test('spread a cohort so that half of what can be issued stays for others', () => {
    const cohort = { reason: 'rotation' as const, count: 1_000_000, lifeMs: 24 * hour, until: 0.85 };
    expect(waveWidth(cohort, 250)).toBe(8_000_000);
    expect(waveWidth({ ...cohort, count: 10 }, 250)).toBe(60_000);
    expect(waveWidth(cohort, 25)).toBeUndefined();
    expect(waveWidth({ ...cohort, reason: 'compromise' }, 25)).toBe(80_000_000);
  });
});

describe('names of certificates', () => {
  test('are those of RFC 9773', () => {
    const example = 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE';
    const authority = '69885b6b87464041e1b37b847ba0ae2cde01c8d4';
    expect(parseCertificateId(example)).toEqual({ serial: '87654321', authority });
    expect(certificateId('87654321', authority)).toBe(example);
    expect(parseCertificateId('40:AB:cd')).toEqual({ serial: '40abcd', authority: undefined });
  });

  test('are read as they are written', () => {
    fc.assert(
      fc.property(hex, hex, (serial, authority) => {
        fc.pre(!serial.startsWith('00') || serial === '00');
        expect(parseCertificateId(certificateId(serial, authority))).toEqual({ serial, authority });
      }),
    );
  });

  test.each(['', '.', 'a.', '.a', 'aa==.bb', 'a.b.c', 'xyz', '../x', 'aZ.AB', 'a'.repeat(500)])(
    '%j is none',
    (text) => {
      expect(() => parseCertificateId(text)).toThrow(/names no certificate/);
    },
  );

  test('hostile ones are refused in order', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        try {
          expect(parseCertificateId(text).serial).toMatch(/^[0-9a-f]*$/);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-request' });
        }
      }),
    );
  });
});
