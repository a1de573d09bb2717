import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { longestGap, maintenanceWindows, windowProblem } from '../../../src/rotation/schedule/windows.js';

const hour = 3_600_000;
const day = 24 * hour;
const at = (text: string): number => Date.parse(text);

const saturdays = [{ cron: '0 22 * * 6', durationMs: 4 * hour, timezone: 'UTC' }];

describe('maintenance windows', () => {
  const windows = maintenanceWindows(saturdays);

  it.each([
    ['2026-03-07T21:59:59.999Z', false],
    ['2026-03-07T22:00:00.000Z', true],
    ['2026-03-08T01:59:59.999Z', true],
    ['2026-03-08T02:00:00.000Z', false],
    ['2026-03-10T12:00:00.000Z', false],
  ])('at %s: open %s', (time, open) => {
    expect(windows.isOpen(at(time))).toBe(open);
    expect(windows.at(at(time)).open).toBe(open);
  });

  it('say when the next one opens and closes, and that only while none is open', () => {
    expect(windows.nextWindow(at('2026-03-10T12:00:00Z'))).toEqual({
      opensAt: at('2026-03-14T22:00:00Z'),
      closesAt: at('2026-03-15T02:00:00Z'),
    });
    expect(windows.at(at('2026-03-10T12:00:00Z'))).toEqual({ open: false, next: at('2026-03-14T22:00:00Z') });
    expect(windows.at(at('2026-03-07T23:00:00Z'))).toEqual({ open: true, next: undefined });
    expect(windows.nextWindow(at('2026-03-07T23:00:00Z'))?.opensAt).toBe(at('2026-03-14T22:00:00Z'));
  });

  it('are always open where there are none', () => {
    const none = maintenanceWindows([]);
    expect(none.isOpen(0)).toBe(true);
    expect(none.nextWindow(0)).toBeUndefined();
    expect(none.at(0)).toEqual({ open: true, next: undefined });
  });

  it('of several are open when one is, until the last closes', () => {
    const both = maintenanceWindows([...saturdays, { cron: '0 23 * * 6', durationMs: 8 * hour, timezone: 'UTC' }]);
    expect(both.isOpen(at('2026-03-08T05:00:00Z'))).toBe(true);
    expect(both.current(at('2026-03-07T23:30:00Z'))?.closesAt).toBe(at('2026-03-08T07:00:00Z'));
    expect(both.nextWindow(at('2026-03-06T00:00:00Z'))?.opensAt).toBe(at('2026-03-07T22:00:00Z'));
  });

  it('that last longer than they are apart never close', () => {
    const always = maintenanceWindows([{ cron: '0 * * * *', durationMs: 2 * hour, timezone: 'UTC' }]);
    for (let minute = 0; minute < 180; minute += 1)
      expect(always.isOpen(at('2026-03-07T00:00:00Z') + minute * 60_000)).toBe(true);
  });
});

describe('daylight saving time', () => {
  const nightly = maintenanceWindows([{ cron: '30 2 * * *', durationMs: hour, timezone: 'Europe/Berlin' }]);

  it('opens a window whose time is skipped when the clock has moved on', () => {
    // 2026-03-29: 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
    expect(nightly.nextWindow(at('2026-03-28T12:00:00Z'))).toEqual({
      opensAt: at('2026-03-29T01:00:00Z'),
      closesAt: at('2026-03-29T02:00:00Z'),
    });
    expect(nightly.isOpen(at('2026-03-29T00:45:00Z'))).toBe(false);
    expect(nightly.isOpen(at('2026-03-29T01:30:00Z'))).toBe(true);
  });

  it('opens a window whose time comes twice once, the first time', () => {
    // 2026-10-25: 03:00 becomes 02:00 in Berlin, at 01:00 UTC; 02:30 is 00:30 and 01:30 UTC.
    expect(nightly.nextWindow(at('2026-10-24T12:00:00Z'))?.opensAt).toBe(at('2026-10-25T00:30:00Z'));
    expect(nightly.nextWindow(at('2026-10-25T00:31:00Z'))?.opensAt).toBe(at('2026-10-26T01:30:00Z'));
    expect(nightly.isOpen(at('2026-10-25T01:29:59Z'))).toBe(true);
    expect(nightly.isOpen(at('2026-10-25T01:31:00Z'))).toBe(false);
  });

  it('keeps a window as long as it is told, across the change of the clock', () => {
    const evening = maintenanceWindows([{ cron: '0 22 * * 6', durationMs: 8 * hour, timezone: 'Europe/Berlin' }]);
    // From 22:00 in winter (21:00 UTC) eight hours on, which the clock calls 07:00.
    expect(evening.current(at('2026-03-29T04:59:00Z'))).toEqual({
      opensAt: at('2026-03-28T21:00:00Z'),
      closesAt: at('2026-03-29T05:00:00Z'),
    });
  });

  it('keeps to the clock on the wall, not to UTC', () => {
    expect(nightly.nextWindow(at('2026-01-10T12:00:00Z'))?.opensAt).toBe(at('2026-01-11T01:30:00Z'));
    expect(nightly.nextWindow(at('2026-07-10T12:00:00Z'))?.opensAt).toBe(at('2026-07-11T00:30:00Z'));
  });
});

