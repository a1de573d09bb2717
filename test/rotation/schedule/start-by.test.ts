import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { defaultTiming } from '../../../src/config/rotation.js';
import { scheduleAlert } from '../../../src/rotation/schedule/alerts.js';
import { measured, type PhaseDurations, phaseDurations } from '../../../src/rotation/schedule/measured.js';
import { quantile } from '../../../src/rotation/schedule/quantile.js';
import { startBy, type StartByFacts } from '../../../src/rotation/schedule/start-by.js';
import type { Mark, Rotation, RotationState } from '../../../src/rotation/types.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;
const born = Date.UTC(2026, 0, 1);

const facts: StartByFacts = {
  authority: { notBefore: born, notAfter: born + 10 * year },
  plannedAge: undefined,
  timing: defaultTiming,
  longestWait: 0,
  longestLeaf: 90 * day,
  history: [],
};

const history: PhaseDurations[] = [
  {
    staged: minute,
    trusting: 3 * day,
    canary: 5 * minute,
    issuing: 20 * day,
    drained: day,
    distrusting: 2 * day,
    cooling: 8 * day,
  },
];

describe('startBy', () => {
  it('is two rotations before the end, by the times of the one before', () => {
    const timing = { ...defaultTiming, destroyKeys: 'automatic' } as const;
    const { parts, margin, startBy: at, lastChance } = startBy({ ...facts, timing, history });
    expect(parts).toEqual({
      stage: minute,
      trust: 3 * day + 5 * minute,
      issue: day,
      leaf: 90 * day,
      distrust: 3 * day,
      cool: 8 * day,
    });
    expect(margin).toBe(105 * day + 6 * minute);
    expect(at).toBe(facts.authority.notAfter - 2 * margin);
    expect(lastChance).toBe(facts.authority.notAfter - margin);
  });

  it('takes a week for what people do where no rotation shows it, and less under a short-lived authority', () => {
    expect(startBy(facts).parts).toMatchObject({ trust: 7 * day + 5 * minute, distrust: 8 * day, issue: day });
    const short = startBy({ ...facts, longestLeaf: day, authority: { notBefore: born, notAfter: born + 30 * day } });
    expect(short.parts).toMatchObject({ trust: 1.5 * day + 5 * minute, distrust: 2.5 * day });
    expect(short.startBy).toBeGreaterThan(born);
  });

  it('never takes less than what is configured', () => {
    const quick: PhaseDurations = { staged: 0, trusting: 1, canary: 1, drained: 1, distrusting: 1, cooling: 1 };
    expect(startBy({ ...facts, history: [quick] }).parts).toMatchObject({
      trust: 11 * minute,
      distrust: day + 6 * minute,
      cool: 7 * day,
    });
  });

  it('does not count how long an operator lets the key lie', () => {
    const idle = [{ ...history[0], cooling: 200 * day }];
    expect(startBy({ ...facts, history: idle }).parts.cool).toBe(7 * day);
    const timing = { ...defaultTiming, destroyKeys: 'automatic' } as const;
    expect(startBy({ ...facts, timing, history: idle }).parts.cool).toBe(200 * day);
  });

  it('is never due before the authority is as old as one rotation takes, or half its life', () => {
    const slow = { ...facts, history: [{ trusting: 400 * day, distrusting: 400 * day }] };
    const authority = { notBefore: born, notAfter: born + 5 * year };
    const found = startBy({ ...slow, authority });
    expect(found.startBy).toBeLessThan(born + found.margin);
    expect(found.dueAt).toBe(born + found.margin);
    const short = startBy({ ...slow, authority: { notBefore: born, notAfter: born + year } });
    expect(short.dueAt).toBe(born + year / 2);
    expect(startBy({ ...slow, plannedAge: day }).dueAt).toBe(born + found.margin);
  });

  it('is by age where that comes first, and by expiry otherwise', () => {
    expect(startBy({ ...facts, plannedAge: year })).toMatchObject({ dueAt: born + year, reason: 'age' });
    const late = startBy({ ...facts, plannedAge: 10 * year });
    expect(late).toMatchObject({ dueAt: late.startBy, reason: 'expiry' });
  });

  it('leaves room for the longest wait for a window', () => {
    const [one, other] = [startBy(facts), startBy({ ...facts, longestWait: 7 * day })];
    expect(one.startBy - other.startBy).toBe(7 * day);
    expect(one.lastChance).toBe(other.lastChance);
  });
});

