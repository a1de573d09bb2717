import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  afterStatement,
  compareProcess,
  evidenceOf,
  ofNewProcess,
  ofRejoined,
  type RingState,
} from '../../../src/fleet/consumers/reports.js';

const unknown: RingState = {
  joiner: false,
  delivered: 0,
  deliveredAt: undefined,
  loaded: 0,
  evidence: undefined,
  clean: false,
  process: undefined,
  acknowledgedAt: undefined,
  streamsSince: undefined,
  reportedAt: undefined,
  loadedAt: undefined,
};
const about = { process: 'p1', now: 1000 };
const said = (generation: number, reportedAt: number, clean = true) => ({
  reportedAt,
  loaded: { generation, evidence: 'self-report' as const, clean },
});

describe('a report', () => {
  it('is the truth when it is the newest, also where it takes back what was said', () => {
    const first = afterStatement(unknown, said(3, 10), about);
    expect(first).toMatchObject({ loaded: 3, evidence: 'self-report', process: 'p1', acknowledgedAt: 1000 });
    const restored = afterStatement(first ?? unknown, said(2, 20), about);
    expect(restored).toMatchObject({ loaded: 2 });
    expect(afterStatement(restored ?? unknown, said(3, 15), about)).toBeUndefined();
    expect(afterStatement(restored ?? unknown, said(3, 20), about)).toBeUndefined();
  });

  it('says nothing about streams when it leaves them out', () => {
    const first = afterStatement(unknown, { reportedAt: 1, streamsSince: 5 }, about) ?? unknown;
    expect(first.streamsSince).toBe(5);
    expect(afterStatement(first, { reportedAt: 2 }, about)?.streamsSince).toBeUndefined();
  });

  it('does not lessen what this service has seen, and does not outlive another generation', () => {
    const seen =
      afterStatement(unknown, { loaded: { generation: 2, evidence: 'canary-probe', clean: true } }, about) ?? unknown;
    expect(afterStatement(seen, said(2, 1, false), about)).toMatchObject({ evidence: 'canary-probe', clean: true });
    expect(afterStatement(seen, said(3, 1, false), about)).toMatchObject({ evidence: 'self-report', clean: false });
    expect(afterStatement(seen, said(2, 1), { ...about, process: 'p2' })).toMatchObject({ evidence: 'self-report' });
  });

  it('keeps what counts for the class over what does not, whichever came first', () => {
    const counting = { ...about, accepted: ['restart', 'in-process'] as const };
    const as = (evidence: 'restart' | 'reverse-handshake') => ({ loaded: { generation: 2, evidence, clean: true } });
    const restarted = afterStatement(unknown, as('restart'), counting) ?? unknown;
    expect(afterStatement(restarted, as('reverse-handshake'), counting)).toMatchObject({ evidence: 'restart' });
    const shaken = afterStatement(unknown, as('reverse-handshake'), counting) ?? unknown;
    expect(shaken).toMatchObject({ evidence: 'reverse-handshake' });
    expect(afterStatement(shaken, as('restart'), counting)).toMatchObject({ evidence: 'restart' });
    expect(afterStatement(restarted, said(2, 1), counting)).toMatchObject({ evidence: 'self-report' });
  });

  it('ends joining only with evidence that does not rest on a cross-certificate', () => {
    const joiner = { ...unknown, joiner: true };
    expect(afterStatement(joiner, said(2, 1, false), about)?.joiner).toBe(true);
    expect(
      afterStatement(joiner, { loaded: { generation: 0, evidence: 'canary-probe', clean: true } }, about)?.joiner,
    ).toBe(true);
    expect(afterStatement(joiner, said(2, 1), about)?.joiner).toBe(false);
  });
});

describe('a process', () => {
  it('is newer when it began later, whatever its name', () => {
    const known = { id: 'b', startedAt: 100 };
    expect(compareProcess(undefined, known)).toBe('newer');
    expect(compareProcess(known, { id: 'b', startedAt: 7 })).toBe('same');
    // A container's first process is number 1 each time.
    expect(compareProcess(known, { id: 'b', startedAt: 20_000 })).toBe('newer');
    expect(compareProcess(known, { id: 'a', startedAt: 101 })).toBe('newer');
    expect(compareProcess(known, { id: 'z', startedAt: 99 })).toBe('earlier');
    expect(compareProcess(known, { id: 'a', startedAt: 100 })).toBe('earlier');
    expect(compareProcess(known, { id: 'c', startedAt: 100 })).toBe('newer');
  });

  it('has loaded nothing, and finds the file where it was', () => {
    const state = {
      ...unknown,
      joiner: true,
      delivered: 2,
      deliveredAt: 50,
      loaded: 2,
      evidence: 'restart' as const,
      clean: true,
    };
    expect(ofNewProcess(state)).toEqual({ ...unknown, joiner: true, delivered: 2, deliveredAt: 50 });
    expect(ofRejoined(state, false)).toEqual(unknown);
  });

  it('has read at its start what was there before', () => {
    expect(evidenceOf(2, { generation: 2, at: 99 }, 100)).toBe('restart');
    expect(evidenceOf(2, { generation: 2, at: 100 }, 100)).toBe('self-report');
    expect(evidenceOf(2, { generation: 3, at: 1 }, 100)).toBe('self-report');
    expect(evidenceOf(2, undefined, 100)).toBe('self-report');
  });
});

it('processes are in one order, whatever order they are compared in', () => {
  const mark = fc.record({ id: fc.constantFrom('a', 'b', 'c'), startedAt: fc.integer({ min: 0, max: 3 }) });
  fc.assert(
    fc.property(mark, mark, (a, b) => {
      fc.pre(a.id !== b.id);
      expect(compareProcess(a, b)).toBe(compareProcess(b, a) === 'newer' ? 'earlier' : 'newer');
    }),
  );
});