describe('whatever the windows', () => {
  const cron = fc
    .record({
      minute: fc.integer({ min: 0, max: 59 }),
      hour: fc.integer({ min: 0, max: 23 }),
      weekday: fc.constantFrom('*', '0', '3', '1-5', '6'),
    })
    .map(({ minute, hour: of, weekday }) => `${String(minute)} ${String(of)} * * ${weekday}`);
  const window = fc.record({
    cron,
    durationMs: fc.integer({ min: 60_000, max: 3 * day }),
    timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata'),
  });
  const moment = fc.integer({ min: at('2025-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z') });

  it('the next opening is open, and nothing opens before it', () => {
    fc.assert(
      fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), moment, (list, now) => {
        const windows = maintenanceWindows(list);
        const next = windows.nextWindow(now);
        expect(next).toBeDefined();
        if (next === undefined) return;
        expect(next.opensAt).toBeGreaterThan(now);
        expect(windows.isOpen(next.opensAt)).toBe(true);
        expect(windows.nextWindow(next.opensAt - 1)?.opensAt).toBe(next.opensAt);
        if (!windows.isOpen(now)) expect(windows.isOpen(next.opensAt - 1)).toBe(false);
        expect(next.opensAt - now).toBeLessThanOrEqual(longestGap(list) + hour + 7 * day);
      }),
      { numRuns: 60 },
    );
  });

  it('one that is open has begun and is not over', () => {
    fc.assert(
      fc.property(window, moment, (one, now) => {
        const current = maintenanceWindows([one]).current(now);
        if (current === undefined) return;
        expect(current.opensAt).toBeLessThanOrEqual(now);
        expect(current.closesAt).toBeGreaterThan(now);
        expect(current.closesAt - current.opensAt).toBe(one.durationMs);
      }),
      { numRuns: 100 },
    );
  });
});

describe('expressions', () => {
  it.each([
    ['0 22 * * 6', 'UTC'],
    ['0 2 * * 1-5', 'America/New_York'],
    ['0 0 L * *', 'UTC'],
    ['0 0 29 2 *', 'UTC'],
    ['*/15 3 * jan,jul sat#1', 'Europe/Berlin'],
  ])('%s in %s is one', (cron, timezone) => {
    expect(windowProblem({ cron, timezone })).toBeUndefined();
  });

  it.each([
    ['0 0 30 2 *', 'UTC', /never open/],
    ['0 0 31 4,6,9,11 *', 'UTC', /never open/],
    ['', 'UTC', /five fields/],
    ['@daily', 'UTC', /five fields/],
    ['0 0 0 * * *', 'UTC', /five fields/],
    ['2026-01-01T00:00:00', 'UTC', /five fields/],
    ['? ? * * *', 'UTC', /five fields/],
    ['99 0 * * *', 'UTC', /not a cron expression: Invalid value for minute/],
    ['0 0 * * 8', 'UTC', /not a cron expression/],
    ['0 0 * * *', 'Mars/Olympus', /time zone "Mars\/Olympus" is not known/],
  ])('%j in %s is none', (cron, timezone, message) => {
    expect(windowProblem({ cron, timezone })).toMatch(message);
  });

  it('takes any text without throwing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (cron, timezone) => {
        const problem = windowProblem({ cron, timezone });
        expect(problem === undefined || problem.length > 0).toBe(true);
      }),
    );
  });

  it.each([
    ['0 22 * * 6', 7 * day, 7 * day],
    ['0 2 * * 0,1', 6 * day, 6 * day],
    ['0 22 1 * *', 31 * day, 31 * day],
    ['0 22 1 1 *', 365 * day, 366 * day],
    ['0 0 29 2 *', 1461 * day, 1461 * day],
  ])('%s comes at the latest after', (cron, least, most) => {
    const gap = longestGap([{ cron, durationMs: hour, timezone: 'UTC' }]);
    expect(gap).toBeGreaterThanOrEqual(least);
    expect(gap).toBeLessThanOrEqual(most);
  });

  it('several windows come as soon as the next of them', () => {
    const one = { cron: '0 22 1 * *', durationMs: hour, timezone: 'UTC' };
    const other = { cron: '0 22 15 * *', durationMs: hour, timezone: 'UTC' };
    expect(longestGap([one, other])).toBe(17 * day);
    expect(longestGap([])).toBe(0);
  });
});