describe('whatever is measured', () => {
  const phases = fc.record({
    staged: fc.integer({ min: 0, max: 2 * day }),
    trusting: fc.integer({ min: 0, max: 60 * day }),
    canary: fc.integer({ min: 0, max: day }),
    drained: fc.integer({ min: 0, max: 30 * day }),
    distrusting: fc.integer({ min: 0, max: 60 * day }),
    cooling: fc.integer({ min: 0, max: 60 * day }),
  });
  const anyFacts = fc.record({
    life: fc.integer({ min: 30 * day, max: 20 * year }),
    longestLeaf: fc.integer({ min: hour, max: year }),
    history: fc.array(phases, { maxLength: 8 }),
    longestWait: fc.integer({ min: 0, max: 90 * day }),
  });
  const of = ({
    life,
    ...rest
  }: {
    life: number;
    longestLeaf: number;
    history: PhaseDurations[];
    longestWait: number;
  }): StartByFacts => ({
    ...facts,
    ...rest,
    authority: { notBefore: born, notAfter: born + life },
  });

  it('a slower phase, a longer leaf and a longer wait never start later', () => {
    const phase = fc.constantFrom<RotationState>('staged', 'trusting', 'canary', 'drained', 'distrusting', 'cooling');
    fc.assert(
      fc.property(anyFacts, phase, fc.nat(), fc.integer({ min: 0, max: 60 * day }), (drawn, state, pick, more) => {
        const base = of(drawn);
        const before = startBy(base).startBy;
        const slower = base.history.map((one, index) =>
          index === pick % base.history.length ? { ...one, [state]: (one[state] ?? 0) + more } : one,
        );
        expect(startBy({ ...base, history: slower }).startBy).toBeLessThanOrEqual(before);
        expect(startBy({ ...base, longestLeaf: base.longestLeaf + more }).startBy).toBeLessThanOrEqual(before);
        expect(startBy({ ...base, longestWait: base.longestWait + more }).startBy).toBeLessThanOrEqual(before);
      }),
    );
  });

  it('an authority that ends later never starts earlier', () => {
    fc.assert(
      fc.property(anyFacts, fc.integer({ min: 0, max: 5 * year }), (drawn, more) => {
        const longer = startBy(of({ ...drawn, life: drawn.life + more }));
        expect(longer.startBy).toBeGreaterThanOrEqual(startBy(of(drawn)).startBy);
      }),
    );
  });

  it('is in whole milliseconds, in order, and due by the latest of them that leaves room', () => {
    fc.assert(
      fc.property(
        anyFacts,
        fc.option(fc.integer({ min: day, max: 9 * year }), { nil: undefined }),
        (drawn, plannedAge) => {
          const found = startBy({ ...of(drawn), plannedAge });
          expect(Object.values(found.parts).every((part) => Number.isInteger(part) && part >= 0)).toBe(true);
          const soonest = born + Math.min(found.margin, Math.ceil(drawn.life / 2));
          expect(found.dueAt).toBeLessThanOrEqual(Math.max(found.startBy, soonest));
          expect(found.dueAt).toBeGreaterThanOrEqual(soonest);
          expect(found.startBy).toBeLessThan(found.lastChance);
          expect(found.lastChance).toBeLessThan(born + drawn.life);
        },
      ),
    );
  });
});

describe('what a rotation shows about the next', () => {
  const mark = (at: number): Mark => ({ at, generation: 1 });
  const finished: Pick<Rotation, 'kind' | 'state' | 'marks' | 'finishedAt'> = {
    kind: 'planned',
    state: 'finished',
    finishedAt: 100,
    marks: {
      ...{ staged: mark(0), trusting: mark(5), canary: mark(25), issuing: mark(30) },
      ...{ drained: mark(70), distrusting: mark(80), cooling: mark(95), finished: mark(100) },
    },
  };

  it('is the time between its marks', () => {
    const durations = { staged: 5, trusting: 20, canary: 5, issuing: 40, drained: 10, distrusting: 15, cooling: 5 };
    expect(phaseDurations(finished)).toEqual(durations);
    const { finished: _, ...marks } = finished.marks;
    expect(phaseDurations({ ...finished, marks })).toEqual(durations);
  });

  it.each<[string, Partial<typeof finished>]>([
    ['that is not over', { state: 'cooling' }],
    ['that was rolled back', { state: 'rolled-back' }],
    ['that had turned back once', { marks: { ...finished.marks, retrusting: mark(90) } }],
  ])('is nothing of one %s', (_what, more) => {
    expect(phaseDurations({ ...finished, ...more })).toEqual({});
  });

  it('of emergencies is by their own states', () => {
    const marks = {
      declared: mark(0),
      spreading: mark(1),
      reissuing: mark(4),
      cut: mark(9),
      recovering: mark(10),
      finished: mark(30),
    };
    expect(phaseDurations({ kind: 'emergency', state: 'finished', finishedAt: 30, marks })).toEqual({
      ...{ declared: 1, spreading: 3, reissuing: 5, cut: 1, recovering: 20 },
    });
  });

  it('is taken by quantile, of any number of rotations', () => {
    expect(quantile([], 0.99)).toBeUndefined();
    expect(quantile([3, 1, 2], 0.99)).toBe(3);
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    const many = Array.from({ length: 200 }, (_, index) => index + 1);
    expect(quantile(many, 0.99)).toBe(198);
    expect(measured([{ trusting: 4 }, {}, { trusting: 9 }], 'trusting', 0.5)).toBe(4);
    expect(measured([{}], 'trusting', 0.5)).toBeUndefined();
  });
});

describe('alerts', () => {
  const found = startBy({ ...facts, history });
  const { notAfter } = facts.authority;
  const alert = (now: number, running?: { state: RotationState; back: boolean }): ReturnType<typeof scheduleAlert> =>
    scheduleAlert({ ring: 'etcd', now, notAfter, startBy: found, running });

  it('are a warning at two rotations before the end and critical at one', () => {
    expect(alert(found.startBy - 1)).toMatchObject({
      severity: 'none',
      next: { severity: 'warning', at: found.startBy },
    });
    expect(alert(found.startBy)).toMatchObject({
      severity: 'warning',
      since: found.startBy,
      next: { at: found.lastChance },
    });
    expect(alert(found.lastChance)).toMatchObject({ severity: 'critical', since: found.lastChance, next: undefined });
    expect(alert(notAfter).message).toMatch(
      /^The authority of the ring etcd ends at 2035-12-30T00:00Z: it has expired; start/,
    );
  });

  it('go on while a rotation has not replaced the signer, or returns to it', () => {
    expect(alert(found.startBy, { state: 'trusting', back: false })).toMatchObject({ severity: 'warning' });
    expect(alert(found.startBy, { state: 'trusting', back: false }).message).toMatch(/its rotation is trusting/);
    expect(alert(found.lastChance, { state: 'issuing', back: true }).severity).toBe('critical');
    expect(alert(found.lastChance, { state: 'returning', back: true }).severity).toBe('critical');
  });

  it.each<RotationState>(['issuing', 'drained', 'distrusting', 'cooling', 'reissuing', 'cut', 'recovering'])(
    'end once another authority signs: %s',
    (state) => {
      expect(alert(notAfter + day, { state, back: false })).toMatchObject({ severity: 'none', next: undefined });
    },
  );
});
